//! What a node says of itself.

use recant_cluster::{EntryHash, Incarnation, MemberStatus, NodeId, Stopped, ToSettle, Version};
use recant_jetstream::ReadError;

/// What a node does in the term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader {
        /// Its term.
        term: u64,
    },
    /// It follows a leader, or waits for one.
    Follower,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it does.
    pub role: Role,
    /// The term that it knows.
    pub term: u64,
    /// Who leads that, as far as it knows.
    pub leader: Option<NodeId>,
    /// Where the leader is reached.
    pub leader_address: Option<String>,
    /// The log that it follows.
    pub incarnation: Incarnation,
    /// The hash of the last entry that its store has applied.
    pub hash: EntryHash,
    /// The last entry that its store has applied.
    pub applied: u64,
    /// Entries that it has read and not applied.
    pub behind: usize,
    /// The version that readers see here.
    pub live: Version,
    /// The newest version that the log says is everywhere.
    pub everywhere: Version,
    /// All nodes that were ever heard of.
    pub members: Vec<MemberStatus>,
    /// Whether somebody who is to read no more, as a node that was removed, has the keys that the log goes on under.
    pub wants_key: bool,
    /// On a leader, nodes that the log says to owe something and that do not any more.
    pub to_settle: Vec<ToSettle>,
    /// Every public key that a node ever said it signs with.
    pub signed_with: Vec<Vec<u8>>,
    /// Whether the log takes no more additions. The leader alone knows.
    pub is_log_full: bool,
    /// Bytes of the log. The leader alone knows.
    pub log_bytes: u64,
    /// Whether nothing is heard of the log, and it does not answer.
    pub is_log_silent: bool,
    /// Why the entry after that is not applied yet, when it was tried.
    pub cannot_apply: Option<String>,
    /// Why it goes no further.
    pub stopped: Option<Stopped>,
    /// What is wrong with the log, when that is why.
    pub log: Option<ReadError>,
}
