//! Who owes nothing any more, and how that came about.

use crate::entry::NodeId;

/// A node that may owe nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSettle {
    /// Which.
    pub node: NodeId,
    /// Up to which entry.
    pub upto: u64,
    /// How that came about.
    pub came_back: CameBack,
}

/// How a node came to owe nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameBack {
    /// It is waited for again, and has applied every entry that it was not waited for at. Whether it did so with
    /// the disk that it left with is told by what it signs with.
    Current {
        /// The public key that it signed with when it left, as it was told others.
        left_with: Vec<u8>,
        /// That it signs with now.
        signs_with: Vec<u8>,
    },
    /// It does not: an operator said that its disk is destroyed.
    Never,
}
