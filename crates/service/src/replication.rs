//! What one node among several asks of whatever joins them, and tells it.
//!
//! The service knows neither a network nor the shared log: it learns while its node leads, follows a leader's
//! versions while it does not, and says nothing of an erasure that is not true of every node.

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::model_update::ModelUpdate;
use crate::sequencer::SequencerError;
use recant_receipt::{NodesStanding, SettledHow};
use recant_store::{Fact, StoreError};

/// What a node does among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaRole {
    /// It learns, forgets and certifies, and its versions are everybody's.
    Leader {
        /// The number of its time as the leader; no other node ever led in it.
        term: u64,
    },
    /// It serves the versions of whoever leads.
    Follower,
}

/// A node that was away and owes nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeBack {
    /// Its name.
    pub node: String,
    /// Up to which entry of the log.
    pub upto: u64,
    /// How that came about.
    pub how: SettledHow,
}

/// What one node among several asks and tells the others.
///
/// A version goes by the term of the leader that made it, and by its number; the later term is the newer one.
pub trait Replication: Send + Sync + 'static {
    /// Leads or follows.
    fn role(&self) -> watch::Receiver<ReplicaRole>;

    /// On the leader: the newest version that every node has that may answer readers.
    fn everywhere(&self) -> watch::Receiver<(u64, u64)>;

    /// Readers of this node see this version from now on. With `forgets` an erasure waits until everybody
    /// has it.
    fn live(&self, version: (u64, u64), forgets: bool);

    /// Has a fact written down by every node. Good once this node's store has it; refused when this node
    /// leads no more, or when it never said that every node has the version `everywhere`.
    fn record(
        &self,
        fact: Fact,
        everywhere: Option<(u64, u64)>,
    ) -> BoxFuture<'static, Result<(), SequencerError>>;

    /// How all nodes stand, by the entries that this node's store has applied. Blocks.
    fn nodes(&self) -> Result<NodesStanding, StoreError>;

    /// On the leader: nodes that the log says to owe something and that do not any more.
    fn back(&self) -> watch::Receiver<Vec<NodeBack>>;

    /// Has it written down that a node owes nothing any more up to an entry, of which there is a settlement in every
    /// store. Good once this node's store has it.
    fn settled(&self, node: &str, upto: u64) -> BoxFuture<'static, Result<(), SequencerError>>;

    /// On a follower: the next update of the model from the leader, which brings a node that has the version
    /// `live` to a newer one. It is an image where the node has nothing, which it says as (0, 0), and
    /// where the leader cannot tell what changed since `live`. Dropping the answer loses nothing: whoever
    /// asks again says what it has.
    fn next_update(&self, live: (u64, u64)) -> BoxFuture<'static, ModelUpdate>;
}
