//! Telling somebody in the same process what entries of a shared log bring.
//!
//! Whoever commits an entry knows it by its bytes alone. What it means for what is kept in memory beside the
//! store (what is said about items, what waits to be forgotten, how far erasures have come) is told here, in the
//! order of the entries.

use recant_types::{ErasureId, ErasureRecord, ErasureTarget, ItemDescription, ItemId, UnixMillis};

/// One thing that an entry brought. `Debug` shows ids of people and items as redacted.
#[derive(Debug, Clone, PartialEq)]
pub enum Brought {
    /// An erasure, or a restriction, was accepted.
    Erasure {
        /// Its id.
        id: ErasureId,
        /// When it was accepted.
        accepted_at: UnixMillis,
        /// What it names.
        target: ErasureTarget,
    },
    /// This is said about an item now.
    Described(ItemDescription),
    /// Nothing is said about the item any more.
    Undescribed(ItemId),
    /// These records were changed by a [`Fact`](crate::Fact), and are so now.
    Reached(Vec<ErasureRecord>),
}

/// Whoever is told. It is called by the thread that writes, once an entry is durable and before anybody is
/// answered or the log seems longer; so it must be quick, and must not wait for a commit. What an entry
/// brought may be told again when the entry is handed over again.
pub trait EntryObserver: Send + Sync {
    /// An entry, or several, brought this, in this order.
    fn brought(&self, brought: Vec<Brought>);
}
