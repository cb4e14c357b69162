//! Doing what an entry of a shared log says, as it was decided.

use std::path::Path;

use super::Stage;
use crate::codec::PAYLOAD_BYTES_MAX;
use crate::decided::{Accepted, Decided, DecidedChange, DecidedEntry, Outcome, Refusal};
use crate::error::StoreError;
use crate::keys;
use crate::log_entry::LogEntry;
use crate::observer::Brought;
use crate::records::Committed;
use recant_types::{ErasureId, ErasureStatus};

impl Stage<'_> {
    /// Refuses an entry that is not the next one, and leaves the stage as it is. One that is applied
    /// already is as good as the next.
    pub(crate) fn admits(&self, entry: &LogEntry) -> Result<(), StoreError> {
        if entry.mark.len() > PAYLOAD_BYTES_MAX {
            return Err(StoreError::MarkTooLong(entry.mark.len()));
        }
        let held = match &self.log_key {
            Some(key) => Some(key.epoch()),
            None => self.codec.ring().log_key()?.map(|key| key.epoch()),
        };
        let given = entry.key.epoch();
        if let Some(held) = held.filter(|held| *held > given) {
            return Err(StoreError::LogKeyWentBack { held, given });
        }
        if self.is_applied(entry)? {
            return Ok(());
        }
        self.follows(&entry.decided)
    }

    fn is_applied(&self, entry: &LogEntry) -> Result<bool, StoreError> {
        Ok(self.get(&keys::MARK)?.as_ref() == Some(&entry.mark))
    }

    /// Adds an entry that is [admitted](Stage::admits), and says what becomes of each request in it. Of one
    /// that is applied already nothing is added but its key, which may not have got so far. An error
    /// leaves it half done.
    pub(crate) fn add_entry(
        &mut self,
        entry: &mut LogEntry,
        path: &Path,
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
        let is_applied = self.is_applied(entry)?;
        self.log_key = Some(entry.key.clone());
        if !is_applied {
            self.put(keys::MARK.to_vec(), &entry.mark);
            self.index.follows_log = true;
        }
        let places = std::mem::take(&mut entry.places);
        let decided = std::mem::take(&mut entry.decided).into_iter();
        let outcomes = decided.enumerate().map(|(at, decided)| {
            self.place = places.get(at).copied();
            let outcome = if is_applied {
                self.answer_again(&decided)?
            } else {
                self.apply_decided(decided)?
            };
            Ok(outcome.map_err(|refusal| refusal.error(path)))
        });
        let outcomes = outcomes.collect();
        self.place = None;
        outcomes
    }

    /// What became of a request when it was applied.
    fn answer_again(
        &mut self,
        decided: &Decided,
    ) -> Result<Result<Committed, Refusal>, StoreError> {
        let accepted = match &decided.0 {
            Outcome::Accepted(accepted) => accepted,
            Outcome::Repeated(before) => return self.repeated(*before).map(Ok),
            Outcome::Refused(refusal) => return Ok(Err(*refusal)),
        };
        let mut committed = Committed {
            positions: accepted.positions().collect(),
            refused: accepted.refused,
            ..Committed::default()
        };
        for entry in &accepted.entries {
            match entry {
                DecidedEntry::Add(addition) => committed.held_back += addition.held_back as usize,
                DecidedEntry::Erase(erasure) => {
                    committed.records.push(self.erasure(erasure.id)?);
                }
            }
        }
        self.tell_again(accepted, &committed)?;
        Ok(Ok(committed))
    }

    /// Tells what it brought: whoever listens may have missed it, when the commit failed after the database
    /// had it. What is forgotten by now waits no more.
    fn tell_again(&mut self, accepted: &Accepted, committed: &Committed) -> Result<(), StoreError> {
        for change in &accepted.changes {
            match change {
                DecidedChange::Describe(said) => self.tell(|| Brought::Described(said.clone())),
                DecidedChange::RemoveDescription(id) => {
                    self.tell(|| Brought::Undescribed(id.clone()));
                }
                DecidedChange::Fact(fact) => {
                    let records = self.records_of(fact)?;
                    self.tell(|| Brought::Reached(records));
                }
                DecidedChange::PutProperties { .. } | DecidedChange::PutOutbox { .. } => {}
            }
        }
        for entry in &accepted.entries {
            let DecidedEntry::Erase(erasure) = entry else {
                continue;
            };
            let mut records = committed.records.iter();
            let record = records.find(|record| record.id == erasure.id);
            if record.is_some_and(|record| record.status < ErasureStatus::Forgotten) {
                self.tell(|| Brought::Erasure {
                    id: erasure.id,
                    accepted_at: erasure.accepted_at,
                    target: erasure.target.clone(),
                });
            }
        }
        Ok(())
    }

    fn repeated(&self, before: ErasureId) -> Result<Committed, StoreError> {
        Ok(Committed {
            records: vec![self.erasure(before)?],
            ..Committed::default()
        })
    }

    /// Does what was decided, here or elsewhere, and says what became of the request. Its positions must be
    /// the next ones ([`Stage::follows`]). An error leaves it half done.
    fn apply_decided(
        &mut self,
        decided: Decided,
    ) -> Result<Result<Committed, Refusal>, StoreError> {
        let accepted: Accepted = match decided.0 {
            Outcome::Accepted(accepted) => accepted,
            Outcome::Repeated(before) => return self.repeated(before).map(Ok),
            Outcome::Refused(refusal) => return Ok(Err(refusal)),
        };
        let mut committed = Committed {
            refused: accepted.refused,
            ..Committed::default()
        };
        for change in &accepted.changes {
            self.apply_change(change)?;
        }
        for entry in accepted.entries {
            self.apply_entry(entry, &mut committed)?;
        }
        for lift in accepted.lifts {
            self.apply_lift(lift, &mut committed)?;
        }
        Ok(Ok(committed))
    }

    /// Refuses what was decided for other positions than those that come next.
    fn follows(&self, decided: &[Decided]) -> Result<(), StoreError> {
        let mut next = self.next;
        for given in decided.iter().flat_map(Decided::positions) {
            if given != next {
                let (next, given) = (next.0, given.0);
                return Err(StoreError::OutOfOrder { next, given });
            }
            next = given.next();
        }
        Ok(())
    }
}
