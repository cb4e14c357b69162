//! What the service of a node asks of the others, and tells them.
//!
//! The service starts before the replica does, so that a node that may lead can already learn; until then
//! it follows nobody and its requests find no leader.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use recant_cluster::{Mark, NodeId, Standing, Version};
use recant_receipt::{NodeStanding, NodesStanding};
use recant_replication::{Replica, Role, StoreEntries, incarnation_of};
use recant_service::{
    ModelUpdate, NodeBack, ReplicaRole, Replication, Sequencer, SequencerError, Sequencing,
};
use recant_store::{Fact, RequestBatch, Store, StoreError};
use tokio::sync::watch;

use super::came_back::came_back;
use super::sequencer::submit;
use super::updates::Updates;

/// The service's way to the other nodes.
pub(super) struct Link {
    replica: OnceLock<Replica<StoreEntries>>,
    store: Store,
    updates: Updates,
    role: watch::Sender<ReplicaRole>,
    everywhere: watch::Sender<(u64, u64)>,
    back: watch::Sender<Vec<NodeBack>>,
    /// The version that readers see, for a replica that is still to come.
    live: watch::Sender<(Version, bool)>,
}

impl Link {
    pub(super) fn new(store: Store, updates: Updates) -> Arc<Self> {
        Arc::new(Self {
            replica: OnceLock::new(),
            store,
            updates,
            role: watch::Sender::new(ReplicaRole::Follower),
            everywhere: watch::Sender::new((0, 0)),
            back: watch::Sender::default(),
            live: watch::Sender::default(),
        })
    }

    /// The replica has started: from now on the service hears what it does.
    pub(super) async fn connect(&self, replica: Replica<StoreEntries>) {
        let (version, forgets) = *self.live.borrow();
        // Only one replica is ever started.
        let _ = self.replica.set(replica.clone());
        replica.live(version, forgets);
        let (mut status, mut everywhere) = (replica.status(), replica.everywhere());
        loop {
            let (role, back) = {
                let status = status.borrow_and_update();
                let role = match status.role {
                    Role::Leader { term } => ReplicaRole::Leader { term },
                    Role::Follower => ReplicaRole::Follower,
                };
                (role, came_back(&status.to_settle))
            };
            self.back.send_if_modified(|was| {
                let is_other = *was != back;
                *was = back;
                is_other
            });
            let version = *everywhere.borrow_and_update();
            self.everywhere.send_replace((version.term, version.number));
            self.role
                .send_if_modified(|was| std::mem::replace(was, role) != role);
            let changed = tokio::select! {
                changed = status.changed() => changed,
                changed = everywhere.changed() => changed,
            };
            if changed.is_err() {
                // The node has ended.
                self.role.send_replace(ReplicaRole::Follower);
                return;
            }
        }
    }

    fn replica(&self) -> Result<Replica<StoreEntries>, SequencerError> {
        self.replica.get().cloned().ok_or(SequencerError::NoLeader)
    }
}

impl Sequencer for Link {
    fn commit(&self, batch: RequestBatch) -> Sequencing {
        let replica = self.replica();
        Box::pin(async move { submit(&replica?, batch, None, None).await })
    }
}

impl Replication for Link {
    fn role(&self) -> watch::Receiver<ReplicaRole> {
        self.role.subscribe()
    }

    fn everywhere(&self) -> watch::Receiver<(u64, u64)> {
        self.everywhere.subscribe()
    }

    fn live(&self, (term, number): (u64, u64), forgets: bool) {
        let version = Version { term, number };
        self.live.send_replace((version, forgets));
        if let Some(replica) = self.replica.get() {
            replica.live(version, forgets);
        }
    }

    fn record(
        &self,
        fact: Fact,
        everywhere: Option<(u64, u64)>,
    ) -> BoxFuture<'static, Result<(), SequencerError>> {
        let replica = self.replica();
        let everywhere = everywhere.map(|(term, number)| Version { term, number });
        Box::pin(async move {
            let batch = RequestBatch::fact(fact);
            submit(&replica?, batch, everywhere, None).await.map(drop)
        })
    }

    fn nodes(&self) -> Result<NodesStanding, StoreError> {
        let mark = self.store.mark()?.and_then(|mark| Mark::from_bytes(&mark));
        Ok(mark.as_ref().map(nodes_of).unwrap_or_default())
    }

    fn back(&self) -> watch::Receiver<Vec<NodeBack>> {
        self.back.subscribe()
    }

    fn settled(&self, node: &str, upto: u64) -> BoxFuture<'static, Result<(), SequencerError>> {
        let (replica, settles) = (self.replica(), (NodeId(node.to_owned()), upto));
        Box::pin(async move {
            let nothing = RequestBatch::default();
            submit(&replica?, nothing, None, Some(settles))
                .await
                .map(drop)
        })
    }

    fn next_update(&self, live: (u64, u64)) -> BoxFuture<'static, ModelUpdate> {
        self.updates.next(live)
    }
}

/// How the nodes stand, by what the log says up to a mark.
fn nodes_of(mark: &Mark) -> NodesStanding {
    let incarnations = [mark.incarnation].into_iter().chain(mark.before.clone());
    let nodes = mark.members.iter().map(|(node, member)| NodeStanding {
        node: node.0.clone(),
        owes_after: mark.owes_after(node),
        owes_upto: mark.owes_upto(node),
        is_removed: matches!(member.standing, Standing::Removed { .. }),
    });
    NodesStanding {
        incarnations: incarnations.map(incarnation_of).collect(),
        nodes: nodes.collect(),
    }
}
