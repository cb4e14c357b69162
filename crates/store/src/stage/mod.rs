//! Turning batches into the changes of one atomic write.

mod accept;
mod catalogue;
mod decide;
mod entry;
mod erased_items;
mod fact;
mod person;
mod properties;
mod restriction;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::batch::{Change, WriteBatch};
use crate::codec::{self, Codec};
use crate::database::Database;
use crate::error::StoreError;
use crate::hash::IdHasher;
use crate::index::Index;
use crate::keyring::Slot;
use crate::keys;
use crate::log_key::LogKey;
use crate::observer::Brought;
use crate::position::LogPosition;
use crate::records::{Committed, IdempotencyRecord};
use crate::seal::SecretKey;
use recant_types::{
    FEEDBACK_TYPES_MAX, FeedbackNumber, FeedbackType, InvalidProperties, SharedEntry, UnixMillis,
};

/// How long an idempotency key is remembered.
pub(crate) const IDEMPOTENCY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// The changes of many batches, laid over the database they will be written to.
///
/// The index is changed along with them: when the write fails afterwards, it must be read again.
pub(super) struct Stage<'a> {
    database: &'a Database,
    codec: &'a Codec,
    hasher: &'a IdHasher,
    index: &'a mut Index,
    /// Sealed values to put; `None` removes.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The position the next entry gets.
    next: LogPosition,
    /// How many erasures were accepted so far.
    erasures: u64,
    /// Slots whose keys are destroyed once the write is durable.
    destroyed: Vec<Slot>,
    /// Keys of persons that were needed.
    secrets: HashMap<Slot, SecretKey>,
    /// The log position that the batch being added knows of.
    reached: LogPosition,
    /// Rows of the batch whose user was erased since.
    erased_rows: HashSet<u32>,
    /// Why the batch did not change what is said about a person, if it did not.
    refused: Option<InvalidProperties>,
    /// Where keys of persons come from.
    key_source: KeySource,
    /// The key of the shared log, where it is another one once the write is durable.
    log_key: Option<LogKey>,
    /// The entry of the shared log that is being added.
    place: Option<SharedEntry>,
    /// What is to be told once the write is durable; `None` where nobody listens.
    brought: Option<Vec<Brought>>,
}

/// Where a stage takes keys of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeySource {
    /// From the spare slots of the key ring.
    Ring,
    /// Nowhere: nothing of the stage will be written. The next slot to make up.
    MadeUp(u32),
}

/// What a finished stage comes to.
pub(super) struct Staged {
    /// Everything, as one atomic batch.
    pub(super) batch: sled::Batch,
    /// The keys that it changes.
    pub(super) keys: Vec<Vec<u8>>,
    /// Slots whose keys are destroyed once the batch is durable.
    pub(super) destroyed: Vec<Slot>,
    /// The key of the shared log that takes the place of the one before by then.
    pub(super) log_key: Option<LogKey>,
    /// What is to be told once the batch is durable.
    pub(super) brought: Vec<Brought>,
    /// How many erasures have been accepted.
    pub(super) erasures: u64,
}

impl<'a> Stage<'a> {
    /// Nothing to change yet; the next appended entry gets the position `next`, the next erasure
    /// the number `erasures` + 1.
    pub(super) fn new(
        database: &'a Database,
        codec: &'a Codec,
        hasher: &'a IdHasher,
        index: &'a mut Index,
        next: LogPosition,
        erasures: u64,
    ) -> Self {
        Self {
            database,
            codec,
            hasher,
            index,
            changes: BTreeMap::new(),
            next,
            erasures,
            destroyed: Vec::new(),
            secrets: HashMap::new(),
            reached: LogPosition(u64::MAX),
            erased_rows: HashSet::new(),
            refused: None,
            key_source: KeySource::Ring,
            log_key: None,
            place: None,
            brought: None,
        }
    }

    /// The same stage, which keeps what is to be told.
    pub(super) fn telling(self) -> Self {
        Self {
            brought: Some(Vec::new()),
            ..self
        }
    }

    /// Keeps something to be told, where somebody listens.
    fn tell(&mut self, make: impl FnOnce() -> Brought) {
        if let Some(brought) = &mut self.brought {
            brought.push(make());
        }
    }

    /// The same stage to try something on: it is never written, and takes nothing from the key ring.
    pub(super) fn trial(self) -> Self {
        Self {
            key_source: KeySource::MadeUp(u32::MAX),
            ..self
        }
    }

    /// A slot with a key for a person.
    fn take_slot(&mut self) -> Result<Slot, StoreError> {
        match &mut self.key_source {
            KeySource::Ring => self.codec.ring().take(),
            KeySource::MadeUp(number) => {
                let slot = Slot(*number);
                *number -= 1;
                self.secrets.insert(slot, SecretKey::random());
                Ok(slot)
            }
        }
    }

    /// Puts a record that is no person's.
    pub(super) fn put(&mut self, key: Vec<u8>, payload: &[u8]) {
        let value = self.codec.seal(&key, payload);
        self.changes.insert(key, Some(value));
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// The stored value at a key, as it will be.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(staged) => Ok(staged.clone()),
            None => Ok(self.database.get(key)?.map(|value| value.to_vec())),
        }
    }

    /// The payload at a key that is no person's, as it will be.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.value(key)?;
        value.map(|value| self.codec.open(key, &value)).transpose()
    }

    /// The keys with a prefix, as they will be, ascending.
    fn keys_with(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let held = self.database.scan(prefix);
        let held = held.map(|record| record.map(|(key, _)| (key.to_vec(), true)));
        let mut keys: BTreeMap<Vec<u8>, bool> = held.collect::<Result<_, _>>()?;
        let staged = self.changes.range(prefix.to_vec()..);
        let staged = staged.take_while(|(key, _)| key.starts_with(prefix));
        keys.extend(staged.map(|(key, value)| (key.clone(), value.is_some())));
        let there = keys.into_iter().filter(|(_, there)| *there);
        Ok(there.map(|(key, _)| key).collect())
    }

    /// Adds a batch. An error other than [`StoreError::IdempotencyKeyReused`] and
    /// [`StoreError::BelongsToCluster`] leaves it half done.
    pub(super) fn add(&mut self, batch: WriteBatch) -> Result<Committed, StoreError> {
        if self.index.follows_log && batch.holds_requests() {
            return Err(StoreError::BelongsToCluster);
        }
        let mut committed = Committed::default();
        if let Some(before) = self.erasure_before(&batch.appends)? {
            committed.records.push(self.erasure(before)?);
            return Ok(committed);
        }
        // Without a position a batch is taken to know everything that was accepted.
        self.reached = batch.applied.unwrap_or(LogPosition(u64::MAX));
        self.erased_rows.clear();
        if let Some(applied) = batch.applied {
            // Before items get rows: those that are taken may leave theirs to others.
            self.raise_tombstones_of_items(&batch.changes, applied)?;
        }
        self.name_items(&batch.changes);
        for change in batch.changes {
            self.change(change)?;
        }
        committed.refused = self.refused.take();
        if let Some(applied) = batch.applied {
            self.index.unapplied.applied(applied);
        }
        for append in batch.appends {
            let entry = self.decide_append(append)?;
            self.apply_entry(entry, &mut committed)?;
        }
        for user in batch.lifts {
            if let Some(lift) = self.decide_lift(user)? {
                self.apply_lift(lift, &mut committed)?;
            }
        }
        Ok(committed)
    }

    /// New items are known before the histories that refer to them are checked.
    fn name_items(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::PutItem { row, item } = change {
                self.index.set_item(*row, self.hasher.item(&item.id));
            }
        }
    }

    fn change(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Put { key, payload } => self.put(key, &payload),
            Change::Remove { key } => self.remove(key),
            Change::RemoveAll { prefix } => {
                for key in self.keys_with(&prefix)? {
                    self.remove(key);
                }
            }
            Change::PutUser { row, id } => self.put_user(row, &id)?,
            Change::RemoveUser { row } => self.remove_user(row)?,
            Change::PutHistory { row, held } => self.put_history(row, held)?,
            Change::PutUserFactors { row, values, known } => {
                self.put_user_factors(row, &values, known)?;
            }
            Change::RenewKey { row } => self.renew_key_at(row)?,
            Change::PutItem { row, item } => self.put_item(row, &item)?,
            Change::RemoveItem { row } => self.remove_item(row)?,
            Change::NameFeedbackTypes(types) => {
                for feedback in types {
                    self.feedback_number(&feedback)?;
                }
            }
            Change::Request(change) => {
                if let Some(change) = self.decide_change(change)? {
                    self.apply_change(&change)?;
                }
            }
            Change::TrimLog(position) => self.trim_log(position)?,
            Change::ForgetMark => {
                self.remove(keys::MARK.to_vec());
                self.index.follows_log = false;
            }
        }
        Ok(())
    }

    /// The number of a type of feedback, which it gets now if it has none yet.
    fn feedback_number(&mut self, feedback: &FeedbackType) -> Result<FeedbackNumber, StoreError> {
        if let Some(number) = self.index.feedback_number(feedback) {
            return Ok(number);
        }
        let known = &mut self.index.feedback_types;
        if known.len() == FEEDBACK_TYPES_MAX {
            return Err(StoreError::TooManyFeedbackTypes);
        }
        known.push(feedback.clone());
        let (number, names) = (known.len() - 1, codec::to_json(known));
        self.put(keys::FEEDBACK_TYPES.to_vec(), &names);
        Ok(FeedbackNumber(number as u8))
    }

    fn trim_log(&mut self, position: LogPosition) -> Result<(), StoreError> {
        let (start, end) = (vec![keys::LOG], keys::log(position.next()));
        let held = self.database.scan_range(&start, &end);
        let held = held.map(|record| record.map(|(key, _)| key.to_vec()));
        let held = held.collect::<Result<Vec<_>, _>>()?;
        let staged: Vec<_> = self
            .changes
            .range(start..end)
            .map(|(key, _)| key.clone())
            .collect();
        held.into_iter()
            .chain(staged)
            .for_each(|key| self.remove(key));
        let kept = self.index.queued.split_off(&(position.next(), 0));
        let trimmed = std::mem::replace(&mut self.index.queued, kept);
        for (part, hash) in trimmed {
            if let Some(person) = self.index.persons.get_mut(&hash) {
                person.queued.remove(&part);
            }
            self.drop_if_nothing_is_left(hash);
        }
        Ok(())
    }

    /// What was staged, as one atomic batch.
    pub(super) fn finish(self) -> Staged {
        let mut batch = sled::Batch::default();
        let mut keys = Vec::with_capacity(self.changes.len());
        for (key, value) in self.changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value),
                None => batch.remove(key.as_slice()),
            }
            keys.push(key);
        }
        Staged {
            batch,
            keys,
            destroyed: self.destroyed,
            log_key: self.log_key,
            brought: self.brought.unwrap_or_default(),
            erasures: self.erasures,
        }
    }

    /// The position the next entry will get, and how many erasures there will have been.
    pub(super) fn counters(&self) -> (LogPosition, u64) {
        (self.next, self.erasures)
    }
}

/// Whether an idempotency key used then may be forgotten now.
pub(super) fn is_expired(used: &IdempotencyRecord, now: UnixMillis) -> bool {
    now.0.saturating_sub(used.used_at.0) > IDEMPOTENCY_MILLISECONDS
}
