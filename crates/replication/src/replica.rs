//! The handle of a node at work.

use recant_cluster::{Beat, BeatAnswer, NodeId, NodeOptions, Version};
use recant_jetstream::JetStreamLog;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::driver::Driver;
use super::entry_store::EntryStore;
use super::event::Event;
use super::lease_gate::LeaseGate;
use super::live_cell::LiveCell;
use super::status::Status;
use super::submit_error::{RemoveError, SubmitError};
use super::transport::Peers;

/// Requests and messages that wait for the node at most; more wait where they are.
const EVENTS: usize = 1_024;

/// A node at work. Copies are the same node; it ends with [`Replica::stop`].
pub struct Replica<S: EntryStore> {
    events: mpsc::Sender<Event<S>>,
    stop: watch::Sender<bool>,
    gate: LeaseGate,
    status: watch::Receiver<Status>,
    everywhere: watch::Receiver<Version>,
    live: LiveCell,
}

impl<S: EntryStore> Clone for Replica<S> {
    fn clone(&self) -> Self {
        Self {
            events: self.events.clone(),
            stop: self.stop.clone(),
            gate: self.gate.clone(),
            status: self.status.clone(),
            everywhere: self.everywhere.clone(),
            live: self.live.clone(),
        }
    }
}

impl<S: EntryStore> Replica<S> {
    /// Starts a node where its store stands. It holds no lease.
    pub fn start(
        options: NodeOptions,
        log: JetStreamLog,
        store: S,
        peers: Peers,
    ) -> Result<(Self, JoinHandle<()>), S::Error> {
        let (events, received) = mpsc::channel(EVENTS);
        let (stop, stopped) = watch::channel(false);
        let (gate, live) = (LeaseGate::default(), LiveCell::default());
        let driver = Driver::new(options, log, store, peers, events.downgrade(), gate.clone())?;
        let (status, everywhere) = (driver.status(), driver.everywhere());
        let running = tokio::spawn(driver.run(received, live.clone(), stopped));
        let replica = Self {
            events,
            stop,
            gate,
            status,
            everywhere,
            live,
        };
        Ok((replica, running))
    }

    /// Has something written, about `bytes` long. An addition is answered when it is in the log and in this
    /// node's store; what erases, when it is so on every node that may answer readers. It may say that a
    /// version is everywhere, which is refused unless this node [has said so](Replica::everywhere), and that a
    /// node owes nothing any more up to an entry, as [`Status::to_settle`] allows.
    pub async fn submit(
        &self,
        asked: S::Asked,
        bytes: usize,
        erases: bool,
        everywhere: Option<Version>,
        settles: Option<(NodeId, u64)>,
    ) -> Result<S::Outcome, SubmitError<S::Error>> {
        let (answer, answered) = oneshot::channel();
        let event = Event::Submit {
            asked,
            bytes,
            erases,
            everywhere,
            settles,
            answer,
        };
        if self.events.send(event).await.is_err() {
            return Err(SubmitError::NotLeading);
        }
        answered.await.unwrap_or(Err(SubmitError::Open))
    }

    /// A node tells how far it is; nothing when this one is ending.
    pub(crate) async fn beat(&self, beat: Beat) -> Option<BeatAnswer> {
        let (answer, answered) = oneshot::channel();
        self.events.send(Event::Beat { beat, answer }).await.ok()?;
        answered.await.ok()
    }

    /// Whether readers may be answered.
    pub fn gate(&self) -> LeaseGate {
        self.gate.clone()
    }

    /// Readers of this node see this version from now on; with `forgets` an erasure waits until everybody has
    /// it.
    pub fn live(&self, version: Version, forgets: bool) {
        self.live.set(version, forgets);
    }

    /// On a leader, the newest version that every node has that may answer readers.
    pub fn everywhere(&self) -> watch::Receiver<Version> {
        self.everywhere.clone()
    }

    /// Whether the node may lead, if it is a candidate. One that leads and may not hands over.
    pub async fn may_lead(&self, may_lead: bool) {
        // A node that has ended leads no more.
        let _ = self.events.send(Event::MayLead(may_lead)).await;
    }

    /// Leads no longer, in good order; [`Replica::status`] says when. Whoever is named leads next, if it can.
    /// This node may lead again later.
    pub async fn hand_over(&self, to: Option<NodeId>) {
        // A node that has ended leads no more.
        let _ = self.events.send(Event::HandOver { to }).await;
    }

    /// Takes a node out for good; `attested` says that its disk is destroyed. Good when that is in the log and
    /// the node answers nobody any more.
    pub async fn remove(&self, node: NodeId, attested: bool) -> Result<(), RemoveError> {
        let (answer, answered) = oneshot::channel();
        let event = Event::Remove {
            node,
            attested,
            answer,
        };
        let sent = self.events.send(event).await;
        sent.map_err(|_| RemoveError::NotLeading)?;
        answered.await.unwrap_or(Err(RemoveError::Open))
    }

    /// Where the node stands, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Ends it: from then on readers are not answered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}
