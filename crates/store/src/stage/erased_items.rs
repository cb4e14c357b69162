//! What an erasure of an item holds back.
//!
//! The worker takes an item from everybody's history after the erasure was accepted, for only it knows
//! whose. So how late the newest of that happened, by a clock that may be fast, is not known at
//! acceptance. What is sent again meanwhile is held against what its own user still holds of the item;
//! the tombstone learns of the newest of all in the commit that takes it.

use std::collections::{BTreeSet, HashMap};

use super::Stage;
use super::person::latest;
use crate::batch::Change;
use crate::codec;
use crate::error::StoreError;
use crate::hash::KeyedHash;
use crate::keys;
use crate::position::LogPosition;
use crate::records::{QueuedRecord, Tombstone};
use recant_types::{ItemId, UnixMillis};

impl Stage<'_> {
    /// Whether a user still holds, in the history or in the log, something with an item that is erased and
    /// not taken yet, and that happened as late as `happened_at`.
    pub(super) fn holds_erased(
        &mut self,
        user: KeyedHash,
        item: &ItemId,
        happened_at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let hash = self.hasher.item(item);
        let Some(erased_at) = self.index.unapplied.item_erased_at(hash) else {
            return Ok(false);
        };
        let Some(person) = self.index.persons.get(&user).cloned() else {
            return Ok(false);
        };
        let (history, queued) = (self.history(&person)?, self.queued(&person)?);
        let row = self.index.item(hash);
        let held = history.iter().filter(|held| Some(held.item) == row);
        let queued = queued.iter().filter(|(key, _)| {
            keys::log_parts(key).is_some_and(|(position, _)| position < erased_at)
        });
        let rows = queued.flat_map(|(_, record)| &record.rows);
        let rows = rows.filter(|row| row.item == *item);
        let times = held.map(|held| held.timestamp);
        Ok(happened_at <= latest(times.chain(rows.map(|row| row.timestamp))))
    }

    /// Raises the tombstones of items that are erased and not taken yet to the newest of what is held of
    /// them where `changes` change something, and of what the log holds of them up to `applied`. To be
    /// called before the changes, which take it.
    pub(super) fn raise_tombstones_of_items(
        &mut self,
        changes: &[Change],
        applied: LogPosition,
    ) -> Result<(), StoreError> {
        if !self.index.unapplied.has_items() {
            return Ok(());
        }
        let mut newest = HashMap::new();
        self.newest_of_histories(changes, &mut newest)?;
        self.newest_of_log(applied, &mut newest)?;
        for (item, happened_at) in newest {
            self.raise_tombstone(item, happened_at)?;
        }
        Ok(())
    }

    fn newest_of_histories(
        &mut self,
        changes: &[Change],
        newest: &mut HashMap<KeyedHash, UnixMillis>,
    ) -> Result<(), StoreError> {
        let rows = changes.iter().filter_map(|change| match change {
            Change::PutHistory { row, .. } | Change::RemoveUser { row } => Some(*row),
            _ => None,
        });
        for row in rows.collect::<BTreeSet<u32>>() {
            let Some((_, person)) = self.index.at_row(row) else {
                continue;
            };
            let person = person.clone();
            for held in self.history(&person)? {
                let item = self.index.item_hash(held.item);
                let erased = item.filter(|it| self.index.unapplied.item_erased_at(*it).is_some());
                if let Some(item) = erased {
                    note(newest, item, held.timestamp);
                }
            }
        }
        Ok(())
    }

    fn newest_of_log(
        &mut self,
        applied: LogPosition,
        newest: &mut HashMap<KeyedHash, UnixMillis>,
    ) -> Result<(), StoreError> {
        let parts = self.index.queued.range(..(applied.next(), 0));
        let parts: Vec<_> = parts.map(|(part, hash)| (*part, *hash)).collect();
        for ((position, part), user) in parts {
            let live = self.index.persons.get(&user).map(|person| person.live);
            let live = live.ok_or_else(StoreError::missing_person)?;
            let payload = self.held_personal(live, &keys::log_part(position, part))?;
            for row in QueuedRecord::unpack(&payload)?.rows {
                let item = self.hasher.item(&row.item);
                if self.index.unapplied.item_erased_after(item, position) {
                    note(newest, item, row.timestamp);
                }
            }
        }
        Ok(())
    }

    pub(super) fn raise_tombstone(
        &mut self,
        hash: KeyedHash,
        happened_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let key = keys::tombstone(hash);
        let Some(payload) = self.get(&key)? else {
            return Ok(());
        };
        let before: Tombstone = codec::from_postcard(&payload)?;
        if before.erased_at < happened_at {
            let raised = Tombstone {
                erased_at: happened_at,
                ..before
            };
            self.put(key, &codec::to_postcard(&raised));
        }
        Ok(())
    }
}

fn note(newest: &mut HashMap<KeyedHash, UnixMillis>, item: KeyedHash, timestamp: Option<i64>) {
    if let Some(timestamp) = timestamp {
        let happened_at = UnixMillis::from_timestamp(timestamp);
        let so_far = newest.entry(item).or_insert(happened_at);
        *so_far = happened_at.max(*so_far);
    }
}
