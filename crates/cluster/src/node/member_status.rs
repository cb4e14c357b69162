//! What a node says of the members of its cluster.

use crate::entry::{Address, NodeId};
use crate::messages::Digest;
use crate::version::Version;

/// What a node knows of one that was ever heard of, itself included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its name.
    pub node: NodeId,
    /// Where it is reached.
    pub address: Address,
    /// Whether it may lead.
    pub is_candidate: bool,
    /// What is waited for from it.
    pub state: MemberState,
    /// Whether it was removed.
    pub is_removed: bool,
    /// Entries behind this one it has still to carry out, until the log says that it is settled; nothing when
    /// nothing was erased behind it. A node that has come back is so for a moment; one that came back with
    /// another disk for as long as the first may be somewhere.
    pub owes_after: Option<u64>,
    /// The last entry that it is known to have applied. The leader hears that from each; others know of
    /// themselves, and what the log says.
    pub applied: u64,
    /// The version that its readers see, as far as this node knows: the leader, of those that speak to it.
    pub live: Option<Version>,
    /// What it held when contents were compared last, as far as this node knows in the same way.
    pub digest: Option<Digest>,
}

/// What is waited for from a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It may hold a lease, and everything waits for it.
    Current,
    /// It holds no lease and is not waited for, and nothing was erased since that it does not have.
    Out,
    /// As [`Out`](MemberState::Out), but something was erased since, and as far as the log knows its disk still has
    /// the keys. So it is with a node that was removed, unless its disk is said to be destroyed.
    Owing,
}
