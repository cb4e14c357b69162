//! Times of one machine since it was started.

use std::ops::{Add, Sub};
use std::time::Duration;

/// How long a machine has been running, the time it was suspended included: `CLOCK_BOOTTIME`. It is
/// compared with times of the same machine alone; no rule of the protocol looks at a wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub Duration);

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(after))
    }
}

impl Sub for BootTime {
    type Output = Duration;

    /// How long after `earlier`; nothing when it is not later.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
