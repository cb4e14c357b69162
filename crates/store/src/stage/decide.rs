//! Deciding: what a request comes to, by everything that was added before, and before anything is
//! changed by it. [`crate::decided`] says what is decided and what is not.

use std::collections::HashSet;

use super::{Stage, is_expired};
use crate::codec;
use crate::decided::{
    Accepted, Decided, DecidedAddition, DecidedChange, DecidedEntry, DecidedErasure, DecidedLift,
    Outcome, Refusal,
};
use crate::error::StoreError;
use crate::keys;
use crate::observer::Brought;
use crate::outbox::OutboxRecord;
use crate::records::{Committed, IdempotencyRecord};
use crate::request::{Append, Idempotency, RequestBatch, RequestChange};
use recant_types::{
    ErasureId, ErasureRecord, Event, FEEDBACK_TYPES_MAX, Interaction, UnixMillis, UserId,
};

impl Stage<'_> {
    /// The erasure that an idempotency key of `appends` named before, if there is one; an error when
    /// it came with another request.
    pub(super) fn erasure_before(
        &self,
        appends: &[Append],
    ) -> Result<Option<ErasureId>, StoreError> {
        for Idempotency { key, request } in appends.iter().filter_map(|a| a.idempotency) {
            let key = keys::idempotency(&self.hasher.digest(&key));
            let Some(payload) = self.get(&key)? else {
                continue;
            };
            let used: IdempotencyRecord = codec::from_json(&payload)?;
            if is_expired(&used, UnixMillis::now()) {
                continue;
            }
            if used.request != self.hasher.digest(&request) {
                return Err(StoreError::IdempotencyKeyReused);
            }
            return Ok(Some(used.erasure));
        }
        Ok(None)
    }

    /// The record of an erasure, which must be there.
    pub(super) fn erasure(&self, id: ErasureId) -> Result<ErasureRecord, StoreError> {
        let record = self.get(&keys::erasure(id))?;
        let record = record.ok_or_else(|| StoreError::damaged("an erasure is missing"))?;
        codec::from_json(&record)
    }

    pub(super) fn decide_append(&mut self, append: Append) -> Result<DecidedEntry, StoreError> {
        match append.event {
            Event::Add(interactions) => {
                let addition = self.decide_addition(interactions)?;
                Ok(DecidedEntry::Add(addition))
            }
            Event::Erase {
                id,
                accepted_at,
                target,
            } => Ok(DecidedEntry::Erase(Box::new(DecidedErasure {
                position: self.next,
                id,
                accepted_at,
                target,
                commitment: append.commitment,
                requested_by: append.requested_by,
                idempotency: append.idempotency,
                until: None,
            }))),
        }
    }

    /// Leaves out what an erasure has taken back already. What is left takes a position, unless all of it
    /// is of restricted people.
    fn decide_addition(
        &mut self,
        mut rows: Vec<Interaction>,
    ) -> Result<DecidedAddition, StoreError> {
        let given = rows.len();
        let mut failed = None;
        rows.retain(|row| match self.is_held_back(row) {
            Ok(is_held_back) => !is_held_back,
            Err(error) => {
                failed.get_or_insert(error);
                true
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let waits = rows.iter().any(|row| !self.is_restricted(&row.user));
        Ok(DecidedAddition {
            position: waits.then_some(self.next),
            held_back: (given - rows.len()) as u32,
            rows,
        })
    }

    /// `None` for a patch that would be out of bounds.
    pub(super) fn decide_change(
        &mut self,
        change: RequestChange,
    ) -> Result<Option<DecidedChange>, StoreError> {
        let decided = match change {
            RequestChange::Describe(description) => DecidedChange::Describe(description),
            RequestChange::RemoveDescription(id) => DecidedChange::RemoveDescription(id),
            RequestChange::PutProperties { id, properties } => {
                DecidedChange::PutProperties { id, properties }
            }
            RequestChange::PatchProperties { id, patch } => {
                match self.patched_properties(&id, &patch)? {
                    Ok(properties) => DecidedChange::PutProperties { id, properties },
                    Err(reason) => {
                        self.refused = Some(reason);
                        return Ok(None);
                    }
                }
            }
            RequestChange::PutOutbox { endpoint, id } => DecidedChange::PutOutbox { endpoint, id },
            RequestChange::Fact(fact) => DecidedChange::Fact(fact),
        };
        Ok(Some(decided))
    }

    pub(super) fn apply_change(&mut self, change: &DecidedChange) -> Result<(), StoreError> {
        match change {
            DecidedChange::Describe(description) => {
                self.tell(|| Brought::Described(description.clone()));
                self.describe(description)
            }
            DecidedChange::RemoveDescription(id) => {
                self.tell(|| Brought::Undescribed(id.clone()));
                self.remove_description(id)
            }
            DecidedChange::PutProperties { id, properties } => self.put_properties(id, properties),
            DecidedChange::PutOutbox { endpoint, id } => {
                let record = OutboxRecord { done: None };
                self.put(keys::outbox_entry(*endpoint, *id), &codec::to_json(&record));
                Ok(())
            }
            DecidedChange::Fact(fact) => {
                let changed = self.apply_fact(fact)?;
                if !changed.is_empty() {
                    self.tell(|| Brought::Reached(changed));
                }
                Ok(())
            }
        }
    }

    /// `None` for somebody who is not restricted.
    pub(super) fn decide_lift(&mut self, user: UserId) -> Result<Option<DecidedLift>, StoreError> {
        if !self.is_restricted(&user) {
            return Ok(None);
        }
        let count = self.entries_of_kept(self.hasher.user(&user))?;
        let mut position = self.next;
        let positions = std::iter::from_fn(|| {
            let taken = position;
            position = taken.next();
            Some(taken)
        });
        Ok(Some(DecidedLift {
            at: UnixMillis::now(),
            positions: positions.take(count).collect(),
            user,
        }))
    }

    /// What a request comes to. It is carried out on this stage, so that what follows counts it; so the
    /// stage must be a [trial](Stage::trial).
    pub(crate) fn decide(&mut self, request: RequestBatch) -> Result<Decided, StoreError> {
        match self.erasure_before(&request.appends) {
            Ok(None) => {}
            Ok(Some(before)) => return Ok(Decided(Outcome::Repeated(before))),
            Err(StoreError::IdempotencyKeyReused) => {
                return Ok(Decided(Outcome::Refused(Refusal::IdempotencyKeyReused)));
            }
            Err(error) => return Err(error),
        }
        if !self.has_numbers_for(&request.appends) {
            return Ok(Decided(Outcome::Refused(Refusal::TooManyFeedbackTypes)));
        }
        let (mut accepted, mut committed) = (Accepted::default(), Committed::default());
        for change in request.changes {
            if let Some(change) = self.decide_change(change)? {
                self.apply_change(&change)?;
                accepted.changes.push(change);
            }
        }
        accepted.refused = self.refused.take();
        for append in request.appends {
            let mut entry = self.decide_append(append)?;
            let until = self.apply_entry(entry.clone(), &mut committed)?;
            if let DecidedEntry::Erase(erasure) = &mut entry {
                erasure.until = until;
            }
            accepted.entries.push(entry);
        }
        for user in request.lifts {
            if let Some(lift) = self.decide_lift(user)? {
                self.apply_lift(lift.clone(), &mut committed)?;
                accepted.lifts.push(lift);
            }
        }
        Ok(Decided(Outcome::Accepted(accepted)))
    }

    /// Whether every type of feedback of additions has a number, or can get one.
    fn has_numbers_for(&self, appends: &[Append]) -> bool {
        let known = &self.index.feedback_types;
        let added = appends.iter().filter_map(|append| match &append.event {
            Event::Add(interactions) => Some(interactions),
            Event::Erase { .. } => None,
        });
        let types = added.flatten().map(|added| &added.feedback);
        let new: HashSet<_> = types.filter(|name| !known.contains(name)).collect();
        known.len() + new.len() <= FEEDBACK_TYPES_MAX
    }
}
