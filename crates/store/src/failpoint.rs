//! Named places at which a test can end the process.
//!
//! In builds with debug assertions, `RECANT_CRASH_AT=name` aborts the process when it comes by the
//! place of that name, `RECANT_CRASH_AT=name:n` when it comes by for the n-th time. Other builds
//! contain nothing of it.

/// Every failpoint by name, in the order of an erasure's life.
///
/// `accept_*` are passed by a group of commits that holds an erasure, `commit_*` by any other.
pub const FAILPOINTS: [&str; 38] = [
    // A commit, step by step (store/writer.rs).
    "accept_before_apply",
    "accept_after_apply",
    "accept_after_database_sync",
    "accept_after_ring_write",
    "accept_after_ring_sync",
    "commit_before_apply",
    "commit_after_apply",
    "commit_after_database_sync",
    "commit_after_ring_write",
    "commit_after_ring_sync",
    // The worker's commits and swaps (service/worker.rs).
    "erase_before_commit",
    "erase_after_commit",
    "publish_before_commit",
    "publish_after_commit",
    "publish_after_swap",
    "refine_begun",
    "refine_ended",
    "certify_before_commit",
    "certify_after_commit",
    // Keys (store/keyring).
    "ring_before_create",
    "ring_after_create",
    "ring_before_extra_sync",
    "ring_after_extra_sync",
    "rotate_before_rename",
    "rotate_after_rename",
    "rotate_after_zeroing",
    // A generation (store/generation.rs, store/compaction.rs).
    "generation_begun",
    "compaction_copied",
    "compaction_caught_up",
    "generation_before_pointer",
    "generation_pointer_written",
    "generation_after_rename",
    "generation_after_switch",
    "generation_old_zeroed",
    "generation_old_removed",
    "restore_before_switch",
    // A node of a cluster (store/keyring/wipe.rs, store/transfer).
    "wipe_after_header",
    "transfer_middle",
];

/// Ends the process here when the environment says so.
#[inline]
pub fn failpoint(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Where to end, and at which time of passing.
    struct Armed {
        name: String,
        left: AtomicU64,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    fn read() -> Option<Armed> {
        let text = std::env::var("RECANT_CRASH_AT").ok()?;
        let (name, count) = match text.split_once(':') {
            Some((name, count)) => (name, count.parse().unwrap_or(1)),
            None => (text.as_str(), 1),
        };
        Some(Armed {
            name: name.to_owned(),
            left: AtomicU64::new(count),
        })
    }

    pub(super) fn pass(name: &'static str) {
        debug_assert!(super::FAILPOINTS.contains(&name), "{name} is not listed");
        if let Some(armed) = ARMED.get_or_init(read)
            && armed.name == name
            && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_once() {
        let names: std::collections::BTreeSet<_> = FAILPOINTS.into_iter().collect();
        assert_eq!(names.len(), FAILPOINTS.len());
    }
}
