//! Copies for the worst day, which bring nothing back that was erased.
//!
//! A backup is logical: ids, not rows. It is written while the store serves; each person's part is
//! what the store held of them at one moment during the backup. No key is in it: what belongs to a
//! person can be read only as long as the key ring holds that person's backup key.

mod format;
mod restore;
mod write;

pub use restore::{Restored, restore};
pub use write::BackupSummary;
pub(crate) use write::backup;
