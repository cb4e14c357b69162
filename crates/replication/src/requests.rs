//! Requests of callers from when they come until they are answered.

use std::collections::HashMap;

use recant_cluster::{Refusal, RequestId, Settled};
use recant_jetstream::ENTRY_BYTES_MAX;
use tokio::sync::oneshot;

use super::entry_store::EntryStore;
use super::event::{Answer, DecidedEach};
use super::submit_error::{RemoveError, SubmitError};

/// What an envelope, a seal and the group around something that was decided take, generously.
const AROUND_BYTES: usize = 64 * 1024;

/// A request without an answer.
struct Request<S: EntryStore> {
    answer: Answer<S>,
    asked: Option<S::Asked>,
    /// Why it was refused.
    refused: Option<SubmitError<S::Error>>,
    /// What came of it here, while others are waited for.
    outcome: Option<S::Outcome>,
}

pub(crate) struct Requests<S: EntryStore> {
    last: u64,
    waiting: HashMap<RequestId, Request<S>>,
    removals: HashMap<RequestId, oneshot::Sender<Result<(), RemoveError>>>,
    /// What the store decides, in order.
    deciding: Vec<RequestId>,
    /// Requests of the entry that the store commits, in order.
    committing: Vec<RequestId>,
}

impl<S: EntryStore> Default for Requests<S> {
    fn default() -> Self {
        Self {
            last: 0,
            waiting: HashMap::new(),
            removals: HashMap::new(),
            deciding: Vec::new(),
            committing: Vec::new(),
        }
    }
}

impl<S: EntryStore> Requests<S> {
    fn next(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    pub(crate) fn take_removal(
        &mut self,
        answer: oneshot::Sender<Result<(), RemoveError>>,
    ) -> RequestId {
        let id = self.next();
        self.removals.insert(id, answer);
        id
    }

    pub(crate) fn take(&mut self, asked: S::Asked, answer: Answer<S>) -> RequestId {
        let id = self.next();
        let request = Request {
            answer,
            asked: Some(asked),
            refused: None,
            outcome: None,
        };
        self.waiting.insert(id, request);
        id
    }

    /// What these ask, to be decided.
    pub(crate) fn decide(&mut self, requests: Vec<RequestId>) -> Vec<S::Asked> {
        let (mut asked, mut deciding) = (Vec::new(), Vec::new());
        for id in requests {
            if let Some(request) = self.waiting.get_mut(&id)
                && let Some(it) = request.asked.take()
            {
                asked.push(it);
                deciding.push(id);
            }
        }
        self.deciding = deciding;
        asked
    }

    /// What was decided, for the node; why something was refused stays here.
    pub(crate) fn decided(&mut self, decided: DecidedEach<S>) -> Vec<Option<Vec<u8>>> {
        let ids = std::mem::take(&mut self.deciding);
        let each = ids.into_iter().zip(decided).map(|(id, decided)| {
            let taken = match decided {
                Ok(decided) if decided.len() > ENTRY_BYTES_MAX - AROUND_BYTES => {
                    let bytes = decided.len();
                    Err(SubmitError::TooLong { bytes })
                }
                Ok(decided) => Ok(decided),
                Err(error) => Err(SubmitError::Store(error)),
            };
            let note = |refused| {
                if let Some(request) = self.waiting.get_mut(&id) {
                    request.refused = Some(refused);
                }
            };
            taken.map_err(note).ok()
        });
        each.collect()
    }

    /// The store commits the entry of these.
    pub(crate) fn commit(&mut self, requests: Vec<RequestId>) {
        self.committing = requests;
    }

    pub(crate) fn committed(&mut self, outcomes: Vec<S::Outcome>) {
        let ids = std::mem::take(&mut self.committing);
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            if let Some(request) = self.waiting.get_mut(&id) {
                request.outcome = Some(outcome);
            }
        }
    }

    /// Answers a request. Whoever asked may have gone away.
    pub(crate) fn settle(&mut self, id: RequestId, settled: Settled) {
        if let Some(answer) = self.removals.remove(&id) {
            let _ = answer.send(match settled {
                Settled::Accepted => Ok(()),
                Settled::Refused(Refusal::NotRemovable) => Err(RemoveError::NotRemovable),
                Settled::Refused(Refusal::LeadershipLost) => Err(RemoveError::Open),
                Settled::Refused(Refusal::NotLeading | Refusal::ByStore | Refusal::LogFull) => {
                    Err(RemoveError::NotLeading)
                }
            });
            return;
        }
        let Some(request) = self.waiting.remove(&id) else {
            return;
        };
        let answer = match settled {
            Settled::Accepted => request.outcome.ok_or(SubmitError::Open),
            Settled::Refused(Refusal::ByStore) => Err(request.refused.unwrap_or(SubmitError::Open)),
            Settled::Refused(Refusal::NotLeading | Refusal::NotRemovable) => {
                Err(SubmitError::NotLeading)
            }
            Settled::Refused(Refusal::LogFull) => Err(SubmitError::LogFull),
            Settled::Refused(Refusal::LeadershipLost) => Err(SubmitError::Open),
        };
        // Whoever asked may have gone away.
        let _ = request.answer.send(answer);
    }
}
