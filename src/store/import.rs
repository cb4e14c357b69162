//! Adding many interactions at once: all of them, or none.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::ids::{InvalidId, ItemId, UserId};
use crate::store::batch::Tensor;
use crate::store::database::Database;
use crate::store::directory::Directory;
use crate::store::generation::NextGeneration;
use crate::store::migrations::{MIGRATIONS, bring_up_to_date};
use crate::store::records::{
    HELD_PER_CHUNK, HeldInteraction, ItemRecord, ModelHeader, pack_history, unpack_history,
};
use crate::store::{StoreError, StoreOptions, codec, keys, parse_user};

/// Interactions held in memory before they are merged into the histories: 128 MiB.
const BUFFER_ROWS: usize = 4 << 20;

/// Why an import cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportSessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An id cannot be one.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// There are more users or items than rows can be numbered.
    #[error("there are more than 4294967295 users or items")]
    TooManyRows,
}

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
}

/// A directory that is being imported into; nobody else can use it meanwhile.
///
/// Rows are gathered in memory up to a bound and then merged, sorted by user, into the histories
/// of the store's next generation. Dropped without [`ImportWriter::finish`], it leaves the store
/// as it was.
#[derive(Debug)]
pub struct ImportSession {
    directory: Directory,
    cache_bytes: u64,
}

impl ImportSession {
    /// Locks the directory, made or brought up to date if need be.
    pub fn begin(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let directory = Directory::open(path)?;
        bring_up_to_date(&directory, options.cache_bytes, &MIGRATIONS)?;
        Ok(Self {
            directory,
            cache_bytes: options.cache_bytes,
        })
    }

    /// Takes over what the store holds, to add to it.
    pub fn writer(&self) -> Result<ImportWriter<'_>, StoreError> {
        let next = NextGeneration::begin(&self.directory, self.cache_bytes)?;
        let mut writer = ImportWriter {
            next,
            users: Rows::default(),
            items: Rows::default(),
            titles: HashMap::new(),
            tags: HashMap::new(),
            changed_items: Vec::new(),
            held_items: Vec::new(),
            buffer: Vec::new(),
            totals: ImportTotals::default(),
        };
        writer.take_over(&self.directory, self.cache_bytes)?;
        Ok(writer)
    }
}

/// Row numbers by id, with the gaps that are free.
#[derive(Debug)]
struct Rows<Id> {
    rows: HashMap<Id, u32>,
    free: Vec<u32>,
    end: u32,
}

impl<Id> Default for Rows<Id> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            free: Vec::new(),
            end: 0,
        }
    }
}

impl<Id: std::hash::Hash + Eq + std::borrow::Borrow<str>> Rows<Id> {
    /// Enters a row that is held; rows come in ascending order.
    fn hold(&mut self, row: u32, id: Id) {
        self.free.extend(self.end..row);
        self.end = row + 1;
        self.rows.insert(id, row);
    }

    /// The row of `id`, and whether it was given out now.
    fn assign(
        &mut self,
        id: &str,
        new: impl FnOnce(&str) -> Result<Id, InvalidId>,
    ) -> Result<(u32, bool), ImportSessionError> {
        if let Some(row) = self.rows.get(id) {
            return Ok((*row, false));
        }
        let row = match self.free.pop() {
            Some(row) => row,
            None => {
                let row = self.end;
                self.end = row.checked_add(1).ok_or(ImportSessionError::TooManyRows)?;
                row
            }
        };
        self.rows.insert(new(id)?, row);
        Ok((row, true))
    }
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
    items: Rows<ItemId>,
    titles: HashMap<u32, Arc<str>>,
    tags: HashMap<u32, Vec<Arc<str>>>,
    /// Rows of items that are new or have a new title.
    changed_items: Vec<u32>,
    /// By row, whether an item has interactions.
    held_items: Vec<bool>,
    buffer: Vec<Gathered>,
    totals: ImportTotals,
}

impl ImportWriter<'_> {
    fn take_over(&mut self, directory: &Directory, cache_bytes: u64) -> Result<(), StoreError> {
        let number = directory
            .current()?
            .ok_or_else(|| StoreError::damaged("there is no CURRENT"))?;
        let current = Database::open(&directory.generation(number), cache_bytes)?;
        let mut held = Vec::new();
        let (users, items) = (&mut self.users, &mut self.items);
        let (titles, totals) = (&mut self.titles, &mut self.totals);
        let tags = &mut self.tags;
        let held_items = &mut self.held_items;
        self.next.copy(&current, |key, payload| {
            match key.first() {
                Some(&keys::USER) => users.hold(super::row_of(key)?, parse_user(payload)?),
                Some(&keys::ITEM) => {
                    let (row, item) = (
                        super::row_of(key)?,
                        codec::from_json::<ItemRecord>(payload)?,
                    );
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
                _ => {}
            }
            Ok(())
        })
    }

    /// Takes one interaction; of equal pairs the later one stays.
    pub fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        let (user_row, new_user) = self.users.assign(user, UserId::new)?;
        if new_user {
            self.next.put(keys::user(user_row), user.as_bytes())?;
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
        let mut history = Vec::new();
        for record in self.next.scan(&keys::history(first.user)) {
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
            self.next.put(
                keys::history_chunk(first.user, chunk as u16),
                &pack_history(held),
            )?;
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
