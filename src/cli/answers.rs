//! What a store answers to commands, whether it is opened here or by a server.

use serde::{Deserialize, Serialize};

use recant_store::{BackupSummary, Compaction};

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BackupAnswer {
    pub(super) users: u64,
    pub(super) items: u64,
    pub(super) interactions: u64,
    pub(super) bytes: u64,
}

impl From<BackupSummary> for BackupAnswer {
    fn from(summary: BackupSummary) -> Self {
        Self {
            users: summary.users,
            items: summary.items,
            interactions: summary.interactions,
            bytes: summary.bytes,
        }
    }
}

/// What a compaction did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CompactAnswer {
    pub(super) generation: u64,
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) paused_seconds: f64,
}

impl From<Compaction> for CompactAnswer {
    fn from(compaction: Compaction) -> Self {
        Self {
            generation: compaction.generation,
            records: compaction.records,
            seconds: compaction.took.as_secs_f64(),
            paused_seconds: compaction.paused.as_secs_f64(),
        }
    }
}
