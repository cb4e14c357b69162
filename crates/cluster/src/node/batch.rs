//! Entries that the store applies as one.

use super::exchange::RequestId;
use crate::entry::{PlacedGroup, Slice};
use crate::ratchet::Ratchet;

/// Bytes of entries that are applied as one, but for a single entry that is longer.
const BYTES_MAX: usize = 1024 * 1024;

/// Entries that are looked at, and not applied yet.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) groups: Vec<PlacedGroup>,
    /// This node's own requests in it.
    pub(super) requests: Vec<RequestId>,
    /// The key of the entry after them.
    pub(super) key: Ratchet,
    /// What the last of them asks to be read.
    pub(super) check: Option<Slice>,
    /// Whether one of them counts.
    pub(super) counts: bool,
    /// Whether it takes no more.
    pub(super) is_over: bool,
    pub(super) bytes: usize,
}

impl Batch {
    /// An empty one, with the key of the first entry.
    pub(super) fn new(key: Ratchet) -> Self {
        Self {
            groups: Vec::new(),
            requests: Vec::new(),
            key,
            check: None,
            counts: false,
            is_over: false,
            bytes: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        !self.is_over && self.bytes < BYTES_MAX
    }
}
