//! Where an entry stands in the log.

use serde::{Deserialize, Serialize};

/// Where an entry stands in the log. The first entry is at 1; 0 is before all entries.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The position after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
