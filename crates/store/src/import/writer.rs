//! Gathers rows in memory and merges them into the histories of the next generation.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::ImportSessionError;
use super::rows::Rows;
use crate::codec::{self, seal_under};
use crate::error::StoreError;
use crate::files::Files;
use crate::generation::NextGeneration;
use crate::hash::{IdHasher, KeyedHash};
use crate::index::{Index, Person};
use crate::keyring::Slot;
use crate::keys::Pseudonym;
use crate::keys::{self, row_of};
use crate::records::{
    HELD_PER_CHUNK, HeldInteraction, ItemRecord, ModelHeader, Tombstone, UserRecord, pack_history,
    unpack_history,
};
use crate::tensor::Tensor;
use recant_types::{ItemId, UnixMillis, UserId};

/// New users whose keys are readied at a time.
const KEYS_READIED: usize = 8_192;

/// Interactions held in memory before they are merged into the histories: 128 MiB.
const BUFFER_ROWS: usize = 4 << 20;

/// What an import did, and what the store holds after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportTotals {
    /// Pairs that are new.
    pub added: u64,
    /// Pairs that were given again or held already; the later one stays.
    pub duplicates: u64,
    /// Users with interactions now.
    pub users: u64,
    /// Items with interactions now.
    pub items: u64,
    /// Pairs held now.
    pub interactions: u64,
    /// Rows that were held back: an erasure accepted after they happened names them.
    pub held_back: u64,
}

/// One gathered row.
#[derive(Debug, Clone, Copy)]
struct Gathered {
    user: u32,
    held: HeldInteraction,
}

/// Takes interactions, titles and tags one by one.
#[derive(Debug)]
pub struct ImportWriter<'a> {
    next: NextGeneration<'a>,
    users: Rows<UserId>,
    /// By row, whose keys are where.
    persons: Vec<Option<Person>>,
    /// How many of the readied slots are left.
    readied: usize,
    /// Persons of whom something waits in the log and nothing is held yet.
    waiting: HashMap<KeyedHash, Person>,
    items: Rows<ItemId>,
    titles: HashMap<u32, Arc<str>>,
    tags: HashMap<u32, Vec<Arc<str>>>,
    /// Rows of items that are new or have a new title.
    changed_items: Vec<u32>,
    /// By row, whether an item has interactions.
    held_items: Vec<bool>,
    /// When what has a hash was erased.
    tombstones: HashMap<KeyedHash, UnixMillis>,
    /// Whether rows without a time happened after every erasure.
    after_erasures: bool,
    buffer: Vec<Gathered>,
    totals: ImportTotals,
}

impl ImportWriter<'_> {
    /// Begins a generation without anything in it.
    pub(crate) fn begin(files: &Files) -> Result<ImportWriter<'_>, StoreError> {
        Ok(ImportWriter {
            next: NextGeneration::begin(files)?,
            users: Rows::default(),
            persons: Vec::new(),
            readied: 0,
            waiting: HashMap::new(),
            items: Rows::default(),
            titles: HashMap::new(),
            tags: HashMap::new(),
            changed_items: Vec::new(),
            held_items: Vec::new(),
            tombstones: HashMap::new(),
            after_erasures: false,
            buffer: Vec::new(),
            totals: ImportTotals::default(),
        })
    }

    pub(super) fn take_over(
        &mut self,
        current: &crate::files::Generation,
        mut index: Index,
    ) -> Result<(), StoreError> {
        let mut held = Vec::new();
        let (users, items) = (&mut self.users, &mut self.items);
        let (titles, totals) = (&mut self.titles, &mut self.totals);
        let tags = &mut self.tags;
        let (held_items, tombstones) = (&mut self.held_items, &mut self.tombstones);
        let mut rows = Vec::new();
        self.next.copy(current, |key, _, payload| {
            match key.first() {
                Some(&keys::USER) => {
                    let record: UserRecord = codec::from_postcard(payload)?;
                    rows.push((record.row, record.id));
                }
                Some(&keys::ITEM) => {
                    let (row, item) = (row_of(key)?, codec::from_json::<ItemRecord>(payload)?);
                    titles.extend(item.title.map(|title| (row, title)));
                    tags.insert(row, item.tags);
                    items.hold(row, item.id);
                }
                Some(&keys::HISTORY) => {
                    held.clear();
                    unpack_history(payload, &mut held)?;
                    totals.interactions += held.len() as u64;
                    held.iter().for_each(|held| mark(held_items, held.item));
                }
                Some(&keys::TOMBSTONE) => {
                    let hash = keys::tombstone_hash(key).ok_or_else(StoreError::cut_key)?;
                    let tombstone: Tombstone = codec::from_postcard(payload)?;
                    tombstones.insert(hash, tombstone.erased_at);
                }
                _ => {}
            }
            Ok(())
        })?;
        rows.sort_unstable_by_key(|(row, _)| *row);
        for (row, id) in rows {
            let person = index.at_row(row).map(|(_, person)| person.clone());
            users.hold(row, id);
            self.persons.resize(row as usize, None);
            self.persons.push(person);
        }
        let waiting = index.persons.drain();
        self.waiting = waiting.filter(|(_, p)| p.row.is_none()).collect();
        Ok(())
    }

    /// Takes rows without a time as newer than every erasure, instead of holding them back when an
    /// erasure names them.
    pub fn after_erasures(&mut self) {
        self.after_erasures = true;
    }

    /// Takes one interaction; of equal pairs the later one stays. One that happened before an
    /// erasure that names it is held back.
    pub fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        if self.is_held_back(user, item, timestamp)? {
            self.totals.held_back += 1;
            return Ok(());
        }
        self.take(user, item, weight, timestamp)
    }

    /// Takes one interaction, whatever was erased.
    pub(crate) fn take(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        let (user_row, new_user) = self.users.assign(user, UserId::new)?;
        if new_user {
            self.give_keys(user_row, &UserId::new(user)?)?;
        }
        let item = self.item_row(item)?;
        self.buffer.push(Gathered {
            user: user_row,
            held: HeldInteraction {
                item,
                weight,
                timestamp,
            },
        });
        if self.buffer.len() >= BUFFER_ROWS {
            self.merge()?;
        }
        Ok(())
    }

    /// Takes an item, with or without a title; returns its row.
    pub(crate) fn take_item(
        &mut self,
        id: &ItemId,
        title: Option<&str>,
    ) -> Result<u32, StoreError> {
        let row = self.item_row(id.expose());
        let row = row.map_err(|_| StoreError::damaged("there are too many items"))?;
        self.titles
            .extend(title.map(|title| (row, Arc::from(title))));
        Ok(row)
    }

    /// The person with this hash has a key for backups already, and gets a live one.
    pub(crate) fn expect_person(
        &mut self,
        hash: KeyedHash,
        backup: Slot,
    ) -> Result<(), StoreError> {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.waiting.entry(hash) {
            entry.insert(Person {
                live: self.next.codec().ring().take()?,
                backup,
                pseudonym: Pseudonym::random(),
                row: None,
                queued: Default::default(),
            });
        }
        Ok(())
    }

    /// How ids are hashed.
    pub(crate) fn hasher(&self) -> &IdHasher {
        self.next.hasher()
    }

    /// The generation being built.
    pub(crate) fn next_generation(&self) -> &NextGeneration<'_> {
        &self.next
    }

    fn is_held_back(
        &self,
        user: &str,
        item: &str,
        timestamp: Option<i64>,
    ) -> Result<bool, ImportSessionError> {
        if self.tombstones.is_empty() || (timestamp.is_none() && self.after_erasures) {
            return Ok(false);
        }
        let hasher = self.next.hasher();
        let user = hasher.user(&UserId::new(user)?);
        let item = hasher.item(&ItemId::new(item)?);
        let happened_at = timestamp.map(UnixMillis::from_timestamp);
        let hashes = [user, item, hasher.pair(user, item)];
        let mut erased_at = hashes.iter().filter_map(|hash| self.tombstones.get(hash));
        // Without a time nothing says that it is not the very row that was erased.
        Ok(erased_at.any(|erased_at| happened_at.is_none_or(|at| at <= *erased_at)))
    }

    /// Keys for a new user, and the user's record under them.
    fn give_keys(&mut self, row: u32, id: &UserId) -> Result<(), StoreError> {
        let known = match self.waiting.is_empty() {
            true => None,
            false => self.waiting.remove(&self.next.hasher().user(id)),
        };
        let mut person = match known {
            Some(person) => person,
            None => self.new_person()?,
        };
        person.row = Some(row);
        let record = UserRecord {
            row,
            backup: person.backup.0,
            id: id.clone(),
        };
        let key = keys::user(person.pseudonym);
        self.put_personal(&person, key, &codec::to_postcard(&record))?;
        let row = row as usize;
        if self.persons.len() <= row {
            self.persons.resize(row + 1, None);
        }
        self.persons[row] = Some(person);
        Ok(())
    }

    fn new_person(&mut self) -> Result<Person, StoreError> {
        let ring = self.next.codec().ring();
        if self.readied < 2 {
            ring.ready(2 * KEYS_READIED)?;
            self.readied = 2 * KEYS_READIED;
        }
        self.readied -= 2;
        Ok(Person {
            live: ring.take()?,
            backup: ring.take()?,
            pseudonym: Pseudonym::random(),
            row: None,
            queued: Default::default(),
        })
    }

    fn put_personal(
        &self,
        person: &Person,
        key: Vec<u8>,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let secret = self.next.codec().ring().key(person.live)?;
        let secret = secret.ok_or_else(StoreError::missing_person)?;
        let value = seal_under(person.live, &secret, &key, payload);
        self.next.database().put(key, value)
    }

    /// Sets the title of an item, held or not.
    pub fn set_title(&mut self, item: &str, title: &str) -> Result<(), ImportSessionError> {
        let row = self.item_row(item)?;
        self.titles.insert(row, Arc::from(title));
        self.changed_items.push(row);
        Ok(())
    }

    /// Sets the tags of an item, held or not, instead of those it had.
    pub fn set_tags(
        &mut self,
        item: &str,
        tags: &mut dyn Iterator<Item = &str>,
    ) -> Result<(), ImportSessionError> {
        let row = self.item_row(item)?;
        let mut tags: Vec<Arc<str>> = tags.map(Arc::from).collect();
        tags.sort_unstable();
        tags.dedup();
        self.tags.insert(row, tags);
        self.changed_items.push(row);
        Ok(())
    }

    fn item_row(&mut self, item: &str) -> Result<u32, ImportSessionError> {
        let (row, new) = self.items.assign(item, ItemId::new)?;
        if new {
            // Whoever had the row before has left nothing to start from.
            self.next
                .remove(&keys::tensor_row(Tensor::ItemFactors, row))?;
            self.changed_items.push(row);
        }
        Ok(row)
    }

    /// Merges what was gathered into the histories.
    fn merge(&mut self) -> Result<(), StoreError> {
        let mut gathered = std::mem::take(&mut self.buffer);
        // Stable: of equal pairs the last one given comes last.
        gathered.sort_by_key(|row| (row.user, row.held.item));
        for run in gathered.chunk_by(|a, b| a.user == b.user) {
            self.merge_user(run)?;
        }
        gathered.clear();
        self.buffer = gathered;
        Ok(())
    }

    fn merge_user(&mut self, run: &[Gathered]) -> Result<(), StoreError> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let person = self.persons.get(first.user as usize).cloned().flatten();
        let person = person.ok_or_else(StoreError::missing_person)?;
        let mut history = Vec::new();
        for record in self.next.scan(&keys::history(person.pseudonym)) {
            unpack_history(&record?.1, &mut history)?;
        }
        let before = history.len();
        history.extend(run.iter().map(|row| row.held));
        history.sort_by_key(|held| held.item);
        // Of equals the last one stays: what was held comes before what was gathered.
        history.reverse();
        history.dedup_by_key(|held| held.item);
        history.reverse();
        let added = history.len() - before;
        self.totals.added += added as u64;
        self.totals.interactions += added as u64;
        self.totals.duplicates += (run.len() - added) as u64;
        run.iter()
            .for_each(|row| mark(&mut self.held_items, row.held.item));
        // A history never shrinks here, so every chunk it had is written anew.
        for (chunk, held) in history.chunks(HELD_PER_CHUNK).enumerate() {
            let key = keys::history_chunk(person.pseudonym, chunk as u16);
            self.put_personal(&person, key, &pack_history(held))?;
        }
        Ok(())
    }

    /// Makes everything durable and part of the store at once.
    pub fn finish(mut self) -> Result<ImportTotals, StoreError> {
        self.merge()?;
        self.write_items()?;
        self.forget_measurements()?;
        self.totals.users = self.users.rows.len() as u64;
        self.totals.items = self.held_items.iter().filter(|held| **held).count() as u64;
        self.next.finish()?;
        Ok(self.totals)
    }

    fn write_items(&mut self) -> Result<(), StoreError> {
        self.changed_items.sort_unstable();
        self.changed_items.dedup();
        let ids: HashMap<u32, &ItemId> =
            self.items.rows.iter().map(|(id, row)| (*row, id)).collect();
        for row in &self.changed_items {
            if let Some(id) = ids.get(row) {
                let record = ItemRecord {
                    id: (*id).clone(),
                    title: self.titles.get(row).cloned(),
                    tags: self.tags.get(row).cloned().unwrap_or_default(),
                };
                self.next.put(keys::item(*row), &codec::to_json(&record))?;
            }
        }
        Ok(())
    }

    /// What was measured of the model was measured on other data.
    fn forget_measurements(&self) -> Result<(), StoreError> {
        let Some(payload) = self.next.get(&keys::MODEL)? else {
            return Ok(());
        };
        let header = codec::from_json::<ModelHeader>(&payload)?;
        let header = ModelHeader {
            residual: None,
            objective: None,
            measured_version: None,
            certificate: None,
            certified: None,
            ..header
        };
        self.next
            .put(keys::MODEL.to_vec(), &codec::to_json(&header))
    }
}

fn mark(held_items: &mut Vec<bool>, row: u32) {
    let row = row as usize;
    if held_items.len() <= row {
        held_items.resize(row + 1, false);
    }
    held_items[row] = true;
}
