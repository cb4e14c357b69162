//! Which items of a person's history the scores of a list come from.

use std::collections::HashSet;
use std::sync::Arc;

use crate::snapshot::{ServedModel, Snapshot};
use recant_core::model::Entry;
use recant_core::optim::score_shares;
use recant_types::ItemId;

/// Where one score comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Because {
    /// The items of the history that bring most to it or take most from it, largest first.
    pub items: Vec<HistoryShare>,
    /// The score less its boost and these shares: what all other items of the history bring. With it goes how far the
    /// user's factors are from solving for the history exactly, the next refinement's concern, and
    /// rounding.
    pub others: f64,
}

/// What one item of a history brings to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryShare {
    /// Which.
    pub item: ItemId,
    /// Its title, when one is known.
    pub title: Option<Arc<str>>,
    /// How much of the score; negative where it speaks against.
    pub share: f64,
}

/// The history that scores are split over, and what of it may be said.
pub(crate) struct Told<'a> {
    /// Entries of the history, items ascending.
    pub(crate) history: &'a [Entry],
    /// The only items that may be named; all may without it.
    pub(crate) nameable: Option<&'a HashSet<ItemId>>,
    /// How many to name for a score, at most.
    pub(crate) count_max: usize,
}

impl Snapshot {
    /// Splits each score of `listed`, item rows with their scores without boosts, over the history; empty where scores
    /// are no sums over it, as those of a network. Entries of target 0 bring nothing and are not named.
    /// Cost: that of [`score_shares`].
    pub(crate) fn because(&self, told: &Told<'_>, listed: &[(u32, f64)]) -> Vec<Because> {
        let ServedModel::Ials {
            hyperparameters,
            item_gramian,
        } = &self.model
        else {
            return Vec::new();
        };
        if told.count_max == 0 {
            let nothing = |(_, score): &(u32, f64)| Because {
                items: Vec::new(),
                others: *score,
            };
            return listed.iter().map(nothing).collect();
        }
        let history = self.known_entries(told.history);
        let rows: Vec<u32> = listed.iter().map(|(row, _)| *row).collect();
        let may_be_named = |entry: &Entry| {
            let id = self.items.id(entry.index);
            let is_held = |id| told.nameable.is_none_or(|nameable| nameable.contains(id));
            entry.target != 0.0 && id.is_some_and(is_held)
        };
        let nameable: Vec<bool> = history.iter().map(may_be_named).collect();
        let mut scores = listed.iter().map(|(_, score)| *score);
        score_shares(
            hyperparameters,
            &history,
            &self.item_factors,
            item_gramian,
            self.active_items,
            &rows,
            |shares| {
                let candidates = (0..shares.len()).filter(|at| nameable[*at]);
                let largest = largest(shares, candidates, told.count_max);
                let named: f64 = largest.iter().map(|at| shares[*at]).sum();
                let name = |at: usize| self.name_share(history[at].index, shares[at]);
                Because {
                    items: largest.into_iter().filter_map(name).collect(),
                    others: scores.next().unwrap_or_default() - named,
                }
            },
        )
    }

    /// What of a history the model knows, in the order of ids: so sums over it round alike on every node,
    /// whose rows are its own.
    pub(crate) fn known_entries(&self, history: &[Entry]) -> Vec<Entry> {
        let known = history.iter().filter(|e| self.item_count(e.index) > 0);
        let mut known: Vec<Entry> = known.copied().collect();
        known.sort_by(|a, b| self.by_item(a.index, b.index));
        known
    }

    fn name_share(&self, row: u32, share: f64) -> Option<HistoryShare> {
        Some(HistoryShare {
            item: self.items.id(row)?.clone(),
            title: self.catalogue.title(row),
            share,
        })
    }
}

/// The `count` of `candidates` whose shares are largest in size, largest first, of equal ones the
/// earlier; never what is zero or no number.
fn largest(shares: &[f64], candidates: impl Iterator<Item = usize>, count: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = candidates
        .filter(|at| shares[*at] != 0.0 && shares[*at].is_finite())
        .collect();
    let order = |a: &usize, b: &usize| {
        let sizes = shares[*b].abs().total_cmp(&shares[*a].abs());
        sizes.then(a.cmp(b))
    };
    if count < kept.len() {
        kept.select_nth_unstable_by(count, order);
        kept.truncate(count);
    }
    kept.sort_unstable_by(order);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_in_size_come_first_and_what_is_nothing_never() {
        let shares = [0.1, -0.5, 0.0, 0.3, f64::NAN, 0.3, 0.2];
        let of = |count| largest(&shares, 0..shares.len(), count);
        assert_eq!(of(9), [1, 3, 5, 6, 0]);
        assert_eq!(of(3), [1, 3, 5]);
        assert_eq!(of(2), [1, 3]);
        assert_eq!(of(0), [0; 0]);
        assert_eq!(largest(&shares, [0, 2, 6].into_iter(), 1), [6]);
    }
}
