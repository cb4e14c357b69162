//! What a node and its leader say to one another beside the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{Address, BootId, NodeId};
use super::ratchet::{FreshKey, FreshKeyName};
use super::version::Version;

/// What a node tells its leader, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub node: NodeId,
    /// Which life of it.
    pub boot: BootId,
    /// Where it is reached.
    pub address: Address,
    /// The public key that it signs with, as others are shown it.
    pub signing: Vec<u8>,
    /// Whether it may lead.
    pub is_candidate: bool,
    /// The term whose leader it thinks it speaks to.
    pub term: u64,
    /// The last entry that its store has applied for good.
    pub applied: u64,
    /// The version that its readers see.
    pub live: Version,
    /// What it held when contents were compared last.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// The key that it keeps for the next series, durably.
    #[serde(default)]
    pub keeps: Option<FreshKeyName>,
}

/// What a store holds of a part, as a number that is equal in stores that hold the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The entry that asked for it: everything up to there is in it, and nothing else.
    pub number: u64,
    /// The number.
    pub sum: [u8; 16],
}

/// The first key of the next series, as a leader hands it to those who answer readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The last entry when it was made. Whoever has not applied this one may yet read of another key.
    pub after: u64,
    /// The key.
    pub key: FreshKey,
}

/// What the leader answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatAnswer {
    /// The term that it leads.
    pub term: u64,
    /// How long a lease lasts from when the beat was sent; `None` for no lease.
    pub left: Option<Duration>,
    /// Whether the node leads next: this leader hands over.
    pub succeeds: bool,
    /// Whether most nodes hold otherwise than the one that asked.
    #[serde(default)]
    pub differs: bool,
    /// Whether most nodes hold otherwise than this leader, which hands over.
    #[serde(default)]
    pub leader_differs: bool,
    /// The key to keep for the next series.
    #[serde(default)]
    pub offer: Option<Offer>,
}
