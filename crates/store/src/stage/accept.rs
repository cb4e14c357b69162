//! Accepting: what was decided is done, and what an erasure names is gone at once.

use std::collections::HashMap;

use super::Stage;
use super::person::NamedOfUser;
use crate::codec;
use crate::decided::{DecidedAddition, DecidedEntry, DecidedErasure};
use crate::error::StoreError;
use crate::hash::{IdHasher, KeyedHash, Named, tombstones_over};
use crate::keys;
use crate::log::{ErasureEntry, queued_records};
use crate::observer::Brought;
use crate::position::LogPosition;
use crate::records::{Committed, IdempotencyRecord, QueuedRow, Tombstone};
use crate::request::Idempotency;
use recant_types::{
    ErasureId, ErasureRecord, ErasureTarget, Event, FeedbackNumber, Interaction, ItemId,
    UnixMillis, UserId,
};

impl Stage<'_> {
    /// Does what was decided, whatever else this store knows of tombstones and of the time.
    pub(super) fn apply_entry(
        &mut self,
        entry: DecidedEntry,
        committed: &mut Committed,
    ) -> Result<Option<UnixMillis>, StoreError> {
        match entry {
            DecidedEntry::Add(addition) => {
                self.apply_addition(addition, committed)?;
                Ok(None)
            }
            DecidedEntry::Erase(erasure) => self.apply_erasure(*erasure, committed).map(Some),
        }
    }

    /// Returns up to when the tombstones hold back.
    fn apply_erasure(
        &mut self,
        erasure: DecidedErasure,
        committed: &mut Committed,
    ) -> Result<UnixMillis, StoreError> {
        let DecidedErasure {
            position,
            id,
            accepted_at,
            target,
            commitment,
            requested_by,
            idempotency,
            until,
        } = erasure;
        self.take_position(position, committed);
        self.tell(|| Brought::Erasure {
            id,
            accepted_at,
            target: target.clone(),
        });
        let mut record = ErasureRecord::accepted(id, position.0, &target, accepted_at);
        record.commitment = commitment;
        record.requested_by = requested_by;
        record.shared_entry = self.place;
        self.put(keys::erasure(id), &codec::to_json(&record));
        if let Some(idempotency) = idempotency {
            self.remember(idempotency, id, accepted_at);
        }
        committed.records.push(record);
        self.accept_erasure(position, id, accepted_at, &target, until)
    }

    /// The next entry is behind `position`.
    pub(super) fn take_position(&mut self, position: LogPosition, committed: &mut Committed) {
        self.next = position.next();
        committed.positions.push(position);
    }

    fn remember(&mut self, idempotency: Idempotency, id: ErasureId, now: UnixMillis) {
        let used = IdempotencyRecord {
            erasure: id,
            request: self.hasher.digest(&idempotency.request),
            used_at: now,
        };
        let key = keys::idempotency(&self.hasher.digest(&idempotency.key));
        self.put(key, &codec::to_json(&used));
    }

    /// Queues interactions, each user's part under their key. What comes of somebody who is restricted is
    /// kept instead.
    fn apply_addition(
        &mut self,
        addition: DecidedAddition,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        committed.held_back += addition.held_back as usize;
        let mut order: Vec<UserId> = Vec::new();
        let mut rows: HashMap<UserId, Vec<QueuedRow>> = HashMap::new();
        for (index, added) in addition.rows.into_iter().enumerate() {
            let (user, row) = self.queued_row(index as u16, added)?;
            let of_user = rows.entry(user.clone()).or_default();
            if of_user.is_empty() {
                order.push(user);
            }
            of_user.push(row);
        }
        let order = self.keep_of_restricted(order, &mut rows)?;
        let Some(position) = addition.position else {
            return if order.is_empty() {
                Ok(())
            } else {
                Err(StoreError::other_store())
            };
        };
        self.take_position(position, committed);
        let mut part = 0;
        for user in order {
            let rows = rows.remove(&user).unwrap_or_default();
            self.queue(position, &mut part, &user, rows)?;
        }
        Ok(())
    }

    /// The row of an interaction as it waits in the log, and whose it is.
    fn queued_row(
        &mut self,
        index: u16,
        added: Interaction,
    ) -> Result<(UserId, QueuedRow), StoreError> {
        let row = QueuedRow {
            index,
            feedback: self.feedback_number(&added.feedback)?,
            item: added.item,
            weight: added.weight,
            timestamp: added.timestamp,
        };
        Ok((added.user, row))
    }

    /// Puts one user's rows into the log at `position`, from `part` on.
    pub(super) fn queue(
        &mut self,
        position: LogPosition,
        part: &mut u16,
        user: &UserId,
        rows: Vec<QueuedRow>,
    ) -> Result<(), StoreError> {
        let hash = self.hasher.user(user);
        let person = self.person(user)?;
        let (live, backup) = (person.live, person.backup);
        for record in queued_records(user, backup.0, rows) {
            let key = keys::log_part(position, *part);
            self.put_personal(live, key, &record.pack())?;
            self.person(user)?.queued.insert((position, *part));
            self.index.queued.insert((position, *part), hash);
            *part += 1;
        }
        Ok(())
    }

    /// Takes over an entry of a version 1 store. When it is applied already, what it names has left
    /// the data and may have come back since.
    pub(crate) fn take_over_entry(
        &mut self,
        position: LogPosition,
        event: Event,
        applied: bool,
    ) -> Result<(), StoreError> {
        match event {
            Event::Add(interactions) => {
                let mut part = 0;
                for (index, added) in (0..).zip(interactions) {
                    let (user, row) = self.queued_row(index, added)?;
                    self.queue(position, &mut part, &user, vec![row])?;
                }
                Ok(())
            }
            Event::Erase {
                id,
                accepted_at,
                target,
            } if applied => {
                let named = self.hasher.named(&target);
                self.log_erasure(position, id, accepted_at, named, accepted_at)
            }
            Event::Erase {
                id,
                accepted_at,
                target,
            } => {
                let accepted = self.accept_erasure(position, id, accepted_at, &target, None);
                accepted.map(drop)
            }
        }
    }

    /// Whether an erasure that was accepted after an interaction happened names it, or one that took, or is
    /// to take, what happened as late. One without a time is taken to have happened now.
    pub(super) fn is_held_back(&mut self, added: &Interaction) -> Result<bool, StoreError> {
        let happened_at = match added.timestamp {
            Some(timestamp) if self.index.tombstones > 0 => UnixMillis::from_timestamp(timestamp),
            _ => return Ok(false),
        };
        let user = self.hasher.user(&added.user);
        for hash in tombstones_over(self.hasher, user, &added.item, &added.feedback) {
            if let Some(payload) = self.get(&keys::tombstone(hash))? {
                let tombstone: Tombstone = codec::from_postcard(&payload)?;
                if happened_at <= tombstone.erased_at {
                    return Ok(true);
                }
            }
        }
        self.holds_erased(user, &added.item, happened_at)
    }

    /// Carries out what an erasure takes at once. Its tombstones hold back up to `until`; without it up to
    /// when the latest of what it takes happened, or to its acceptance. Returns which.
    fn accept_erasure(
        &mut self,
        position: LogPosition,
        id: ErasureId,
        accepted_at: UnixMillis,
        target: &ErasureTarget,
        until: Option<UnixMillis>,
    ) -> Result<UnixMillis, StoreError> {
        if let ErasureTarget::Restriction(users) = target {
            self.restrict(users, accepted_at)?;
        }
        // What is erased must not come back by the same rows, even those dated after the request.
        let found = accepted_at.max(self.erase_named(target)?);
        let until = until.unwrap_or(found);
        let named = self.hasher.named(target);
        self.index.unapplied.insert(&named, position);
        self.log_erasure(position, id, accepted_at, named, until)?;
        Ok(until)
    }

    /// Takes what `target` names out of the records and of the log; returns when the latest of it
    /// happened.
    fn erase_named(&mut self, target: &ErasureTarget) -> Result<UnixMillis, StoreError> {
        let mut until = UnixMillis(i64::MIN);
        match target {
            ErasureTarget::User(user) => {
                let hash = self.hasher.user(user);
                until = self.latest_of(hash)?;
                self.erase_user(hash)?;
                self.forget_restriction(hash)?;
            }
            ErasureTarget::Pairs(pairs) => {
                let pairs = pairs.iter().map(|(user, item)| (user, item, None));
                until = self.erase_of_users(pairs)?;
            }
            ErasureTarget::TypedPairs(pairs) => {
                // A type that the store has never heard of names nothing that it holds.
                let known = pairs.iter().filter_map(|pair| {
                    let number = self.index.feedback_number(&pair.feedback)?;
                    Some((&pair.user, &pair.item, Some(number)))
                });
                let known: Vec<_> = known.collect();
                until = self.erase_of_users(known.into_iter())?;
            }
            // Carried out by the worker, which knows who interacted with the item; its tombstone is
            // raised then. What is kept of restricted people it does not know.
            ErasureTarget::Item(item) => until = self.erase_kept_with(item)?,
            // Nothing of it is erased.
            ErasureTarget::Restriction(_) => {}
            ErasureTarget::Several(names) => {
                for part in names.parts() {
                    until = until.max(self.erase_named(&part)?);
                }
            }
        }
        Ok(until)
    }

    /// Takes pairs out of the records and of the log, or what they have of one type; returns when the
    /// latest of it happened.
    fn erase_of_users<'n>(
        &mut self,
        pairs: impl Iterator<Item = (&'n UserId, &'n ItemId, Option<FeedbackNumber>)>,
    ) -> Result<UnixMillis, StoreError> {
        let mut users: HashMap<&UserId, NamedOfUser<&ItemId>> = HashMap::new();
        for (user, item, feedback) in pairs {
            users.entry(user).or_default().add(item, feedback);
        }
        let mut until = UnixMillis(i64::MIN);
        for (user, named) in users {
            until = until.max(self.erase_pairs(user, &named)?);
        }
        Ok(until)
    }

    /// Writes the log entry and the tombstones of an erasure, which hold back what happened up to
    /// `until`, or as late as those before them did.
    pub(super) fn log_erasure(
        &mut self,
        position: LogPosition,
        id: ErasureId,
        accepted_at: UnixMillis,
        named: Named,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        self.erasures += 1;
        for hash in tombstone_hashes(self.hasher, &named) {
            let before = match self.index.tombstones {
                0 => None,
                _ => self.get(&keys::tombstone(hash))?,
            };
            let before = before.map(|payload| codec::from_postcard::<Tombstone>(&payload));
            let erased_at = before
                .transpose()?
                .map_or(until, |before| before.erased_at.max(until));
            let tombstone = Tombstone {
                erased_at,
                number: self.erasures,
            };
            self.index.tombstones += 1;
            self.put(keys::tombstone(hash), &codec::to_postcard(&tombstone));
        }
        let entry = ErasureEntry {
            id,
            accepted_at,
            named,
        };
        for (part, payload) in (0..).zip(entry.to_parts()) {
            self.put(keys::log_part(position, part), &payload);
        }
        Ok(())
    }
}

/// Under which hashes tombstones of what was named stand.
fn tombstone_hashes(hasher: &IdHasher, named: &Named) -> Vec<KeyedHash> {
    match named {
        Named::User(hash) | Named::Item(hash) => vec![*hash],
        Named::Pairs(pairs) => pairs.iter().map(|(u, i)| hasher.pair(*u, *i)).collect(),
        Named::TypedPairs(pairs) => pairs.iter().map(|pair| hasher.typed_pair(*pair)).collect(),
        // What is kept is not held back.
        Named::Restriction(_) => Vec::new(),
        Named::Several { .. } | Named::SeveralTyped { .. } => {
            let parts = named.parts();
            let hashes = parts.iter().flat_map(|part| tombstone_hashes(hasher, part));
            hashes.collect()
        }
    }
}
