//! The key ring: one file with every key in a slot of its own, outside the database.
//!
//! A slot is destroyed in place, by zeros and one `fdatasync`, because a file that is rewritten
//! leaves its old bytes on the device. The watermark of what was acknowledged lies in the same file, so
//! that a commit needs one sync for both. docs/store.md draws the file.

mod format;
mod fuzzing;
mod leftovers;
mod log_key;
mod master;
mod pool;
mod ring;
mod rotate;
mod slots;
mod wipe;

pub(crate) use format::{CommitWatermark, Slot};
pub use fuzzing::{key_ring, key_ring_seeds};
pub(crate) use leftovers::{LEFTOVERS, holds_keys};
pub(crate) use master::{KEYS, MASTER};
pub use master::{MasterKey, MasterKeySource};
pub(crate) use ring::{KeyRing, Special};
pub(crate) use rotate::rotate;
pub(crate) use wipe::{remove, wipe};

#[cfg(test)]
mod tests;
