//! When people wanted items, by the hour.
//!
//! Of each pair that says that an item is wanted, the newest event that says so counts, in the hour it
//! happened: a person counts once for an item. What gives no time counts in no hour. Numbers of an
//! item are sums over people, so what an erasure takes leaves them exactly.

use std::sync::Arc;

use crate::history::entry;
use recant_store::StoredInteraction;
use recant_types::{FeedbackTypes, UnixMillis};

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// An hour, counted from 1970.
pub type Hour = i32;

/// The hour of a moment.
pub(crate) fn hour_of(moment: UnixMillis) -> Hour {
    let hour = moment.0.div_euclid(HOUR_MS);
    hour.clamp(i64::from(Hour::MIN), i64::from(Hour::MAX)) as Hour
}

/// By item row, the hours in which people wanted it last, ascending, with how many did.
///
/// A snapshot takes a copy in constant time.
#[derive(Debug, Clone, Default)]
pub struct ItemHours(imbl::Vector<Arc<Vec<(Hour, u32)>>>);

impl ItemHours {
    /// The hours of the item at `row`, counted from 1970.
    pub fn of(&self, row: u32) -> &[(Hour, u32)] {
        self.0.get(row as usize).map_or(&[], |hours| hours)
    }

    /// Every row is below this.
    pub(crate) fn rows(&self) -> u32 {
        self.0.len() as u32
    }

    /// The rows of which this and `other` may say different things. Cost: a look at each node that
    /// the two do not share, of 64 rows each.
    pub(crate) fn differing(&self, other: &Self) -> Vec<u32> {
        let both = self.0.len().min(other.0.len());
        let either = self.0.len().max(other.0.len());
        let (mut here, mut there) = (self.0.focus(), other.0.focus());
        let (mut rows, mut at) = (Vec::new(), 0);
        while at < both {
            let ((of_here, ours), (of_there, theirs)) = (here.chunk_at(at), there.chunk_at(at));
            let end = of_here.end.min(of_there.end);
            let ours = &ours[at - of_here.start..end - of_here.start];
            let theirs = &theirs[at - of_there.start..end - of_there.start];
            if !std::ptr::eq(ours, theirs) {
                let pairs = (at..).zip(ours.iter().zip(theirs));
                let changed = pairs.filter(|(_, (ours, theirs))| !Arc::ptr_eq(ours, theirs));
                rows.extend(changed.map(|(row, _)| row as u32));
            }
            at = end;
        }
        rows.extend(both as u32..either as u32);
        rows
    }

    fn change(&mut self, item: u32, hour: Hour, change: impl FnOnce(u32) -> u32) {
        while self.0.len() <= item as usize {
            self.0.push_back(Arc::default());
        }
        let Some(hours) = self.0.get_mut(item as usize) else {
            return;
        };
        let hours = Arc::make_mut(hours);
        let place = hours.binary_search_by_key(&hour, |(hour, _)| *hour);
        let before = place.map_or(0, |place| hours[place].1);
        match (place, change(before)) {
            (Ok(place), 0) => drop(hours.remove(place)),
            (Ok(place), count) => hours[place].1 = count,
            (Err(_), 0) => {}
            (Err(place), count) => hours.insert(place, (hour, count)),
        }
    }
}

impl FromIterator<Vec<Hour>> for ItemHours {
    /// Of all hours of each item, in any order.
    fn from_iter<I: IntoIterator<Item = Vec<Hour>>>(items: I) -> Self {
        let counted = items.into_iter().map(|mut hours| {
            hours.sort_unstable();
            let runs = hours.chunk_by(|a, b| a == b);
            Arc::new(runs.map(|run| (run[0], run.len() as u32)).collect())
        });
        Self(counted.collect())
    }
}

/// When people wanted items: of each person, and summed up by item.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    users: imbl::Vector<Arc<Vec<(u32, Hour)>>>,
    items: ItemHours,
}

impl Activity {
    /// Of the wanted items of each user row, ascending, with their hours.
    pub(crate) fn of_users(users: Vec<Vec<(u32, Hour)>>, items: usize) -> Self {
        let mut hours = vec![Vec::new(); items];
        for (item, hour) in users.iter().flatten() {
            if let Some(hours) = hours.get_mut(*item as usize) {
                hours.push(*hour);
            }
        }
        Self {
            users: users.into_iter().map(Arc::new).collect(),
            items: hours.into_iter().collect(),
        }
    }

    /// What is summed up by item.
    pub fn items(&self) -> &ItemHours {
        &self.items
    }

    /// The user at `row` wanted these items at these hours, items ascending, and no others. Cost: the
    /// items of before and after, and for each that changed the hours of that item.
    pub(crate) fn set(&mut self, row: u32, now: Vec<(u32, Hour)>) {
        while self.users.len() <= row as usize {
            self.users.push_back(Arc::default());
        }
        let now = Arc::new(now);
        let before = self.users.set(row as usize, Arc::clone(&now));
        for (item, hour) in before.iter().filter(|one| now.binary_search(one).is_err()) {
            let less = |count: u32| count.saturating_sub(1);
            self.items.change(*item, *hour, less);
        }
        for (item, hour) in now.iter().filter(|one| before.binary_search(one).is_err()) {
            self.items.change(*item, *hour, |count| count + 1);
        }
    }
}

/// The items that a stored history says were wanted, ascending, with the hour of the newest event
/// that says so. Of an item all events stand next to each other.
pub(crate) fn wanted_hours(
    feedback: &FeedbackTypes,
    history: &[StoredInteraction],
) -> Vec<(u32, Hour)> {
    let items = history.chunk_by(|a, b| a.item == b.item);
    let hours = items.filter_map(|events| {
        entry(feedback, events.iter()).filter(|entry| entry.is_wanted())?;
        let wanted = events
            .iter()
            .filter(|event| feedback.rule(event.feedback).target > 0.0);
        let times = wanted.filter_map(|event| event.timestamp);
        let newest = times.map(|time| hour_of(UnixMillis::from_timestamp(time)));
        Some((events[0].item, newest.max()?))
    });
    hours.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn shown(items: &ItemHours) -> BTreeMap<u32, Vec<(Hour, u32)>> {
        let rows = 0..items.rows();
        let shown = rows.map(|row| (row, items.of(row).to_vec()));
        shown.filter(|(_, hours)| !hours.is_empty()).collect()
    }

    proptest! {
        /// Followed user by user the sums are those of a start with what is left at the end, and rows
        /// that differ from a version before are found.
        #[test]
        fn sums_that_are_followed_are_those_made_anew(
            steps in prop::collection::vec(
                (0_u32..9, prop::collection::btree_map(0_u32..300, -3_i32..3, 0..9)),
                0..40,
            ),
            kept_at in 0_usize..40,
        ) {
            let (mut followed, mut users) = (Activity::default(), vec![Vec::new(); 9]);
            let mut kept = ItemHours::default();
            for (number, (user, items)) in steps.into_iter().enumerate() {
                if number == kept_at {
                    kept = followed.items().clone();
                }
                let items: Vec<_> = items.into_iter().collect();
                users[user as usize].clone_from(&items);
                followed.set(user, items);
            }
            let anew = Activity::of_users(users, 300);
            prop_assert_eq!(shown(followed.items()), shown(anew.items()));
            let differing = kept.differing(followed.items());
            for row in 0..300 {
                let is_same = kept.of(row) == followed.items().of(row);
                prop_assert!(is_same || differing.contains(&row), "{}", row);
            }
        }
    }

    #[test]
    fn what_did_not_change_is_not_looked_at() {
        let many = (0..1_000).map(|item| (item, 7)).collect();
        let before = Activity::of_users(vec![many], 1_000);
        let mut after = before.clone();
        after.set(1, vec![(500, 8)]);
        assert_eq!(before.items().differing(after.items()), [500]);
    }
}
