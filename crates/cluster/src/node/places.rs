//! Where entries lie in the engine: nodes say how far they are by number, the engine is cut by sequence.

use std::collections::VecDeque;
use std::time::Duration;

use crate::boot_time::BootTime;
use crate::mark::Mark;

/// Between two places of the log that are remembered.
const REMEMBERED_EVERY: Duration = Duration::from_secs(10);

/// Places that are remembered. What lies before the oldest is kept until every member is beyond it.
const REMEMBERED_MOST: usize = 4_096;

/// Numbers and sequences of entries, from the oldest that is remembered on.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: VecDeque<(u64, u64)>,
    last: Option<BootTime>,
}

impl Places {
    /// An entry was applied.
    pub(super) fn applied(&mut self, mark: &Mark, now: BootTime) {
        if self.last.is_some_and(|last| now - last < REMEMBERED_EVERY) {
            return;
        }
        self.last = Some(now);
        if self.known.len() == REMEMBERED_MOST {
            self.known.pop_front();
        }
        self.known.push_back((mark.number, mark.sequence));
    }

    /// A sequence at which an entry lies that has at most this number.
    pub(super) fn of(&self, number: u64) -> Option<u64> {
        let before = self.known.iter().rev().find(|(known, _)| *known <= number);
        before.map(|(_, sequence)| *sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Incarnation;
    use uuid::Uuid;

    #[test]
    fn a_place_is_never_beyond_what_is_needed() {
        let mut mark = Mark::new(Incarnation(Uuid::nil()));
        let mut places = Places::default();
        // Some of what the engine holds does not count: the sequence runs ahead of the number.
        for number in 1..200 {
            (mark.number, mark.sequence) = (number, number + number / 7);
            places.applied(&mark, BootTime(Duration::from_secs(number)));
        }
        assert_eq!(places.of(0), None);
        assert_eq!(places.of(1), Some(1));
        assert_eq!(places.of(25), Some(24));
        assert_eq!(places.known.len(), 20);
    }
}
