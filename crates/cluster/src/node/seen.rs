//! What a node has seen that is of interest to whoever looks after it, and changes nothing.

use std::time::Duration;

/// Since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Entries that do not count: late ones, and second ones.
    pub void_entries: u64,
    /// Entries of this node that were found in the log though nobody had said that they are there.
    pub found_mine: u64,
    /// How long erasures that were applied here waited until every node that may answer readers had applied
    /// them.
    pub accept_waits: Vec<Duration>,
    /// How long versions that were shown here waited until every such node showed them.
    pub everywhere_waits: Vec<Duration>,
}
