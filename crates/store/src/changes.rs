//! Which keys changed since somebody began to copy the records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Notes the keys of every commit, for everybody who copies meanwhile.
#[derive(Debug, Default)]
pub(super) struct Changes(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    next: u64,
    keys: BTreeMap<u64, BTreeSet<Vec<u8>>>,
}

/// The changes since [`Changes::watch`]; none are noted for it any more once it is dropped.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    changes: &'a Changes,
    number: u64,
}

impl Changes {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on changes are noted. To be called while no commit can be applied.
    pub(super) fn watch(&self) -> Watch<'_> {
        let mut watched = self.watched();
        let number = watched.next;
        watched.next += 1;
        watched.keys.insert(number, BTreeSet::new());
        Watch {
            changes: self,
            number,
        }
    }

    /// A commit changed these.
    pub(super) fn note(&self, keys: Vec<Vec<u8>>) {
        let mut watched = self.watched();
        let mut watches = watched.keys.values_mut();
        if let Some(first) = watches.next() {
            watches.for_each(|noted| noted.extend(keys.iter().cloned()));
            first.extend(keys);
        }
    }
}

impl Watch<'_> {
    /// How many keys changed that were not taken yet.
    pub(super) fn count(&self) -> usize {
        let watched = self.changes.watched();
        watched.keys.get(&self.number).map_or(0, BTreeSet::len)
    }

    /// The keys that changed since they were taken before.
    pub(super) fn take(&self) -> BTreeSet<Vec<u8>> {
        let mut watched = self.changes.watched();
        let noted = watched.keys.get_mut(&self.number);
        noted.map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.changes.watched().keys.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_watch_is_told_what_changes_while_it_lasts() {
        let changes = Changes::default();
        let key = |name: &str| name.as_bytes().to_vec();
        changes.note(vec![key("before")]);
        let first = changes.watch();
        changes.note(vec![key("one")]);
        let second = changes.watch();
        changes.note(vec![key("two"), key("one")]);
        assert_eq!((first.count(), second.count()), (2, 2));
        assert_eq!(first.take(), [key("one"), key("two")].into());
        assert_eq!((first.count(), second.count()), (0, 2));
        drop(second);
        changes.note(vec![key("three")]);
        assert_eq!(first.take(), [key("three")].into());
    }
}
