//! What the worker has besides when its node is one of several.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::settle::ToSettle;
use crate::dirty::DirtyRows;
use crate::receipt_signer::ReceiptSource;
use crate::replication::{ReplicaRole, Replication};
use crate::snapshot::Snapshot;
use crate::update_feed::Versions;
use recant_store::ModelHeader;
use recant_types::ErasureRecord;

/// What the worker has besides when its node is one of several.
pub(crate) struct Replica {
    pub(crate) replication: Arc<dyn Replication>,
    pub(crate) role: watch::Receiver<ReplicaRole>,
    /// The versions for the other nodes, while this one leads.
    pub(crate) versions: Arc<Versions>,
    pub(crate) receipts: ReceiptSource,
    /// There while it leads.
    pub(super) leading: Option<Leading>,
    /// The factors in memory are those of some leader, to the bit.
    pub(super) is_in_step: bool,
}

/// What the worker has besides while its node leads.
pub(super) struct Leading {
    pub(super) term: u64,
    /// Nothing was published in this term yet.
    pub(super) is_new: bool,
    /// Erasures that the model had forgotten before this node led, and of which no fact says so.
    pub(super) overdue: Vec<ErasureRecord>,
    pub(super) settler: mpsc::UnboundedSender<ToSettle>,
    pub(super) task: JoinHandle<()>,
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Leading {
    /// Has what is to be written down by every node written down in its turn.
    pub(super) fn settle(&self, work: ToSettle) {
        // Without the task this node leads no more, and who leads next finds it out.
        let _ = self.settler.send(work);
    }
}

impl Replica {
    pub(crate) fn new(
        replication: Arc<dyn Replication>,
        versions: Arc<Versions>,
        receipts: ReceiptSource,
    ) -> Self {
        Self {
            role: replication.role(),
            replication,
            versions,
            receipts,
            leading: None,
            is_in_step: false,
        }
    }

    pub(super) fn role(&self) -> ReplicaRole {
        *self.role.borrow()
    }

    /// The other nodes have a version to follow, if it is this one that leads them.
    pub(super) fn publish(
        &mut self,
        snapshot: &Snapshot,
        header: ModelHeader,
        changed: Option<DirtyRows>,
    ) {
        if let Some(leading) = &mut self.leading {
            let is_first = std::mem::take(&mut leading.is_new);
            let changed = changed.filter(|_| !is_first);
            self.versions.publish(snapshot, header, changed);
        }
    }
}

/// Returns when the role of the node changes; never for one by itself.
pub(super) async fn role_changed(replica: &mut Option<Replica>) {
    let changed = match replica {
        Some(replica) => replica.role.changed().await,
        None => return std::future::pending().await,
    };
    if changed.is_err() {
        std::future::pending::<()>().await;
    }
}
