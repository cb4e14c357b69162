//! Which version of the model readers see.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of the model: whoever led `term` made it. Ordered by term, then by number.
///
/// Within one life of a node the version that its readers see never goes back, and a leader gives no two
/// versions of its term one number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Version {
    /// The term whose leader made it; 0 before the first.
    pub term: u64,
    /// The number that readers are shown.
    pub number: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of term {}", self.number, self.term)
    }
}
