//! Lists as a question wants them arranged: some scores raised or lowered, some items pinned to the top,
//! some diversity in what follows.
//!
//! With boosts a list is still exactly the best of all items. Let S be the rows that are boosted or
//! pinned, and R all others. The scores of R are those of the model, so a search that leaves S out finds
//! its k best; S is scored row by row. Whatever is among the k best of all that is not pinned is among
//! the k best of R or in S, for fewer than k rows of R come before it.

use crate::confinement::{Confinement, union};
use crate::content::{ContentCandidates, is_content};
use crate::person::Person;
use crate::snapshot::Snapshot;
use recant_core::topk::{Best, Filter, RowSet, Ties, diversified};
use recant_types::ItemId;

/// For diversity so many of the best are ordered anew. A constant, so that all pages of a version are
/// pages of one list; four times what a long page asks for.
pub(crate) const DIVERSITY_POOL: usize = 400;

/// Most items whose scores a question may raise or lower.
pub const BOOSTS_MAX: usize = 1_000;

/// Most that may be added to a score or taken from it.
pub const BOOST_MAX: f64 = 1e6;

/// Most items that a question may pin.
pub const PINS_MAX: usize = 100;

/// How a list is arranged besides the order of its scores; the default changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Arrangement {
    /// What is added to the scores of these items, each named once, finite and up to [`BOOST_MAX`] in size.
    /// It is added to whatever orders the list: counts, in one of popular items.
    pub boosts: Vec<(ItemId, f64)>,
    /// Items that come first, in this order, each named once: those that may be in the list.
    pub pins: Vec<ItemId>,
    /// How much likeness to items before it counts against an item, 0 to 1.
    pub diversity: f64,
}

/// An [`Arrangement`] in the rows of one version; items that it does not know are left out.
#[derive(Debug, Default)]
pub(crate) struct Arranged {
    /// What is added to the scores of these rows, sorted by row.
    boosts: Vec<(u32, f64)>,
    /// Rows that come first, in this order.
    pins: Vec<u32>,
    /// The rows of the model among both, sorted.
    special: Vec<u32>,
    /// The content rows among both, sorted.
    special_content: Vec<u32>,
    diversity: f64,
}

impl Arranged {
    /// What is added to the score of `row`, if anything is.
    pub(crate) fn boost(&self, row: u32) -> Option<f64> {
        let at = self.boosts.binary_search_by_key(&row, |(row, _)| *row);
        Some(self.boosts[at.ok()?].1)
    }

    /// Whether any score is changed.
    pub(crate) fn has_boosts(&self) -> bool {
        !self.boosts.is_empty()
    }

    /// Whether `row` is to come first.
    pub(crate) fn is_pinned(&self, row: u32) -> bool {
        self.pins.contains(&row)
    }

    fn boosted(&self, (row, score): (u32, f32)) -> (u32, f32) {
        match self.boost(row) {
            Some(boost) => (row, (f64::from(score) + boost) as f32),
            None => (row, score),
        }
    }
}

/// One person's list while the rest of it is searched for.
pub(crate) struct Begun {
    /// Pinned rows that may be in the list, in their order, with their scores.
    pins: Vec<(u32, f32)>,
    /// Boosted rows that may be in it, and the best content rows, with their scores.
    others: Vec<(u32, f32)>,
    /// Rows of the model that the search leaves out: what may not be in the list, and what was scored already.
    pub(crate) set_aside: Vec<u32>,
    /// How many rows to search for.
    pub(crate) depth: usize,
    /// How many rows of the list come after the pinned ones, to the end of the page.
    after_pins: usize,
    /// Where the page ends.
    end: usize,
}

/// One person's list.
pub(crate) struct List {
    /// The pinned rows, best or not.
    pub(crate) pins: Vec<u32>,
    /// Other rows by their scores, best first: those of the list, and those of the pool.
    pub(crate) ranked: Vec<u32>,
    /// How many of these were ordered anew for diversity.
    pub(crate) pool: Option<usize>,
    /// The page: rows with their scores.
    pub(crate) page: Vec<(u32, f32)>,
}

impl Snapshot {
    /// The rows that `arrangement` speaks of.
    pub(crate) fn arranged(
        &self,
        arrangement: &Arrangement,
        content: Option<&ContentCandidates<'_>>,
    ) -> Arranged {
        let row = |item: &ItemId| {
            let content = content.and_then(|content| content.row(item));
            content.or_else(|| self.items.row(item))
        };
        let boosts = arrangement.boosts.iter();
        let known = boosts.filter_map(|(item, boost)| Some((row(item)?, *boost)));
        let mut boosts: Vec<(u32, f64)> = known.collect();
        boosts.sort_unstable_by_key(|(row, _)| *row);
        let pins = arrangement.pins.iter();
        let pins: Vec<u32> = pins.filter_map(row).collect();
        let mut special: Vec<u32> = boosts.iter().map(|(row, _)| *row).collect();
        special.extend(&pins);
        special.sort_unstable();
        special.dedup();
        let special_content = special.split_off(special.partition_point(|row| !is_content(*row)));
        Arranged {
            boosts,
            pins,
            special,
            special_content,
            diversity: arrangement.diversity,
        }
    }

    /// Begins a list whose page ends after `end` rows: scores what is pinned or boosted, of what is not
    /// `excluded`, and finds the best of the content rows, if there are some. Cost: d for each of these rows.
    pub(crate) fn begin(
        &self,
        person: &Person<'_>,
        confinement: &Confinement,
        arranged: &Arranged,
        excluded: &[u32],
        end: usize,
        content: Option<&ContentCandidates<'_>>,
    ) -> Begun {
        // A list of counts has none: nobody touched their items.
        let content = content.zip(person.factors.as_deref());
        let filter = self.filter(confinement, excluded);
        let special = arranged.special.iter().copied();
        let admitted: RowSet = special.filter(|row| filter.admits(*row)).collect();
        let mut scored = Vec::new();
        if !admitted.is_empty() {
            let alone = Filter {
                allowed: Some(&admitted),
                ..filter
            };
            scored = self.best(person, admitted.len(), &alone);
        }
        if let Some((content, factors)) = content {
            scored.extend(content.scores(factors, &arranged.special_content));
        }
        scored
            .iter_mut()
            .for_each(|one| *one = arranged.boosted(*one));
        let scored_at = |pin: &u32| scored.iter().find(|(row, _)| row == pin).copied();
        let pins: Vec<(u32, f32)> = arranged.pins.iter().filter_map(scored_at).collect();
        let after_pins = end.saturating_sub(pins.len());
        let depth = depth(after_pins, arranged.diversity);
        let boosted = scored.iter().filter(|(row, _)| !arranged.is_pinned(*row));
        let mut others: Vec<(u32, f32)> = boosted.copied().collect();
        if let Some((content, factors)) = content {
            others.extend(content.best(factors, depth, &arranged.special_content));
        }
        Begun {
            others,
            pins,
            set_aside: union(excluded, &arranged.special),
            depth,
            after_pins,
            end,
        }
    }

    /// Completes a list with `rest`, the best of what was not set aside, and leaves out the first
    /// `offset` rows of it.
    pub(crate) fn complete(
        &self,
        begun: Begun,
        arranged: &Arranged,
        rest: Vec<(u32, f32)>,
        offset: usize,
    ) -> List {
        let mut ranked = rest;
        if !begun.others.is_empty() {
            let by_item = |a, b| self.by_item(a, b);
            let rows = ranked.len() + begun.others.len();
            let mut best = Best::new(begun.depth, rows, Ties::by(&by_item));
            let all = ranked.into_iter().chain(begun.others);
            all.for_each(|(row, score)| best.offer(row, score));
            ranked = best.into_sorted();
        }
        let rows = |list: &[(u32, f32)]| list.iter().map(|(row, _)| *row).collect::<Vec<u32>>();
        let (pins, by_score) = (rows(&begun.pins), rows(&ranked));
        let pool = (arranged.diversity > 0.0).then(|| ranked.len().min(DIVERSITY_POOL));
        let ranked = self.diverse(ranked, &pins, arranged.diversity, begun.after_pins);
        let list = begun.pins.into_iter().chain(ranked);
        let page = list.take(begun.end).skip(offset);
        List {
            pins,
            ranked: by_score,
            pool,
            page: page.collect(),
        }
    }

    /// The first `count` rows of a list that comes after the rows in `before`: those of `ranked`, which are by
    /// their scores and at least the [`depth`] best, with so much `diversity`.
    pub(crate) fn diverse(
        &self,
        ranked: Vec<(u32, f32)>,
        before: &[u32],
        diversity: f64,
        count: usize,
    ) -> Vec<(u32, f32)> {
        let mut list = ranked;
        if diversity > 0.0 {
            let (pool, after) = list.split_at(list.len().min(DIVERSITY_POOL));
            let factors = |row| self.factors_at(row);
            let mut ordered = diversified(pool, before, factors, diversity, count);
            ordered.extend_from_slice(after);
            list = ordered;
        }
        list.truncate(count);
        list
    }
}

/// How many of the best rows `count` of a list with so much `diversity` are chosen from.
pub(crate) fn depth(count: usize, diversity: f64) -> usize {
    if diversity > 0.0 {
        count.max(DIVERSITY_POOL)
    } else {
        count
    }
}
