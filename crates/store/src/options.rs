//! How a store is opened.

use std::time::Duration;

use crate::keyring::MasterKeySource;
use crate::sync::SyncObserver;
use recant_types::FeedbackRules;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Memory the database may use for its page cache.
    pub cache_bytes: u64,
    /// Nothing new is accepted while the disk has less room than this.
    pub free_space_min_bytes: u64,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// When the live data are rewritten into a new generation; `None` leaves that to
    /// [`Store::compact`](crate::Store::compact).
    pub compaction: Option<CompactionSchedule>,
    /// How long an erasure keeps old events from coming back.
    pub tombstone_days: u32,
    /// A sync that takes longer than this makes the store refuse instead of letting callers wait.
    pub sync_longest: Duration,
    /// Largest database that is copied before it is opened after an unclean stop.
    pub recovery_copy_max_bytes: u64,
    /// What the types of feedback mean, where events of one pair are put together.
    pub feedback: FeedbackRules,
    /// Is told of every sync; for tests.
    pub sync_observer: Option<SyncObserver>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            free_space_min_bytes: 64 << 20,
            master_key: MasterKeySource::default(),
            compaction: None,
            tombstone_days: 3_650,
            sync_longest: Duration::from_secs(10),
            recovery_copy_max_bytes: 1 << 30,
            feedback: FeedbackRules::new(),
            sync_observer: None,
        }
    }
}

/// When compactions begin by themselves. Without a change since the last one, none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionSchedule {
    /// So long after the last one.
    pub after: Duration,
    /// When so many erasures have been accepted since.
    pub after_erasures: u64,
}
