//! The return of a backup: what was erased since does not come back.
//!
//! A person who was erased as a whole is gone already, because the backup key is. Pairs and items
//! that were erased since are left out by the tombstones of the store as it is. When the key ring
//! knows of erasures that cannot be replayed, nothing is restored.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::format::{BackupHeader, BackupRow, Frame, FrameReader, ReadFrame};
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::files::{Files, Generation};
use crate::hash::{KeyedHash, tombstones_over};
use crate::import::{ImportSessionError, ImportWriter};
use crate::index::{Index, Person};
use crate::keyring::Slot;
use crate::migrations::schema_version;
use crate::options::StoreOptions;
use crate::records::{RestrictionRecord, Tombstone, pack_row};
use crate::tensor::Tensor;
use crate::{codec, keys, migrations};
use recant_types::{FeedbackType, UnixMillis, UserId};

/// Milliseconds of a day.
const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1_000;

/// What was restored, and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made.
    pub created_at: Option<UnixMillis>,
    /// Users who have interactions again.
    pub users: u64,
    /// Users who have properties again.
    pub with_properties: u64,
    /// Items with interactions.
    pub items: u64,
    /// Pairs held now.
    pub interactions: u64,
    /// Parts of the backup whose person was erased since: they can no longer be read.
    pub unreadable: u64,
    /// Interactions that erasures since name.
    pub erased: u64,
    /// Interactions that are kept and not processed, of people whose processing is restricted.
    pub restricted: u64,
    /// Whether the model was restored, too; otherwise it has to be trained.
    pub model: bool,
}

/// Puts the contents of `backup` in place of what the store in `directory` holds. The directory must
/// have the key ring that the backup was made with, and must not belong to a cluster
/// ([`Store::leave_cluster`](crate::Store::leave_cluster)), as far as what it holds can be read.
pub fn restore(
    backup: &Path,
    directory: &Path,
    options: &StoreOptions,
) -> Result<Restored, StoreError> {
    let refused = |problem: &str| StoreError::Backup {
        path: backup.to_owned(),
        problem: problem.to_owned(),
    };
    let files = Files::open_to_restore(directory, options)?
        .ok_or_else(|| refused("it can be restored only beside the key ring of its store"))?;
    files.ring.keep_every_key()?;
    let (header, restrictions) = check(backup, &files)?;
    let acknowledged = files.ring.watermark()?;
    if header.erasures > acknowledged.erasures || header.commit > acknowledged.commit {
        return Err(refused("the key ring is older than the backup"));
    }
    let current = open_current(&files);
    if let Some((current, held)) = &current {
        current.check_single()?;
        files.ring.check_is_newest(*held, 0)?;
    }
    let current = current.map(|(current, _)| current);
    let missed = acknowledged.erasures > header.erasures;
    let kept = i64::from(options.tombstone_days).saturating_mul(DAY_MILLISECONDS);
    if missed && header.created_at.0 < UnixMillis::now().0.saturating_sub(kept) {
        return Err(refused(
            "it is older than store.tombstone_days: what was erased since is not known any more",
        ));
    }
    if missed && current.is_none() {
        return Err(refused(
            "erasures were accepted since it was made, and the store that knows which is not \
             readable: restore a later backup",
        ));
    }
    let mut restoring = Restoring {
        writer: ImportWriter::begin(&files, &options.feedback)?,
        since: HashSet::new(),
        records: HashMap::new(),
        factors: Vec::new(),
        keep_model: !missed,
        restored: Restored {
            created_at: Some(header.created_at),
            ..Restored::default()
        },
    };
    if let Some(current) = &current {
        restoring.read_current(current, &header)?;
        restoring.raise_to_what_is_held(current, &files);
    }
    restoring.restrict(restrictions)?;
    restoring.read_backup(backup, &files)?;
    drop(current);
    let restored = restoring.finish(&files)?;
    files.ring.destroy_log_key()?;
    files.opened_well()?;
    Ok(restored)
}

/// Records of restrictions, keys with payloads.
type Restrictions = Vec<(Vec<u8>, Vec<u8>)>;

/// Reads the whole file once, so that nothing is begun with a damaged one, and with it whose processing
/// was restricted.
fn check(backup: &Path, files: &Files) -> Result<(BackupHeader, Restrictions), StoreError> {
    let (mut reader, header) = FrameReader::open(backup, &files.ring)?;
    let mut restrictions = Vec::new();
    loop {
        match reader.next()? {
            ReadFrame::End => return Ok((header, restrictions)),
            ReadFrame::Frame(_, Frame::Record { key, payload }) if is_restriction(&key) => {
                restrictions.push((key, payload));
            }
            _ => {}
        }
    }
}

/// The current generation, when it is whole as far as opening can tell, and its last commit.
fn open_current(files: &Files) -> Option<(Generation, u64)> {
    let current = files.open_current().ok()?;
    let version = schema_version(&current.database).ok()?;
    let value = current.database.get(&keys::COMMIT).ok()??;
    let commit = current.codec.open(&keys::COMMIT, &value).ok()?;
    let commit = codec::read_u64(&commit).ok()?;
    // One that was not opened since the program is newer knows as well what was erased.
    let known = migrations::SEALED_VERSION..=migrations::MIGRATIONS.len() as u32;
    (known.contains(&version) && files.ring.check(commit).is_ok()).then_some((current, commit))
}

struct Restoring<'a> {
    writer: ImportWriter<'a>,
    /// Tombstones of erasures after the backup was begun.
    since: HashSet<KeyedHash>,
    /// Records that are kept as they are.
    records: HashMap<Vec<u8>, Vec<u8>>,
    factors: Vec<(u32, Vec<f64>)>,
    keep_model: bool,
    restored: Restored,
}

/// Facts about the whole store that do not outlive a restore, most of which it writes anew.
const WRITTEN_ANEW: [[u8; 2]; 9] = [
    keys::FEEDBACK_TYPES,
    keys::SCHEMA,
    keys::COMMIT,
    keys::APPLIED,
    keys::NEXT_POSITION,
    keys::ERASURES,
    keys::BEGUN,
    keys::MODEL,
    // Not at all: what is held then is not what the log led to.
    keys::MARK,
];

/// Whether a record outlives a restore: erasures and what belongs to them.
fn outlives(key: &[u8]) -> bool {
    match key.first() {
        Some(&keys::ITEM | &keys::TENSOR | &keys::DESCRIPTION) => false,
        Some(&keys::META) => !WRITTEN_ANEW.iter().any(|written| key == written),
        _ => true,
    }
}

impl Restoring<'_> {
    /// What the store knows of erasures is kept, whatever the backup says.
    fn read_current(
        &mut self,
        current: &Generation,
        header: &BackupHeader,
    ) -> Result<(), StoreError> {
        let mut described = Vec::new();
        for record in current.database.scan_all() {
            let (key, value) = record?;
            let counter = key == keys::NEXT_POSITION;
            if key == keys::SCHEMA
                || current.codec.is_personal(&value)?
                || !(outlives(&key) || counter || is_description(&key))
            {
                continue;
            }
            let payload = current.codec.open(&key, &value)?;
            if is_description(&key) {
                described.push((key.to_vec(), payload));
                continue;
            }
            if key.first() == Some(&keys::TOMBSTONE) {
                let hash = keys::hash_of(&key).ok_or_else(StoreError::cut_key)?;
                let tombstone: Tombstone = codec::from_postcard(&payload)?;
                if tombstone.number > header.erasures {
                    self.since.insert(hash);
                }
            }
            self.records.insert(key.to_vec(), payload);
        }
        // Of an item that was erased since, what was said of it after that.
        described.retain(|(key, _)| self.is_erased(key));
        self.records.extend(described);
        Ok(())
    }

    /// Whose processing is restricted: those whom the store says, and those whom the backup says and the
    /// store knows nothing else of. So a restriction made since stays, and so does the end of one.
    fn restrict(&mut self, of_backup: Restrictions) -> Result<(), StoreError> {
        for (key, payload) in of_backup {
            if !self.is_erased(&key) {
                self.records.entry(key).or_insert(payload);
            }
        }
        let mut restricted = HashSet::new();
        for (key, payload) in self.records.iter().filter(|(key, _)| is_restriction(key)) {
            let restriction: RestrictionRecord = codec::from_postcard(payload)?;
            if restriction.lifted_at.is_none() {
                restricted.insert(keys::hash_of(key).ok_or_else(StoreError::cut_key)?);
            }
        }
        self.writer.restrict(restricted);
        Ok(())
    }

    /// Whether what the key of a description or a restriction is about was erased after the backup was
    /// begun.
    fn is_erased(&self, key: &[u8]) -> bool {
        keys::hash_of(key).is_some_and(|hash| self.since.contains(&hash))
    }

    fn read_backup(&mut self, backup: &Path, files: &Files) -> Result<(), StoreError> {
        let (mut reader, _) = FrameReader::open(backup, &files.ring)?;
        loop {
            match reader.next()? {
                ReadFrame::End => return Ok(()),
                ReadFrame::Gone => self.restored.unreadable += 1,
                ReadFrame::Frame(slot, Frame::Person { user, rows }) => {
                    self.take_person(slot, &user, rows)?;
                }
                ReadFrame::Frame(
                    slot,
                    Frame::TypedPerson {
                        user,
                        mut rows,
                        types,
                        numbers,
                    }
                    | Frame::RestrictedPerson {
                        user,
                        mut rows,
                        types,
                        numbers,
                    },
                ) => {
                    self.number_types(&mut rows, &types, &numbers)?;
                    self.take_person(slot, &user, rows)?;
                }
                ReadFrame::Frame(slot, Frame::Properties { user, said }) => {
                    self.take_properties(slot, &user, &said)?;
                }
                ReadFrame::Frame(_, Frame::Item { id, title, factors }) => {
                    let erased = self.since.contains(&self.writer.hasher().item(&id));
                    let title = title.filter(|_| !erased);
                    let row = self.writer.take_item(&id, title.as_deref())?;
                    self.factors.extend(factors.map(|factors| (row, factors)));
                }
                ReadFrame::Frame(_, Frame::Record { key, payload }) => {
                    self.take_record(key, payload)?
                }
                ReadFrame::Frame(_, Frame::Header(_) | Frame::End { .. }) => {
                    return Err(reader.damaged("a frame is out of place"));
                }
            }
        }
    }

    /// Gives rows the numbers that their types have in the store that is restored.
    fn number_types(
        &mut self,
        rows: &mut [BackupRow],
        types: &[FeedbackType],
        numbers: &[u8],
    ) -> Result<(), StoreError> {
        for (row, number) in rows.iter_mut().zip(numbers) {
            let unknown = || StoreError::damaged("there is no such type of feedback");
            let name = types.get(usize::from(*number)).ok_or_else(unknown)?;
            let known = self.writer.feedback_number(name);
            row.feedback = known.map_err(into_store_error)?;
        }
        Ok(())
    }

    fn take_person(
        &mut self,
        slot: Slot,
        user: &UserId,
        rows: Vec<BackupRow>,
    ) -> Result<(), StoreError> {
        let hasher = self.writer.hasher().clone();
        let hash = hasher.user(user);
        self.writer.expect_person(user, slot)?;
        for row in rows {
            let feedback = self.writer.feedback_type(row.feedback);
            let named = tombstones_over(&hasher, hash, &row.item, &feedback);
            if named.iter().any(|hash| self.since.contains(hash)) {
                self.restored.erased += 1;
                for hash in named {
                    self.hold_back(hash, row.timestamp)?;
                }
                continue;
            }
            let (user, item) = (user.expose(), row.item.expose());
            let taken = (self.writer).take(row.feedback, user, item, row.weight, row.timestamp);
            taken.map_err(into_store_error)?;
        }
        Ok(())
    }

    /// The worker raises the tombstone of an item when it takes the item from the histories; with a restore
    /// they are gone before. What cannot be read of a damaged store, which may be why a backup is
    /// restored, is passed over.
    fn raise_to_what_is_held(&mut self, current: &Generation, files: &Files) {
        let index = Index::read(&current.database, &current.codec, &files.hasher);
        let Ok(index) = index else {
            return;
        };
        if !index.unapplied.has_items() {
            return;
        }
        for person in index.persons.values() {
            let held = held_of_erased_items(current, &index, files, person);
            for (item, timestamp) in held.into_iter().flatten() {
                drop(self.hold_back(item, timestamp));
            }
        }
    }

    /// What is left out because this was erased does not come back later, however late a fast clock says
    /// that it happened: the erasure of an item may not have been carried out before.
    fn hold_back(&mut self, named: KeyedHash, timestamp: Option<i64>) -> Result<(), StoreError> {
        let happened_at = timestamp.map(UnixMillis::from_timestamp);
        let key = keys::tombstone(named);
        let (Some(happened_at), Some(payload)) = (happened_at, self.records.get(&key)) else {
            return Ok(());
        };
        let tombstone: Tombstone = codec::from_postcard(payload)?;
        if tombstone.erased_at < happened_at {
            let raised = Tombstone {
                erased_at: happened_at,
                ..tombstone
            };
            self.records.insert(key, codec::to_postcard(&raised));
        }
        Ok(())
    }

    fn take_properties(
        &mut self,
        slot: Slot,
        user: &UserId,
        said: &[u8],
    ) -> Result<(), StoreError> {
        let hash = self.writer.hasher().user(user);
        if self.since.contains(&hash) {
            self.restored.unreadable += 1;
            return Ok(());
        }
        self.restored.with_properties += 1;
        let said = codec::from_json(said)?;
        self.writer.take_properties(user, slot, said)
    }

    fn take_record(&mut self, key: Vec<u8>, payload: Vec<u8>) -> Result<(), StoreError> {
        if key == keys::NEXT_POSITION {
            let before = self.records.get(&key);
            let before = before.map_or(Ok(0), |payload| codec::read_u64(payload))?;
            let next = codec::read_u64(&payload)?.max(before);
            self.records.insert(key, next.to_le_bytes().to_vec());
        } else if is_restriction(&key) {
            // Taken already.
        } else if is_description(&key) {
            if !self.is_erased(&key) {
                self.records.insert(key, payload);
            }
        } else if outlives(&key) || (is_of_model(&key) && self.keep_model) {
            self.records.entry(key).or_insert(payload);
        }
        Ok(())
    }

    fn finish(mut self, files: &Files) -> Result<Restored, StoreError> {
        let watermark = files.ring.watermark()?;
        let next = self.records.get(&keys::NEXT_POSITION[..]);
        let next = next.map_or(Ok(1), |payload| codec::read_u64(payload))?;
        // Erasures that wait in the log have left the data already; the model hears of them.
        let applied = next - 1;
        let next_generation = self.writer.next_generation();
        for (key, payload) in self.records.drain() {
            next_generation.put(key, &payload)?;
        }
        for (key, number) in [
            (keys::NEXT_POSITION, next),
            (keys::APPLIED, applied),
            (keys::COMMIT, watermark.commit),
            (keys::ERASURES, watermark.erasures),
        ] {
            next_generation.put(key.to_vec(), &number.to_le_bytes())?;
        }
        next_generation.put_schema(migrations::MIGRATIONS.len() as u32)?;
        if self.keep_model {
            for (row, factors) in self.factors.drain(..) {
                let key = keys::tensor_row(Tensor::ItemFactors, row);
                next_generation.put(key, &pack_row(&factors))?;
            }
        }
        failpoint("restore_before_switch");
        let totals = self.writer.finish()?;
        Ok(Restored {
            users: totals.users,
            items: totals.items,
            interactions: totals.interactions,
            restricted: totals.restricted,
            model: self.keep_model,
            ..self.restored
        })
    }
}

/// What a person holds, in the history and in the log, of items that were erased and that no worker has taken
/// yet: the item, and when it happened.
fn held_of_erased_items(
    current: &Generation,
    index: &Index,
    files: &Files,
    person: &Person,
) -> Result<Vec<(KeyedHash, Option<i64>)>, StoreError> {
    let history = current.history(person.pseudonym)?;
    let of_history = history.iter().filter_map(|held| {
        let item = index.item_hash(held.item)?;
        let position = index.unapplied.item_erased_at(item);
        position.map(|_| (item, held.timestamp))
    });
    let mut held: Vec<_> = of_history.collect();
    for (position, part) in &person.queued {
        for row in current.queued(*position, *part)? {
            let item = files.hasher.item(&row.item);
            if index.unapplied.item_erased_after(item, *position) {
                held.push((item, row.timestamp));
            }
        }
    }
    Ok(held)
}

/// Whether a record says something about an item.
fn is_description(key: &[u8]) -> bool {
    key.first() == Some(&keys::DESCRIPTION)
}

/// Whether a record says that somebody's processing is restricted, or was.
fn is_restriction(key: &[u8]) -> bool {
    key.first() == Some(&keys::RESTRICTION)
}

/// Whether a record belongs to the model as a whole.
fn is_of_model(key: &[u8]) -> bool {
    key == keys::MODEL || key.starts_with(&keys::tensor(Tensor::Shared))
}

fn into_store_error(error: ImportSessionError) -> StoreError {
    match error {
        ImportSessionError::Store(error) => error,
        error => StoreError::damaged(error.to_string()),
    }
}
