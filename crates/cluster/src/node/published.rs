//! The versions that a leader has published, as far as somebody may lack them.

use std::collections::VecDeque;

use crate::boot_time::BootTime;
use crate::timing::Timing;
use crate::version::Version;

/// Versions that are told apart. Of more, neighbours count as the newer one, to be had by when the older was due.
const MOST: usize = 4_096;

/// In order, by version and by time.
#[derive(Debug, Default)]
pub(super) struct Published(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    version: Version,
    /// Whether an erasure waits until everybody has it.
    forgets: bool,
    /// By when whoever follows closely has it.
    due: BootTime,
}

impl Published {
    /// A leader begins with the version that its readers see already.
    pub(super) fn new(version: Version, now: BootTime) -> Self {
        let first = Entry {
            version,
            forgets: false,
            due: now,
        };
        Self(VecDeque::from([first]))
    }

    pub(super) fn add(&mut self, version: Version, forgets: bool, now: BootTime, timing: &Timing) {
        let due = now + timing.forget;
        self.0.push_back(Entry {
            version,
            forgets,
            due,
        });
        if self.0.len() > MOST
            && let Some(merged) = self.0.remove(1)
            && let Some(newer) = self.0.get_mut(1)
        {
            newer.forgets |= merged.forgets;
            newer.due = merged.due;
        }
    }

    /// When readers of this node were shown a version, if that is remembered.
    pub(super) fn shown_at(&self, version: Version, timing: &Timing) -> Option<BootTime> {
        let entry = self.0.iter().skip(1).find(|entry| entry.version == version);
        entry.map(|entry| BootTime(entry.due.0.saturating_sub(timing.forget)))
    }

    /// What whoever follows closely has by now.
    pub(super) fn due(&self, now: BootTime) -> Version {
        let due = self.0.iter().rev().find(|entry| entry.due <= now);
        due.map(|entry| entry.version).unwrap_or_default()
    }

    /// The newest of this `term` that is no newer than `least`.
    pub(super) fn up_to(&self, least: Version, term: u64) -> Option<Version> {
        let of_term = self.0.iter().rev().map(|entry| entry.version);
        let mut of_term = of_term.take_while(|version| version.term == term);
        of_term.find(|version| *version <= least)
    }

    /// Whether an erasure has waited too long for a node whose readers see this version.
    pub(super) fn is_held_up_at(&self, live: Version, now: BootTime) -> bool {
        let mut late = self.0.iter().take_while(|entry| entry.due <= now);
        late.any(|entry| entry.forgets && entry.version > live)
    }

    /// Every node that may answer has this version: what is older and long due is of no interest.
    pub(super) fn is_everywhere(&mut self, version: Version, now: BootTime) {
        while let [first, second, ..] = self.0.make_contiguous()
            && first.version <= version
            && second.due <= now
        {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn version(number: u64) -> Version {
        Version { term: 1, number }
    }

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    #[test]
    fn only_who_lacks_what_forgets_for_long_holds_up() {
        let timing = Timing::default();
        let mut published = Published::new(version(1), at(10));
        published.add(version(2), true, at(20), &timing);
        published.add(version(3), false, at(21), &timing);
        assert!(!published.is_held_up_at(version(1), at(21)));
        assert!(published.is_held_up_at(version(1), at(22)));
        assert!(!published.is_held_up_at(version(2), at(90)));
        assert_eq!(published.due(at(21)), version(1));
        assert_eq!(published.due(at(22)), version(2));
        assert_eq!(published.up_to(version(9), 1), Some(version(3)));
        assert_eq!(published.up_to(version(0), 1), None);
        assert_eq!(published.up_to(version(9), 2), None);
        published.is_everywhere(version(2), at(90));
        assert_eq!(published.due(at(90)), version(3));
        assert_eq!(published.0.len(), 1);
    }

    #[test]
    fn who_lacks_what_was_merged_holds_up_all_the_same() {
        let timing = Timing::default();
        let mut published = Published::new(version(1), at(10));
        for number in 2..20_000 {
            published.add(version(number), number == 2, at(20), &timing);
        }
        assert_eq!(published.0.len(), MOST);
        assert!(published.is_held_up_at(version(1), at(22)));
        assert!(!published.is_held_up_at(version(1), at(21)));
        assert_eq!(published.due(at(22)), version(19_999));
    }
}
