//! What a node and its leader say to one another beside the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{BootId, NodeId};

/// What a node tells its leader, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub node: NodeId,
    /// Which life of it.
    pub boot: BootId,
    /// The term whose leader it thinks it speaks to.
    pub term: u64,
    /// The last entry that its store has applied for good.
    pub applied: u64,
}

/// What the leader answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatAnswer {
    /// The term that it leads.
    pub term: u64,
    /// How long a lease lasts from when the beat was sent; `None` for no lease.
    pub left: Option<Duration>,
}
