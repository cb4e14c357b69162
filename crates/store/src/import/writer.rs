//! Gathers rows in memory and merges them into the histories of the next generation.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::descriptions::Descriptions;
use super::error::ImportSessionError;
use super::gathered::{Gathered, ImportedTypes, WITHDRAWN, is_withdrawn};
use super::histories::Histories;
use super::kept::KeptRows;
use super::merge::{Merged, merge};
use super::rows::Rows;
use crate::codec;
use crate::error::StoreError;
use crate::files::{Files, Generation};
use crate::generation::NextGeneration;
use crate::hash::{IdHasher, KeyedHash, tombstones_over};
use crate::index::{Index, Person};
use crate::keyring::Slot;
use crate::keys::{self, Pseudonym, row_of};
use crate::records::{
    INTERACTIONS_PER_CHUNK, ItemRecord, ModelHeader, PropertiesRecord, QueuedRow,
    StoredInteraction, Tombstone, UserRecord, unpack_history,
};
use crate::tensor::Tensor;
use recant_types::{
    DescriptionPatch, FeedbackNumber, FeedbackRules, FeedbackType, ItemId, PersonProperties,
    UnixMillis, UserId,
};

/// New users whose keys are readied at a time.
const KEYS_READIED: usize = 8_192;

/// Interactions held in memory before they are merged into the histories: 128 MiB.
const BUFFER_ROWS: usize = 4 << 20;

/// What an import did, and what the store holds after it. Every row that was given is one of `added`,
/// `duplicates`, `withdrawn`, `held_back` and `restricted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportTotals {
    /// Pairs that are new.
    pub added: u64,
    /// Rows of pairs that another row stands for, because it is newer or the pair was held already.
    pub duplicates: u64,
    /// Rows that took their pair back, being its newest.
    pub withdrawn: u64,
    /// Users with interactions now.
    pub users: u64,
    /// Items with interactions now.
    pub items: u64,
    /// Pairs held now.
    pub interactions: u64,
    /// Rows that were held back: an erasure accepted after they happened names them.
    pub held_back: u64,
    /// Rows that are kept and not processed, because the processing of their user is restricted.
    pub restricted: u64,
}

/// Takes interactions, titles and tags one by one.
#[derive(Debug)]
pub struct ImportWriter<'a> {
    pub(super) next: NextGeneration<'a>,
    pub(super) feedback: ImportedTypes<'a>,
    /// What was held before.
    pub(super) before: Option<Generation>,
    users: Rows<UserId>,
    /// By row, whose keys are where.
    persons: Vec<Option<Person>>,
    /// Rows of users of whom nothing is written yet.
    unwritten: HashSet<u32>,
    /// How many of the readied slots are left.
    readied: usize,
    /// What is kept of restricted people who are named.
    pub(super) kept: KeptRows,
    /// Persons of whom something waits in the log, is said or is kept, and nothing else is held yet.
    pub(super) waiting: HashMap<KeyedHash, Person>,
    items: Rows<ItemId>,
    descriptions: Descriptions,
    /// Rows of items that stay although nothing is held of them.
    catalogue: HashSet<u32>,
    /// Rows of items whose record may be another one now.
    changed_items: Vec<u32>,
    /// By row, how many interactions an item has.
    item_counts: Vec<u32>,
    /// Rows of users who have pairs that were taken back.
    withdrawing: BTreeSet<u32>,
    /// When what has a hash was erased.
    tombstones: HashMap<KeyedHash, UnixMillis>,
    /// Items that were erased, and that the worker has not taken from the histories yet.
    being_erased: HashSet<KeyedHash>,
    /// Whether rows without a time happened after every erasure.
    after_erasures: bool,
    buffer: Vec<Gathered>,
    pub(super) totals: ImportTotals,
    /// Users of whom nothing is left because it was taken back.
    users_dropped: u64,
}

impl ImportWriter<'_> {
    /// Begins a generation without anything in it.
    pub(crate) fn begin<'a>(
        files: &'a Files,
        rules: &'a FeedbackRules,
    ) -> Result<ImportWriter<'a>, StoreError> {
        Ok(ImportWriter {
            next: NextGeneration::begin(files)?,
            feedback: ImportedTypes::new(vec![FeedbackType::default()], rules)?,
            before: None,
            users: Rows::default(),
            persons: Vec::new(),
            unwritten: HashSet::new(),
            readied: 0,
            kept: KeptRows::default(),
            waiting: HashMap::new(),
            items: Rows::default(),
            descriptions: Descriptions::default(),
            catalogue: HashSet::new(),
            changed_items: Vec::new(),
            item_counts: Vec::new(),
            withdrawing: BTreeSet::new(),
            tombstones: HashMap::new(),
            being_erased: HashSet::new(),
            after_erasures: false,
            buffer: Vec::new(),
            totals: ImportTotals::default(),
            users_dropped: 0,
        })
    }

    pub(super) fn take_over(
        &mut self,
        current: &Generation,
        mut index: Index,
    ) -> Result<(), StoreError> {
        self.feedback = ImportedTypes::new(
            std::mem::take(&mut index.feedback_types),
            self.feedback.rules,
        )?;
        let mut held = Vec::new();
        let (users, items) = (&mut self.users, &mut self.items);
        let (descriptions, totals) = (&mut self.descriptions, &mut self.totals);
        let changed_items = &mut self.changed_items;
        let (item_counts, tombstones) = (&mut self.item_counts, &mut self.tombstones);
        let mut rows = Vec::new();
        self.next.copy(current, |key, _, payload| {
            match key.first() {
                Some(&keys::USER) => {
                    let record: UserRecord = codec::from_postcard(payload)?;
                    rows.push((record.row, record.id));
                }
                Some(&keys::ITEM) => {
                    let (row, item) = (row_of(key)?, codec::from_json::<ItemRecord>(payload)?);
                    if let Some(description) = item.description() {
                        descriptions.move_from_row(description);
                        changed_items.push(row);
                    }
                    items.hold(row, item.id);
                }
                Some(&keys::DESCRIPTION) => descriptions.hold(codec::from_json(payload)?),
                Some(&keys::HISTORY) => {
                    held.clear();
                    unpack_history(payload, &mut held)?;
                    totals.interactions += held.len() as u64;
                    held.iter()
                        .for_each(|held| *count_of(item_counts, held.item) += 1);
                }
                Some(&keys::TOMBSTONE) => {
                    let hash = keys::hash_of(key).ok_or_else(StoreError::cut_key)?;
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
        self.being_erased = index.unapplied.items().collect();
        self.restrict(std::mem::take(&mut index.restricted));
        let waiting = index.persons.drain();
        self.waiting = waiting.filter(|(_, p)| p.row.is_none()).collect();
        Ok(())
    }

    /// Takes rows without a time as newer than every erasure, instead of holding them back when an
    /// erasure names them.
    pub fn after_erasures(&mut self) {
        self.after_erasures = true;
    }

    /// The number of a type of feedback, for [`ImportWriter::push_typed`]. It must have a rule.
    pub fn feedback_number(
        &mut self,
        feedback: &FeedbackType,
    ) -> Result<FeedbackNumber, ImportSessionError> {
        Ok(self.feedback.number(feedback)?)
    }

    /// The type of feedback with this number.
    pub(crate) fn feedback_type(&self, number: FeedbackNumber) -> FeedbackType {
        self.feedback.types.name(number)
    }

    /// Takes one interaction of the default type, otherwise as [`ImportWriter::push_typed`].
    pub fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        self.push_typed(FeedbackNumber::default(), user, item, weight, timestamp)
    }

    /// Takes one interaction. Several of a pair and a type are put together as the type's rule says;
    /// unless it says otherwise the newest stays, and of those without a time or with the same the one
    /// that comes later. One that happened before an erasure that names it is held back.
    pub fn push_typed(
        &mut self,
        feedback: FeedbackNumber,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        if self.is_held_back(feedback, user, item, timestamp)? {
            self.totals.held_back += 1;
            return Ok(());
        }
        self.take(feedback, user, item, weight, timestamp)
    }

    /// Takes a row that takes its pair back: when it is the newest of its type, the pair is held no
    /// longer.
    pub fn withdraw(
        &mut self,
        feedback: FeedbackNumber,
        user: &str,
        item: &str,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        self.push_typed(feedback, user, item, WITHDRAWN, timestamp)
    }

    /// Takes one interaction, whatever was erased.
    pub(crate) fn take(
        &mut self,
        feedback: FeedbackNumber,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), ImportSessionError> {
        // Whoever has a row is not restricted.
        if !self.users.rows.contains_key(user) && self.is_restricted(user)? {
            let row = QueuedRow {
                index: 0,
                item: ItemId::new(item)?,
                weight,
                timestamp,
                feedback,
            };
            return Ok(self.keep(UserId::new(user)?, row)?);
        }
        // First what can be refused: a user is never left without anything.
        let item = self.item_row(item)?;
        let (user_row, new_user) = self.users.assign(user, UserId::new)?;
        if new_user {
            self.give_keys(user_row, &UserId::new(user)?)?;
        }
        self.buffer.push(Gathered {
            user: user_row,
            held: StoredInteraction {
                item,
                feedback,
                weight,
                timestamp,
            },
        });
        if self.buffer.len() >= BUFFER_ROWS {
            self.merge()?;
        }
        Ok(())
    }

    /// Takes an item of a catalogue, with or without a title, held or not; returns its row.
    pub(crate) fn take_item(
        &mut self,
        id: &ItemId,
        title: Option<&str>,
    ) -> Result<u32, StoreError> {
        let row = self.item_row(id.expose());
        let row = row.map_err(|_| StoreError::damaged("there are too many items"))?;
        if let Some(title) = title {
            self.descriptions.of(id.clone()).title = Some(Arc::from(title));
        }
        self.catalogue.insert(row);
        Ok(row)
    }

    /// The person with this id has a key for backups already, and gets a live one.
    pub(crate) fn expect_person(&mut self, id: &UserId, backup: Slot) -> Result<(), StoreError> {
        let hash = self.hasher().user(id);
        if let std::collections::hash_map::Entry::Vacant(entry) = self.waiting.entry(hash) {
            let live = self.next.codec().ring().take()?;
            entry.insert(Person::new(id.clone(), live, backup, Pseudonym::random()));
        }
        Ok(())
    }

    /// What is said about a person who has a key for backups, and of whom nothing else was taken yet.
    pub(crate) fn take_properties(
        &mut self,
        id: &UserId,
        backup: Slot,
        properties: PersonProperties,
    ) -> Result<(), StoreError> {
        self.expect_person(id, backup)?;
        let person = self.waiting.get_mut(&self.next.hasher().user(id));
        let person = person.ok_or_else(StoreError::missing_person)?;
        person.has_properties = true;
        let person = person.clone();
        let record = PropertiesRecord {
            user: person.id.clone(),
            backup: backup.0,
            properties,
        };
        let key = keys::properties(person.pseudonym);
        let histories = self.histories();
        let secret = histories.secret_of(&person)?;
        histories.put_personal(&person, &secret, key, &codec::to_json(&record))
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
        feedback: FeedbackNumber,
        user: &str,
        item: &str,
        timestamp: Option<i64>,
    ) -> Result<bool, ImportSessionError> {
        if self.tombstones.is_empty() || (timestamp.is_none() && self.after_erasures) {
            return Ok(false);
        }
        let hasher = self.next.hasher();
        let (user, item) = (hasher.user(&UserId::new(user)?), ItemId::new(item)?);
        let feedback = self.feedback.types.name(feedback);
        let happened_at = timestamp.map(UnixMillis::from_timestamp);
        let hashes = tombstones_over(hasher, user, &item, &feedback);
        let mut erased_at = hashes.iter().filter_map(|hash| self.tombstones.get(hash));
        // Without a time nothing says that it is not the very row that was erased.
        Ok(erased_at.any(|erased_at| happened_at.is_none_or(|at| at <= *erased_at)))
    }

    /// Keys for a new user.
    fn give_keys(&mut self, row: u32, id: &UserId) -> Result<(), StoreError> {
        let known = if self.waiting.is_empty() {
            None
        } else {
            self.waiting.remove(&self.next.hasher().user(id))
        };
        let mut person = match known {
            Some(person) => person,
            None => self.new_person(id)?,
        };
        person.row = Some(row);
        self.unwritten.insert(row);
        let row = row as usize;
        if self.persons.len() <= row {
            self.persons.resize(row + 1, None);
        }
        self.persons[row] = Some(person);
        Ok(())
    }

    pub(super) fn new_person(&mut self, id: &UserId) -> Result<Person, StoreError> {
        let ring = self.next.codec().ring();
        if self.readied < 2 {
            ring.ready(2 * KEYS_READIED)?;
            self.readied = 2 * KEYS_READIED;
        }
        self.readied -= 2;
        let (live, backup) = (ring.take()?, ring.take()?);
        Ok(Person::new(id.clone(), live, backup, Pseudonym::random()))
    }

    /// Sets the title of an item, held or not.
    pub fn set_title(&mut self, item: &str, title: &str) -> Result<(), ImportSessionError> {
        self.descriptions.of(ItemId::new(item)?).title = Some(Arc::from(title));
        Ok(())
    }

    /// Sets the tags of an item, held or not, instead of those it had.
    pub fn set_tags(
        &mut self,
        item: &str,
        tags: &mut dyn Iterator<Item = &str>,
    ) -> Result<(), ImportSessionError> {
        let tags = tags.map(Arc::from);
        self.descriptions.of(ItemId::new(item)?).set_tags(tags);
        Ok(())
    }

    /// Makes changes in what is said about an item, held or not.
    pub fn describe(
        &mut self,
        item: &str,
        patch: &DescriptionPatch,
    ) -> Result<(), ImportSessionError> {
        patch.apply(self.descriptions.of(ItemId::new(item)?));
        Ok(())
    }

    fn item_row(&mut self, item: &str) -> Result<u32, ImportSessionError> {
        let (row, new) = self.items.assign(item, ItemId::new)?;
        if !self.being_erased.is_empty() {
            let hash = self.next.hasher().item(&ItemId::new(item)?);
            if self.being_erased.contains(&hash) {
                return Err(ImportSessionError::ItemErasureWaits);
            }
        }
        if new {
            // Whoever had the row before has left nothing to start from.
            self.next
                .remove(&keys::tensor_row(Tensor::ItemFactors, row))?;
            self.changed_items.push(row);
        }
        Ok(row)
    }

    /// What the next generation holds of persons.
    pub(super) fn histories(&self) -> Histories<'_> {
        Histories {
            next: &self.next,
            before: self.before.as_ref(),
            persons: &self.persons,
        }
    }

    /// Merges what was gathered into the histories.
    fn merge(&mut self) -> Result<(), StoreError> {
        let mut gathered = std::mem::take(&mut self.buffer);
        let parts = merge(
            &mut gathered,
            self.histories(),
            &self.feedback,
            &self.unwritten,
        )?;
        self.unwritten.clear();
        parts.into_iter().for_each(|part| self.count(part));
        gathered.clear();
        self.buffer = gathered;
        Ok(())
    }

    fn count(&mut self, merged: Merged) {
        let totals = &mut self.totals;
        for (total, more) in [
            (&mut totals.added, merged.added),
            (&mut totals.duplicates, merged.duplicates),
            (&mut totals.withdrawn, merged.withdrawn),
            (&mut totals.interactions, merged.interactions),
        ] {
            *total = total.saturating_add_signed(more);
        }
        for (item, more) in (0..).zip(merged.item_counts) {
            let count = count_of(&mut self.item_counts, item);
            *count = (i64::from(*count) + more) as u32;
        }
        self.withdrawing.extend(merged.withdrawing);
    }

    /// Merges everything that was taken, and says what the import comes to. Nothing of it counts
    /// before [`ImportWriter::finish`].
    pub fn settle(&mut self) -> Result<ImportTotals, StoreError> {
        self.merge()?;
        self.write_kept()?;
        for row in std::mem::take(&mut self.withdrawing) {
            self.drop_withdrawn(row)?;
        }
        self.totals.users = self.users.rows.len() as u64 - self.users_dropped;
        self.totals.items = self.item_counts.iter().filter(|count| **count > 0).count() as u64;
        Ok(self.totals)
    }

    /// Removes the pairs of a user that were taken back, and the user when nothing is left.
    fn drop_withdrawn(&mut self, row: u32) -> Result<(), StoreError> {
        let person = self.histories().person_at(row)?.clone();
        let mut history = self.histories().history(&person)?;
        let chunks_before = history.len().div_ceil(INTERACTIONS_PER_CHUNK);
        for held in history.extract_if(.., |held| is_withdrawn(held)) {
            // What is left of the item is seen to when the items are written.
            self.changed_items.push(held.item);
            if *count_of(&mut self.item_counts, held.item) == 0 {
                // Factors of an item that nobody has any more would be served as they were.
                self.next
                    .remove(&keys::tensor_row(Tensor::ItemFactors, held.item))?;
            }
        }
        let histories = self.histories();
        let secret = histories.secret_of(&person)?;
        histories.put_history(&person, &secret, &history)?;
        for chunk in history.len().div_ceil(INTERACTIONS_PER_CHUNK)..chunks_before {
            let key = keys::history_chunk(person.pseudonym, chunk as u16);
            self.next.remove(&key)?;
        }
        if history.is_empty() {
            self.next.remove(&keys::user(person.pseudonym))?;
            self.next.remove(&keys::user_factors(person.pseudonym))?;
            self.users_dropped += 1;
        }
        Ok(())
    }

    /// Makes everything durable and part of the store at once.
    pub fn finish(mut self) -> Result<ImportTotals, StoreError> {
        let totals = self.settle()?;
        self.write_items()?;
        self.write_feedback_types()?;
        self.forget_measurements()?;
        drop(self.before.take());
        self.next.finish()?;
        Ok(totals)
    }

    fn write_items(&mut self) -> Result<(), StoreError> {
        self.changed_items.sort_unstable();
        self.changed_items.dedup();
        let ids: HashMap<u32, &ItemId> =
            self.items.rows.iter().map(|(id, row)| (*row, id)).collect();
        for row in &self.changed_items {
            let Some(id) = ids.get(row) else {
                continue;
            };
            let record = ItemRecord::new((*id).clone());
            let is_held = self
                .item_counts
                .get(*row as usize)
                .is_some_and(|count| *count > 0);
            let is_listed = self.catalogue.contains(row);
            if is_held || is_listed {
                self.next.put(keys::item(*row), &codec::to_json(&record))?;
            } else {
                self.next.remove(&keys::item(*row))?;
            }
        }
        for description in self.descriptions.changed() {
            let key = keys::description(self.next.hasher().item(&description.id));
            self.next.put(key, &codec::to_json(description))?;
        }
        Ok(())
    }

    fn write_feedback_types(&self) -> Result<(), StoreError> {
        let names: Vec<&FeedbackType> = self.feedback.types.names().collect();
        if names.len() == 1 {
            return Ok(());
        }
        let key = keys::FEEDBACK_TYPES.to_vec();
        self.next.put(key, &codec::to_json(&names))
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

fn count_of(counts: &mut Vec<u32>, item: u32) -> &mut u32 {
    let item = item as usize;
    if counts.len() <= item {
        counts.resize(item + 1, 0);
    }
    &mut counts[item]
}
