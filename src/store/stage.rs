//! Turning batches into the changes of one atomic write.

use std::collections::BTreeMap;

use crate::erasure::ErasureRecord;
use crate::event::{Event, UnixMillis};
use crate::store::batch::{Append, Change, Idempotency, WriteBatch};
use crate::store::codec;
use crate::store::database::Database;
use crate::store::log::{self, LogPosition};
use crate::store::records::{Committed, IdempotencyRecord};
use crate::store::{StoreError, keys};

/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// The changes of many batches, laid over the database they will be written to.
pub(super) struct Stage<'a> {
    database: &'a Database,
    /// Wrapped values to put; `None` removes.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The position the next entry gets.
    next: LogPosition,
}

impl<'a> Stage<'a> {
    /// Nothing to change yet; the next appended entry gets the position `next`.
    pub(super) fn new(database: &'a Database, next: LogPosition) -> Self {
        Self {
            database,
            changes: BTreeMap::new(),
            next,
        }
    }

    /// The position the next entry will get.
    pub(super) fn next(&self) -> LogPosition {
        self.next
    }

    /// Puts a value.
    pub(super) fn put(&mut self, key: Vec<u8>, payload: &[u8]) {
        let value = codec::wrap(&key, payload);
        self.changes.insert(key, Some(value));
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = match self.changes.get(key) {
            Some(staged) => staged.clone(),
            None => self.database.get(key)?.map(|value| value.to_vec()),
        };
        value
            .map(|value| codec::unwrap(key, &value).map(<[u8]>::to_vec))
            .transpose()
    }

    /// Adds a batch. After an error nothing of it is staged.
    pub(super) fn add(&mut self, batch: WriteBatch) -> Result<Committed, StoreError> {
        let mut committed = Committed::default();
        let before = self.appends_only_when_new(&batch.appends)?;
        if let Some(record) = before {
            committed.records.push(record);
            return Ok(committed);
        }
        for change in batch.changes {
            self.change(change)?;
        }
        for append in batch.appends {
            self.append(append, &mut committed);
        }
        Ok(committed)
    }

    /// The record of the erasure that an idempotency key of `appends` named before, if there is
    /// one; an error when it came with another request.
    fn appends_only_when_new(
        &self,
        appends: &[Append],
    ) -> Result<Option<ErasureRecord>, StoreError> {
        for Idempotency { key, request } in appends.iter().filter_map(|a| a.idempotency) {
            let Some(payload) = self.get(&keys::idempotency(&key))? else {
                continue;
            };
            let used: IdempotencyRecord = codec::from_json(&payload)?;
            if is_expired(&used, UnixMillis::now()) {
                continue;
            }
            if used.request != request {
                return Err(StoreError::IdempotencyKeyReused);
            }
            let record = self.get(&keys::erasure(used.erasure))?;
            let record = record.ok_or_else(|| StoreError::damaged("an erasure is missing"))?;
            return codec::from_json(&record).map(Some);
        }
        Ok(None)
    }

    fn append(&mut self, append: Append, committed: &mut Committed) {
        let position = self.next;
        self.next = position.next();
        for (chunk, payload) in log::to_chunks(&append.event).iter().enumerate() {
            self.put(keys::log_chunk(position, chunk as u16), payload);
        }
        committed.positions.push(position);
        if let Event::Erase {
            id,
            accepted_at,
            target,
        } = &append.event
        {
            let mut record = ErasureRecord::accepted(*id, position.0, target, *accepted_at);
            record.commitment = append.commitment;
            self.put(keys::erasure(*id), &codec::to_json(&record));
            if let Some(Idempotency { key, request }) = append.idempotency {
                let used = IdempotencyRecord {
                    erasure: *id,
                    request,
                    used_at: *accepted_at,
                };
                self.put(keys::idempotency(&key), &codec::to_json(&used));
            }
            committed.records.push(record);
        }
    }

    fn change(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Put { key, payload } => self.put(key, &payload),
            Change::Remove { key } => self.remove(key),
            Change::RemoveAll { prefix } => {
                let mut end = prefix.clone();
                end.extend([u8::MAX; 16]);
                let held = self.database.scan(&prefix);
                let held = held.map(|record| record.map(|(key, _)| key.to_vec()));
                let held = held.collect::<Result<Vec<_>, _>>()?;
                self.remove_staged(&prefix, &end);
                held.into_iter().for_each(|key| self.remove(key));
            }
            Change::TrimLog(position) => {
                let (start, end) = (vec![keys::LOG], keys::log(position.next()));
                let held = self.database.scan_range(&start, &end);
                let held = held.map(|record| record.map(|(key, _)| key.to_vec()));
                let held = held.collect::<Result<Vec<_>, _>>()?;
                self.remove_staged(&start, &end);
                held.into_iter().for_each(|key| self.remove(key));
            }
        }
        Ok(())
    }

    fn remove_staged(&mut self, start: &[u8], end: &[u8]) {
        let range = self.changes.range_mut(start.to_vec()..end.to_vec());
        range.for_each(|(_, value)| *value = None);
    }

    /// Everything staged, as one atomic batch.
    pub(super) fn into_batch(self) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (key, value) in self.changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        batch
    }
}

/// Whether an idempotency key used then may be forgotten now.
pub(super) fn is_expired(used: &IdempotencyRecord, now: UnixMillis) -> bool {
    now.0.saturating_sub(used.used_at.0) > IDEMPOTENCY_MILLISECONDS
}
