//! What tests want of a store beside what the log wants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use recant_cluster::Incarnation;
use recant_replication::EntryStore;

/// Items by user.
pub type Held = BTreeMap<String, BTreeSet<u64>>;

pub trait TestStore: EntryStore {
    /// What is kept at `path`, or a new store that stands before the first entry.
    fn open(
        path: PathBuf,
        incarnation: Incarnation,
        key: [u8; 32],
    ) -> impl Future<Output = Self> + Send;

    /// Ends the life: a commit under way is kept whole, or never.
    fn end(&self);

    fn add(user: &str, item: u64) -> Self::Asked;

    fn erase(user: &str) -> Self::Asked;

    /// What was never erased.
    fn held(&self) -> Held;

    /// Whether something of a user is held.
    fn holds(&self, user: &str) -> bool;
}
