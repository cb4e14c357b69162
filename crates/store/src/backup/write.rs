//! Writing a backup while the store serves.

use std::collections::HashMap;
use std::fs;
use std::io::BufWriter;
use std::path::Path;

use crate::codec;
use crate::error::StoreError;
use crate::files::Generation;
use crate::hash::KeyedHash;
use crate::index::{Index, Person};
use crate::kept;
use crate::keys::{self, row_of};
use crate::persons;
use crate::position::LogPosition;
use crate::private;
use crate::records::{ItemRecord, unpack_row};
use crate::shared::Shared;
use crate::tensor::Tensor;
use recant_types::{FeedbackNumber, ItemId, UnixMillis};

use super::format::{BackupHeader, BackupRow, Frame, FrameWriter, ROWS_PER_FRAME};

/// What a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupSummary {
    /// Persons of whom something is held.
    pub users: u64,
    /// Items, with or without interactions.
    pub items: u64,
    /// Interactions, those included that wait to be learnt.
    pub interactions: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a backup to `to`, which must not exist. The file is there when it is whole and durable.
pub(crate) fn backup(shared: &Shared, to: &Path) -> Result<BackupSummary, StoreError> {
    let io = |error| StoreError::io(to, &error);
    if to.symlink_metadata().is_ok() {
        return Err(StoreError::Backup {
            path: to.to_owned(),
            problem: String::from("it exists already: name another file"),
        });
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    // Not through a link that somebody planted where the directory is not ours alone.
    let file = private::create_file(partial).map_err(io)?;
    let watermark = shared.watermark();
    let header = BackupHeader {
        id: rand::random(),
        created_at: UnixMillis::now(),
        commit: watermark.commit,
        erasures: watermark.erasures,
    };
    let ring = &shared.files.ring;
    let writer = FrameWriter::begin(BufWriter::new(file), partial, ring, header)?;
    let mut backup = Backup {
        shared,
        writer,
        items: HashMap::new(),
        summary: BackupSummary::default(),
    };
    backup.put_persons()?;
    shared.read(|open| backup.put_everything_else(open))?;
    let (file, bytes) = backup.writer.finish()?;
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    shared.files.syncs.data(&file, partial)?;
    fs::rename(partial, to).map_err(io)?;
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty());
    shared
        .files
        .syncs
        .directory(parent.unwrap_or(Path::new(".")))?;
    Ok(BackupSummary {
        bytes,
        ..backup.summary
    })
}

/// The frame of some rows of one person, with their types of feedback where they are not all the
/// default. The types are read after the rows, for none is ever taken away.
fn person_frame(person: &Person, rows: Vec<BackupRow>, shared: &Shared) -> Frame {
    let (user, is_restricted) = (person.id.clone(), person.kept > 0);
    let are_default = rows
        .iter()
        .all(|row| row.feedback == FeedbackNumber::default());
    if are_default && !is_restricted {
        return Frame::Person { user, rows };
    }
    let numbers = rows.iter().map(|row| row.feedback.0).collect();
    let types = shared.index().feedback_types.clone();
    if is_restricted {
        Frame::RestrictedPerson {
            user,
            rows,
            types,
            numbers,
        }
    } else {
        Frame::TypedPerson {
            user,
            rows,
            types,
            numbers,
        }
    }
}

struct Backup<'a> {
    shared: &'a Shared,
    writer: FrameWriter<BufWriter<fs::File>>,
    /// Ids of items by row, with the hash that the row had then.
    items: HashMap<u32, (KeyedHash, ItemId)>,
    summary: BackupSummary,
}

impl Backup<'_> {
    fn put_persons(&mut self) -> Result<(), StoreError> {
        let shared = self.shared;
        let hashes: Vec<KeyedHash> = shared.index().persons.keys().copied().collect();
        for hash in hashes {
            let read = shared.read(|open| {
                // Nothing of this person changes while it is read.
                let index = shared.index();
                let Some(person) = index.persons.get(&hash) else {
                    return Ok(None);
                };
                // Its slot may hold somebody else's key as soon as the index may change.
                let key = shared.files.ring.key(person.backup)?;
                let rows = self.read_person(open, &index, person)?;
                let said = persons::properties(open, person)?;
                Ok(key.map(|key| (person.clone(), said, rows, key)))
            })?;
            // Erased in this very moment: then it does not belong into the backup.
            let Some((person, said, rows, key)) = read else {
                continue;
            };
            self.summary.users += 1;
            if !said.is_empty() {
                let (user, said) = (person.id.clone(), codec::to_json(&said));
                let frame = Frame::Properties { user, said };
                self.writer.put_under(person.backup, &key, &frame)?;
            }
            self.summary.interactions += rows.len() as u64;
            for rows in rows.chunks(ROWS_PER_FRAME) {
                let frame = person_frame(&person, rows.to_vec(), shared);
                self.writer.put_under(person.backup, &key, &frame)?;
            }
        }
        Ok(())
    }

    /// Everything that a person did, what waits in the log after what is held; or what is kept of one who
    /// is restricted.
    fn read_person(
        &mut self,
        open: &Generation,
        index: &Index,
        person: &Person,
    ) -> Result<Vec<BackupRow>, StoreError> {
        let mut rows = Vec::new();
        if person.row.is_some() {
            for held in open.history(person.pseudonym)? {
                // Erased, and not yet taken from the histories.
                let erased = |hash| index.unapplied.item_erased_after(hash, LogPosition(0));
                if index.item_hash(held.item).is_some_and(erased) {
                    continue;
                }
                rows.push(BackupRow {
                    item: self.item(open, index, held.item)?,
                    weight: held.weight,
                    timestamp: held.timestamp,
                    feedback: held.feedback,
                });
            }
        }
        let waiting = person.queued.range((open.applied()?.next(), 0)..);
        for (position, part) in waiting {
            let waiting = open.queued(*position, *part)?.into_iter();
            let kept = waiting.filter(|row| {
                let hash = self.shared.files.hasher.item(&row.item);
                !index.unapplied.item_erased_after(hash, *position)
            });
            rows.extend(kept.map(BackupRow::from));
        }
        rows.extend(kept::rows(open, person)?.into_iter().map(BackupRow::from));
        Ok(rows)
    }

    /// The id of the item at a row, as the index has it now.
    fn item(&mut self, open: &Generation, index: &Index, row: u32) -> Result<ItemId, StoreError> {
        let hash = index.item_hash(row);
        if let Some((known, id)) = self.items.get(&row)
            && Some(*known) == hash
        {
            return Ok(id.clone());
        }
        let missing = || StoreError::damaged("an item is missing");
        let key = keys::item(row);
        let value = open.database.get(&key)?.ok_or_else(missing)?;
        let item: ItemRecord = codec::from_json(&open.codec.open(&key, &value)?)?;
        let hash = hash.ok_or_else(missing)?;
        self.items.insert(row, (hash, item.id.clone()));
        Ok(item.id)
    }

    /// Items with their factors, and the records that are kept as they are.
    fn put_everything_else(&mut self, open: &Generation) -> Result<(), StoreError> {
        for record in open.database.scan_all() {
            let (key, value) = record?;
            let kind = key.first().copied().unwrap_or_default();
            let is_factors =
                kind == keys::TENSOR && !key.starts_with(&keys::tensor(Tensor::Shared));
            // A store that is restored from it follows no log any more.
            let is_of_place = key == keys::SCHEMA || key == keys::MARK;
            if is_of_place || is_factors || open.codec.is_personal(&value)? {
                continue;
            }
            let payload = open.codec.open(&key, &value)?;
            if kind == keys::ITEM {
                self.put_item(open, row_of(&key)?, &payload)?;
            } else {
                let key = key.to_vec();
                self.writer.put(&Frame::Record { key, payload })?;
            }
        }
        Ok(())
    }

    fn put_item(&mut self, open: &Generation, row: u32, payload: &[u8]) -> Result<(), StoreError> {
        let item: ItemRecord = codec::from_json(payload)?;
        let key = keys::tensor_row(Tensor::ItemFactors, row);
        let factors = match open.database.get(&key)? {
            Some(value) => Some(unpack_row(&open.codec.open(&key, &value)?)?),
            None => None,
        };
        if let Some(description) = item.description() {
            let key = keys::description(self.shared.files.hasher.item(&item.id));
            // One of its own is newer, and is put by itself.
            if open.database.get(&key)?.is_none() {
                let payload = codec::to_json(&description);
                self.writer.put(&Frame::Record { key, payload })?;
            }
        }
        self.summary.items += 1;
        self.writer.put(&Frame::Item {
            id: item.id,
            title: None,
            factors,
        })
    }
}
