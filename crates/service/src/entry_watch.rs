//! What entries of a shared log bring, seen in memory as soon as it is in the store: whichever node accepted
//! it, and before anybody is answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::backlog::Backlog;
use crate::catalogue::Edit;
use crate::metric_names as names;
use crate::publish::Publisher;
use crate::replication::ReplicaRole;
use crate::worker::observe_age;
use recant_store::{Brought, EntryObserver};
use recant_types::{ErasureRecord, ErasureStatus};

/// Waits for the service while it starts, and passes everything on from then on.
#[derive(Default)]
pub(crate) struct EntryWatch(Mutex<State>);

enum State {
    /// What was brought meanwhile. Some of it the service has read from the store by then: that comes twice,
    /// which does no harm.
    Starting(Vec<Brought>),
    Started(InMemory),
}

impl Default for State {
    fn default() -> Self {
        Self::Starting(Vec::new())
    }
}

/// What of a service is kept in memory beside the store.
///
/// Nothing in it holds the store, whose own thread tells of entries: it would wait for itself if it were the last
/// to let the store go.
pub(crate) struct InMemory {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) role: watch::Receiver<ReplicaRole>,
    /// How many facts were written down.
    pub(crate) facts: Arc<watch::Sender<u64>>,
}

impl EntryWatch {
    /// The service is there.
    pub(crate) fn start(&self, service: InMemory) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Starting(brought) = &mut *state {
            service.take_in(std::mem::take(brought));
        }
        *state = State::Started(service);
    }
}

impl EntryObserver for EntryWatch {
    fn brought(&self, brought: Vec<Brought>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Starting(before) => before.extend(brought),
            State::Started(service) => service.take_in(brought),
        }
    }
}

impl InMemory {
    fn take_in(&self, brought: Vec<Brought>) {
        let (mut edits, mut is_fact) = (Vec::new(), false);
        for brought in brought {
            match brought {
                Brought::Erasure {
                    id,
                    accepted_at,
                    target,
                } => self.backlog.enter(id, Some(target), accepted_at),
                Brought::Described(said) => edits.push(Edit::Describe(Arc::new(said))),
                Brought::Undescribed(id) => edits.push(Edit::Remove(id)),
                Brought::Reached(records) => {
                    is_fact = true;
                    records.iter().for_each(|record| self.reached(record));
                }
            }
        }
        if !edits.is_empty() {
            self.publisher.edit(&edits);
        }
        if is_fact {
            self.facts.send_modify(|facts| *facts += 1);
        }
    }

    /// The record of an erasure is so now, on every node alike.
    fn reached(&self, record: &ErasureRecord) {
        let (id, status) = (record.id, record.status);
        match status {
            ErasureStatus::Forgotten if record.failure.is_some() => {
                return self.backlog.refused(id);
            }
            ErasureStatus::Forgotten => {
                self.backlog.enter_forgotten(id, record.accepted_at);
                self.backlog.leave(id);
                self.count(ErasureStatus::Erased, None, record);
                self.count(status, Some(names::ERASURE_FORGOTTEN_SECONDS), record);
            }
            ErasureStatus::Certified => {
                self.backlog.certified(id);
                self.count(status, Some(names::ERASURE_CERTIFIED_SECONDS), record);
            }
            ErasureStatus::Accepted | ErasureStatus::Erased | ErasureStatus::Failed => {}
        }
        self.backlog.spans.reached(id, status);
    }

    /// Counts a state, on the node that leads: those of all nodes can be summed.
    fn count(&self, status: ErasureStatus, age: Option<&'static str>, record: &ErasureRecord) {
        if !matches!(*self.role.borrow(), ReplicaRole::Leader { .. }) {
            return;
        }
        metrics::counter!(names::ERASURES_TOTAL, "status" => status.as_str()).increment(1);
        if let Some(age) = age {
            observe_age(age, record.accepted_at);
        }
        tracing::info!(erasure = %record.id, "{status}");
    }
}
