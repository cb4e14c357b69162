//! Places in the log that several nodes share, as records and receipts name them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One life of the log that several nodes share: a log that was made anew has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogIncarnation(Uuid);

impl LogIncarnation {
    /// The one with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for LogIncarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of such a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedEntry {
    /// Of which log.
    pub incarnation: LogIncarnation,
    /// In whose term as the leader it was written.
    pub term: u64,
    /// Its number. A log that was made anew goes on counting where the one before it ended.
    pub entry: u64,
}
