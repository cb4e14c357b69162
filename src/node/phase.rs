//! How far a node has come since its process began.

use recant_http::Why;
use recant_replication::{Replica, StoreEntries};

/// How far a node has come.
#[derive(Clone)]
pub(super) enum Phase {
    /// It takes no requests yet, for this reason.
    Waiting(Why),
    /// It is a node at work.
    Running(Replica<StoreEntries>),
}
