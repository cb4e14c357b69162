//! Keeping what is held of somebody without processing it, and giving it back.
//!
//! What is kept lies apart from histories and log, so nobody who reads those has to leave it out. For the
//! worker the beginning of a restriction is an erasure of the user, and its end an addition of
//! everything that was kept.

use std::collections::HashMap;

use super::Stage;
use super::person::NamedOfUser;
use crate::codec;
use crate::decided::DecidedLift;
use crate::error::StoreError;
use crate::hash::KeyedHash;
use crate::index::Person;
use crate::keys;
use crate::log::queued_records;
use crate::position::LogPosition;
use crate::records::{Committed, ItemRecord, QueuedRecord, QueuedRow, RestrictionRecord};
use recant_types::{ADDITION_INTERACTIONS_MAX, ItemId, UnixMillis, UserId};

impl Stage<'_> {
    /// Whether what is held of the person with this hash is kept and not processed.
    pub(super) fn is_restricted(&self, user: &UserId) -> bool {
        !self.index.restricted.is_empty() && self.index.restricted.contains(&self.hasher.user(user))
    }

    /// Restricts the processing of what is held of `users`, and of what comes of them from now on.
    pub(super) fn restrict(
        &mut self,
        users: &[UserId],
        accepted_at: UnixMillis,
    ) -> Result<(), StoreError> {
        for user in users {
            let hash = self.hasher.user(user);
            if !self.index.restricted.insert(hash) {
                continue;
            }
            let restriction = RestrictionRecord {
                since: accepted_at,
                lifted_at: None,
            };
            self.put(keys::restriction(hash), &codec::to_postcard(&restriction));
            self.set_aside(hash)?;
        }
        Ok(())
    }

    /// Ends a restriction: what was kept waits to be learnt, as if it came now, with its own times. Of
    /// somebody who is not restricted nothing changes.
    pub(super) fn apply_lift(
        &mut self,
        lift: DecidedLift,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        let DecidedLift {
            user,
            at,
            positions,
        } = lift;
        let hash = self.hasher.user(&user);
        let mut rows = Vec::new();
        if self.index.restricted.remove(&hash) {
            self.note_lifted(hash, at)?;
            if let Some(person) = self.index.persons.get(&hash).cloned() {
                rows = self.kept(&person)?;
                self.write_kept(hash, &[])?;
            }
        }
        let mut parts = in_parts(&rows, positions.len())?;
        for position in positions {
            self.take_position(position, committed);
            let numbered = (0..).zip(parts.next().unwrap_or_default().iter().cloned());
            let rows = numbered.map(|(index, row)| QueuedRow { index, ..row });
            let rows: Vec<_> = rows.collect();
            if !rows.is_empty() {
                self.queue(position, &mut 0, &user, rows)?;
            }
        }
        self.drop_if_nothing_is_left(hash);
        Ok(())
    }

    /// How many entries of the log it takes to give back what is kept of a person.
    pub(super) fn entries_of_kept(&mut self, hash: KeyedHash) -> Result<usize, StoreError> {
        let Some(person) = self.index.persons.get(&hash).cloned() else {
            return Ok(0);
        };
        Ok(self
            .kept(&person)?
            .len()
            .div_ceil(ADDITION_INTERACTIONS_MAX))
    }

    /// Remembers that a restriction was lifted.
    fn note_lifted(&mut self, hash: KeyedHash, at: UnixMillis) -> Result<(), StoreError> {
        let key = keys::restriction(hash);
        let payload = self.get(&key)?;
        let payload = payload.ok_or_else(|| StoreError::damaged("a restriction is missing"))?;
        let lifted = RestrictionRecord {
            lifted_at: Some(at),
            ..codec::from_postcard(&payload)?
        };
        self.put(key, &codec::to_postcard(&lifted));
        Ok(())
    }

    /// Forgets that somebody is restricted, or was.
    pub(super) fn forget_restriction(&mut self, hash: KeyedHash) -> Result<(), StoreError> {
        self.index.restricted.remove(&hash);
        let key = keys::restriction(hash);
        if self.value(&key)?.is_some() {
            self.remove(key);
        }
        Ok(())
    }

    /// Moves what is held of a person, and what waits in the log, to what is kept.
    fn set_aside(&mut self, hash: KeyedHash) -> Result<(), StoreError> {
        let Some(person) = self.index.persons.get(&hash).cloned() else {
            return Ok(());
        };
        let mut rows = self.held_with_ids(&person)?;
        rows.extend(self.waiting(&person)?);
        self.remove_records(&person)?;
        self.index.set_row(hash, None);
        for (position, part) in &person.queued {
            let key = keys::log_part(*position, *part);
            self.forget_part(hash, &key);
            self.remove(key);
        }
        self.write_kept(hash, &rows)?;
        self.drop_if_nothing_is_left(hash);
        Ok(())
    }

    /// The history of a person by the ids of items, less what is erased with an item.
    fn held_with_ids(&mut self, person: &Person) -> Result<Vec<QueuedRow>, StoreError> {
        let mut rows = Vec::new();
        for held in self.history(person)? {
            let missing = || StoreError::damaged("an item is missing");
            let item = self.get(&keys::item(held.item))?.ok_or_else(missing)?;
            let item: ItemRecord = codec::from_json(&item)?;
            let row = QueuedRow {
                index: 0,
                item: item.id,
                weight: held.weight,
                timestamp: held.timestamp,
                feedback: held.feedback,
            };
            if !self.is_taken_with_its_item(&row, LogPosition::default())? {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// What waits in the log of a person and is not in the history yet, less what is erased with an
    /// item.
    fn waiting(&mut self, person: &Person) -> Result<Vec<QueuedRow>, StoreError> {
        let applied = self.get(&keys::APPLIED)?;
        let applied = applied.map_or(Ok(0), |payload| codec::read_u64(&payload))?;
        let mut rows = Vec::new();
        for (key, record) in self.queued(person)? {
            let (position, _) = keys::log_parts(&key).ok_or_else(StoreError::cut_key)?;
            if position <= LogPosition(applied) {
                continue;
            }
            for row in record.rows {
                if !self.is_taken_with_its_item(&row, position)? {
                    rows.push(row);
                }
            }
        }
        Ok(rows)
    }

    /// Whether an erasure of the item takes a row that came at `position`, which the worker has not
    /// carried out yet. Its tombstone is to hold back what happened as late.
    fn is_taken_with_its_item(
        &mut self,
        row: &QueuedRow,
        position: LogPosition,
    ) -> Result<bool, StoreError> {
        let hash = self.hasher.item(&row.item);
        let is_taken = self.index.unapplied.item_erased_after(hash, position);
        if let Some(timestamp) = row.timestamp.filter(|_| is_taken) {
            self.raise_tombstone(hash, UnixMillis::from_timestamp(timestamp))?;
        }
        Ok(is_taken)
    }

    /// Keeps what came of a restricted person.
    pub(super) fn keep(&mut self, user: &UserId, rows: Vec<QueuedRow>) -> Result<(), StoreError> {
        let (live, backup) = {
            let person = self.person(user)?;
            (person.live, person.backup)
        };
        for record in queued_records(user, backup.0, rows) {
            let person = self.person(user)?;
            let key = keys::kept(person.pseudonym, person.kept);
            person.kept += 1;
            self.put_personal(live, key, &record.pack())?;
        }
        Ok(())
    }

    /// What is kept of a person, in the order in which it came.
    pub(super) fn kept(&mut self, person: &Person) -> Result<Vec<QueuedRow>, StoreError> {
        let mut rows = Vec::new();
        for number in 0..person.kept {
            let key = keys::kept(person.pseudonym, number);
            let payload = self.held_personal(person.live, &key)?;
            rows.extend(QueuedRecord::unpack(&payload)?.rows);
        }
        Ok(rows)
    }

    /// Keeps `rows` of a person and nothing else.
    pub(super) fn write_kept(
        &mut self,
        hash: KeyedHash,
        rows: &[QueuedRow],
    ) -> Result<(), StoreError> {
        let person = self.index.persons.get_mut(&hash);
        let person = person.ok_or_else(StoreError::missing_person)?;
        let (id, pseudonym) = (person.id.clone(), person.pseudonym);
        for number in 0..std::mem::take(&mut person.kept) {
            self.remove(keys::kept(pseudonym, number));
        }
        self.keep(&id, rows.to_vec())
    }

    /// Seals what is kept of a person under the key and the name that the person has `now`.
    pub(super) fn move_kept(&mut self, before: &Person, now: &Person) -> Result<(), StoreError> {
        for number in 0..before.kept {
            let key = keys::kept(before.pseudonym, number);
            let payload = self.held_personal(before.live, &key)?;
            self.remove(key);
            self.put_personal(now.live, keys::kept(now.pseudonym, number), &payload)?;
        }
        Ok(())
    }

    /// Takes what is kept with an item of everybody: the worker, which takes an item from the histories,
    /// does not see it. Returns when the latest of it happened.
    pub(super) fn erase_kept_with(&mut self, item: &ItemId) -> Result<UnixMillis, StoreError> {
        let keeping = self.index.persons.values().filter(|person| person.kept > 0);
        let keeping: Vec<UserId> = keeping.map(|person| person.id.clone()).collect();
        let mut named = NamedOfUser::default();
        named.add(item, None);
        let mut until = UnixMillis(i64::MIN);
        for user in keeping {
            until = until.max(self.erase_pairs(&user, &named)?);
        }
        Ok(until)
    }

    /// The rows of those of `order` who are restricted are kept; returns the others, in order.
    pub(super) fn keep_of_restricted(
        &mut self,
        order: Vec<UserId>,
        rows: &mut HashMap<UserId, Vec<QueuedRow>>,
    ) -> Result<Vec<UserId>, StoreError> {
        let mut others = Vec::with_capacity(order.len());
        for user in order {
            if self.is_restricted(&user) {
                let rows = rows.remove(&user).unwrap_or_default();
                self.keep(&user, rows)?;
            } else {
                others.push(user);
            }
        }
        Ok(others)
    }
}

/// Rows in at most `count` parts, each as many as an addition carries where that is enough.
///
/// Another store, which decided on the count, may hold the same in fewer rows: its worker has put
/// together what is apart here.
fn in_parts(
    rows: &[QueuedRow],
    count: usize,
) -> Result<std::slice::Chunks<'_, QueuedRow>, StoreError> {
    let length = match count {
        0 if !rows.is_empty() => return Err(StoreError::other_store()),
        0 => ADDITION_INTERACTIONS_MAX,
        _ => ADDITION_INTERACTIONS_MAX.max(rows.len().div_ceil(count)),
    };
    if length > usize::from(u16::MAX) {
        return Err(StoreError::other_store());
    }
    Ok(rows.chunks(length))
}
