//! Orders of items by what people wanted of late, made when they are asked for and followed from then
//! on.

use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::activity::{Hour, ItemHours};
use crate::ranking::Ranking;
use crate::rows::RowDirectory;
use recant_types::{ItemId, UnixMillis};

/// Most orders that are followed.
const RANKINGS_MAX: usize = 16;

const HOUR_SECONDS: f64 = 3_600.0;

/// What is counted of an item's events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measure {
    /// Those from this hour on; all of them without it.
    pub(crate) since: Option<Hour>,
    /// Each half as much for every so many hours that it is ago; all alike without it.
    pub(crate) half_life: Option<f64>,
}

impl Measure {
    /// What is counted of events, with the durations that a question names.
    pub(crate) fn new(since: Option<Hour>, half_life: Option<Duration>) -> Self {
        let hours = |half_life: Duration| half_life.as_secs_f64() / HOUR_SECONDS;
        Self {
            since,
            half_life: half_life.map(hours),
        }
    }

    /// What orders an item with these events; `None` where none of them counts. Without a half-life the
    /// number of events. With one the binary logarithm of what they come to at the beginning of 1970:
    /// time changes all of these alike, so that the order stays as long as no event comes or goes.
    fn score(&self, hours: &[(Hour, u32)]) -> Option<Score> {
        let since = self.since.unwrap_or(Hour::MIN);
        let hours = &hours[hours.partition_point(|(hour, _)| *hour < since)..];
        let (newest, _) = hours.last()?;
        let Some(half_life) = self.half_life else {
            let count: u64 = hours.iter().map(|(_, count)| u64::from(*count)).sum();
            return Some(Score(count as f64));
        };
        // Against the newest, so that nothing is too large or all of it too small.
        let parts = hours.iter().map(|(hour, count)| {
            let age = f64::from(*newest) - f64::from(*hour);
            f64::from(*count) * (-age / half_life).exp2()
        });
        let sum: f64 = parts.sum();
        Some(Score(sum.log2() + f64::from(*newest) / half_life))
    }

    /// The number behind a score, at a moment.
    pub(crate) fn shown(&self, score: Score, now: UnixMillis) -> f64 {
        match self.half_life {
            None => score.0,
            Some(half_life) => {
                let hours = now.0 as f64 / 1e3 / HOUR_SECONDS;
                (score.0 - hours / half_life).exp2()
            }
        }
    }

    /// All items in order. Cost: the hours of all items.
    pub(crate) fn rank(&self, items: &ItemHours, ids: &RowDirectory<ItemId>) -> Ranking<Score> {
        let scored = (0..items.rows()).filter_map(|row| {
            let score = self.score(items.of(row))?;
            Some((row, ids.id(row)?.clone(), score))
        });
        scored.collect()
    }
}

/// What orders items; never NaN.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Score(f64);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

/// One order, of one state of what people wanted.
#[derive(Debug)]
struct Followed {
    measure: Measure,
    items: ItemHours,
    ranking: Ranking<Score>,
}

impl Followed {
    /// Brings the order to another state, in which `ids` are at the rows. Cost: [`ItemHours::differing`], and the
    /// hours of what does. A row is nobody's for a version before it is somebody else's, so that none has
    /// another's id.
    fn follow(&mut self, items: &ItemHours, ids: &RowDirectory<ItemId>) {
        for row in self.items.differing(items) {
            let score = self.measure.score(items.of(row));
            self.ranking.set(row, score.zip(ids.id(row)));
        }
        self.items = items.clone();
    }
}

/// The orders that were asked for lately, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Rankings(Mutex<Vec<Followed>>);

impl Rankings {
    /// The order by `measure` in the state `items`, if it is followed.
    pub(crate) fn find(
        &self,
        measure: Measure,
        items: &ItemHours,
        ids: &RowDirectory<ItemId>,
    ) -> Option<Ranking<Score>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|kept| kept.measure == measure)?;
        let mut found = kept.remove(place);
        found.follow(items, ids);
        let ranking = found.ranking.clone();
        kept.push(found);
        Some(ranking)
    }

    /// Follows an order from now on; the one that was not asked for the longest makes room.
    pub(crate) fn keep(&self, measure: Measure, items: &ItemHours, ranking: Ranking<Score>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.measure != measure);
        if kept.len() >= RANKINGS_MAX {
            kept.remove(0);
        }
        kept.push(Followed {
            measure,
            items: items.clone(),
            ranking,
        });
    }

    /// Brings all orders to the state of the live version: none shall know longer than it does what
    /// was erased.
    pub(crate) fn follow(&self, items: &ItemHours, ids: &RowDirectory<ItemId>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter_mut().for_each(|kept| kept.follow(items, ids));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activity::Activity;
    use crate::rows::RowTable;

    /// Items whose ids are in another order than their rows.
    fn ids() -> RowDirectory<ItemId> {
        let id = |row: u32| ItemId::new(&format!("{}", row * 17 % 40)).expect("an id");
        let table = RowTable::from_rows((0..40).map(|row| (row, id(row))));
        table.directory().clone()
    }

    fn order(ranking: &Ranking<Score>) -> Vec<(u32, Score)> {
        ranking.iter().collect()
    }

    proptest! {
        /// An order that is followed is the one made anew, to the last bit, and the one that a sum over
        /// all events gives.
        #[test]
        fn an_order_that_is_followed_is_one_made_anew(
            users in prop::collection::vec(
                (0_u32..7, prop::collection::btree_map(0_u32..40, 480_000_i32..480_300, 0..20)),
                1..30,
            ),
            since in prop::option::of(480_000_i32..480_300),
            half_life in prop::option::of(1_u64..400),
        ) {
            let half_life = half_life.map(|hours| Duration::from_secs(hours * 3_600));
            let measure = Measure::new(since, half_life);
            let ids = ids();
            let (rankings, mut activity) = (Rankings::default(), Activity::default());
            rankings.keep(measure, activity.items(), measure.rank(activity.items(), &ids));
            for (number, (user, items)) in users.into_iter().enumerate() {
                activity.set(user, items.into_iter().collect());
                if number % 3 == 0 {
                    rankings.follow(activity.items(), &ids);
                }
            }
            let found = rankings.find(measure, activity.items(), &ids).expect("followed");
            prop_assert_eq!(order(&found), order(&measure.rank(activity.items(), &ids)));
            let now = UnixMillis(480_300 * 3_600_000);
            for row in 0..40 {
                let events = activity.items().of(row).iter();
                let counted = events.filter(|(hour, _)| since.is_none_or(|since| *hour >= since));
                let sum: f64 = counted
                    .map(|(hour, count)| {
                        let ago = f64::from(480_300 - hour);
                        let share = measure.half_life.map_or(1.0, |half| 0.5_f64.powf(ago / half));
                        share * f64::from(*count)
                    })
                    .sum();
                let shown = found.score(row).map_or(0.0, |score| measure.shown(score, now));
                prop_assert!((shown - sum).abs() <= 1e-9 * sum, "{} {}", shown, sum);
            }
        }
    }

    #[test]
    fn orders_that_nobody_asks_for_make_room() {
        let (rankings, none) = (Rankings::default(), ItemHours::default());
        let ids = ids();
        let measure = |hour| Measure::new(Some(hour), None);
        for hour in 0..=RANKINGS_MAX as Hour {
            rankings.keep(measure(hour), &none, Ranking::default());
            assert!(rankings.find(measure(1), &none, &ids).is_some() || hour == 0);
        }
        assert!(rankings.find(measure(0), &none, &ids).is_none());
    }
}
