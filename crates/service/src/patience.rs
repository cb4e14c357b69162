//! How long a look at everything may take.

use std::time::{Duration, Instant};

/// Steps between two looks at the clock.
const STEPS_PER_LOOK: usize = 256;

/// A time within which a walk has to end.
pub(crate) struct Patience {
    started: Instant,
    longest: Duration,
}

impl Patience {
    /// From now on, for `longest`.
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            started: Instant::now(),
            longest,
        }
    }

    /// Whether it is over before step `number` of the walk. Not every step looks at the clock.
    pub(crate) fn is_over(&self, number: usize) -> bool {
        number.is_multiple_of(STEPS_PER_LOOK) && self.started.elapsed() > self.longest
    }
}
