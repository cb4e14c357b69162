//! How like a retrained model an unlearned one is, by groups of users.

use serde::{Deserialize, Serialize};

use super::cohort::{Cohort, Mean, PerGroup, Sums};
use super::correlation::{kendall, spearman};
use super::divergence::{Divergence, softmax_divergence};
use super::lists::best;
use super::ranking::jaccard;
use super::scorer::Scorer;
use recant_core::model::InteractionMatrix;

/// Length of the lists that are compared.
pub(crate) const LIST_LENGTH: usize = 10;

/// How a model differs from a reference over one group of users and all items with an interaction
/// left. A mean is over the users for whom the measure is defined, `None` when it is for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// Users in the group.
    pub users: usize,
    /// Mean Jaccard similarity of the ten best items the user does not have, see [`jaccard`];
    /// undefined for a user to whom the reference gives every item the same score.
    pub jaccard_at_10: Option<f64>,
    /// Mean `KL(reference ‖ model)` of the softmaxed scores of the items the user does not have.
    pub kullback_leibler: Option<f64>,
    /// Mean Jensen–Shannon divergence of the same.
    pub jensen_shannon: Option<f64>,
    /// Mean of Spearman's correlation of the scores of all items, see `spearman`.
    pub spearman: Option<f64>,
    /// Mean of Kendall's τ-b of the same, see `kendall`.
    pub kendall: Option<f64>,
    /// `‖X − Y‖_F / ‖Y‖_F` over the group's rows, Y the reference; undefined where that is zero.
    pub relative_frobenius: Option<f64>,
    /// Largest `|x_ui − y_ui|`.
    pub largest: f64,
}

/// What is measured of one user.
struct Sample {
    jaccard: Option<f64>,
    divergence: Option<Divergence>,
    spearman: Option<f64>,
    kendall: Option<f64>,
    distance: Distance,
}

/// Squared norms over rows of scores.
#[derive(Debug, Clone, Copy, Default)]
struct Distance {
    squared: f64,
    reference_squared: f64,
    largest: f64,
}

impl Distance {
    fn between(model: &[f64], reference: &[f64]) -> Self {
        let pairs = || model.iter().zip(reference);
        Self {
            squared: pairs().map(|(x, y)| (x - y) * (x - y)).sum(),
            reference_squared: reference.iter().map(|y| y * y).sum(),
            largest: pairs().map(|(x, y)| (x - y).abs()).fold(0.0, f64::max),
        }
    }

    fn relative(&self) -> Option<f64> {
        (self.reference_squared > 0.0).then(|| (self.squared / self.reference_squared).sqrt())
    }
}

impl Sums for Distance {
    type Sample = Distance;

    fn add(&mut self, sample: &Distance) {
        self.squared += sample.squared;
        self.reference_squared += sample.reference_squared;
        self.largest = self.largest.max(sample.largest);
    }
}

#[derive(Debug, Clone, Default)]
struct ConsistencySums {
    users: usize,
    jaccard: Mean,
    kullback_leibler: Mean,
    jensen_shannon: Mean,
    spearman: Mean,
    kendall: Mean,
    distance: Distance,
}

impl Sums for ConsistencySums {
    type Sample = Sample;

    fn add(&mut self, sample: &Sample) {
        self.users += 1;
        self.jaccard.add(sample.jaccard);
        self.kullback_leibler
            .add(sample.divergence.map(|d| d.kullback_leibler));
        self.jensen_shannon
            .add(sample.divergence.map(|d| d.jensen_shannon));
        self.spearman.add(sample.spearman);
        self.kendall.add(sample.kendall);
        self.distance.add(&sample.distance);
    }
}

/// Compares the scores of `model` with those of `reference` for the members of `cohort`, on the
/// items that have an interaction in `retained`; `temperature` is that of the softmax.
///
/// Cost: `2·users·items` scores and four sorts of the items a user. The same for any number of
/// threads.
///
/// # Panics
/// When a model has fewer rows than `retained`.
pub fn consistency(
    model: &dyn Scorer,
    reference: &dyn Scorer,
    retained: &InteractionMatrix,
    cohort: &Cohort,
    temperature: f64,
) -> PerGroup<Consistency> {
    let items = active_items(retained);
    let sums: PerGroup<ConsistencySums> = cohort.sum(|users| {
        let rows = rows_of(model, users, &items)
            .into_iter()
            .zip(rows_of(reference, users, &items));
        users
            .iter()
            .zip(rows)
            .map(|(user, (of_model, of_reference))| {
                let unseen = Unseen::new(retained, *user, &items);
                unseen.compare(&of_model, &of_reference, temperature)
            })
            .collect()
    });
    sums.map(|sums| Consistency {
        users: sums.users,
        jaccard_at_10: sums.jaccard.value(),
        kullback_leibler: sums.kullback_leibler.value(),
        jensen_shannon: sums.jensen_shannon.value(),
        spearman: sums.spearman.value(),
        kendall: sums.kendall.value(),
        relative_frobenius: sums.distance.relative(),
        largest: sums.distance.largest,
    })
}

/// [`Consistency::relative_frobenius`] over all members of the first group alone: what is followed
/// while a method is at work. Cost: `2·users·items` scores.
pub fn relative_distance(
    model: &dyn Scorer,
    reference: &dyn Scorer,
    retained: &InteractionMatrix,
    cohort: &Cohort,
) -> Option<f64> {
    let items = active_items(retained);
    let sums: PerGroup<Distance> = cohort.sum(|users| {
        let rows = rows_of(model, users, &items)
            .into_iter()
            .zip(rows_of(reference, users, &items));
        rows.map(|(x, y)| Distance::between(&x, &y)).collect()
    });
    sums.all.relative()
}

/// Share of the way from the original model to the retrained one that unlearning went:
/// `1 − d(unlearned, retrained)/d(original, retrained)`. `None` where the original is no distance
/// away.
pub fn recovery(distance: f64, distance_of_original: f64) -> Option<f64> {
    (distance_of_original > 0.0).then(|| 1.0 - distance / distance_of_original)
}

fn active_items(matrix: &InteractionMatrix) -> Vec<u32> {
    (0..matrix.item_rows() as u32)
        .filter(|item| !matrix.item(*item).is_empty())
        .collect()
}

/// The scores of these items, one list a user.
fn rows_of(model: &dyn Scorer, users: &[u32], items: &[u32]) -> Vec<Vec<f64>> {
    let scores = model.scores(users);
    (0..users.len())
        .map(|column| {
            let scores = scores.col_as_slice(column);
            items.iter().map(|item| scores[*item as usize]).collect()
        })
        .collect()
}

/// Positions among the compared items that a user does not have.
struct Unseen(Vec<u32>);

impl Unseen {
    fn new(retained: &InteractionMatrix, user: u32, items: &[u32]) -> Self {
        let history = retained.user(user);
        let unseen = |at: &u32| {
            let item = items[*at as usize];
            history
                .binary_search_by_key(&item, |entry| entry.index)
                .is_err()
        };
        Self((0..items.len() as u32).filter(unseen).collect())
    }

    fn pick(&self, scores: &[f64]) -> Vec<f64> {
        self.0.iter().map(|at| scores[*at as usize]).collect()
    }

    fn compare(&self, model: &[f64], reference: &[f64], temperature: f64) -> Sample {
        let (own, wanted) = (self.pick(model), self.pick(reference));
        let varies = wanted.windows(2).any(|pair| pair[0] != pair[1]);
        let list = |scores: &[f64]| best(scores, LIST_LENGTH, |_| true);
        Sample {
            jaccard: varies.then(|| jaccard(&list(&own), &list(&wanted))),
            divergence: softmax_divergence(&wanted, &own, temperature),
            spearman: spearman(model, reference),
            kendall: kendall(model, reference),
            distance: Distance::between(model, reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cohort::Member;
    use crate::scorer::tests::Table;
    use recant_core::model::Entry;

    fn matrix(histories: &[Vec<u32>], items: usize) -> InteractionMatrix {
        let entry = |index: &u32| Entry::wanted(*index, 1.0);
        let histories = histories.iter().map(|h| h.iter().map(entry).collect());
        InteractionMatrix::from_histories(histories.collect(), items)
    }

    fn everybody(users: u32) -> Cohort {
        let groups = |user: u32| PerGroup {
            all: true,
            affected: user.is_multiple_of(2),
            deleted: user == 1,
        };
        Cohort {
            members: (0..users)
                .map(|user| Member {
                    user,
                    groups: groups(user),
                })
                .collect(),
        }
    }

    fn scores(users: usize, items: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
        prop::collection::vec(prop::collection::vec(-2.0f64..2.0, items), users)
    }

    proptest! {
        /// One user after the other with plain loops.
        #[test]
        fn the_figures_are_those_of_plain_loops(a in scores(5, 14), b in scores(5, 14)) {
            let histories = [vec![0, 1], vec![2], vec![3, 4, 5], vec![6], vec![7, 8]];
            let retained = matrix(&histories, 14);
            let active: Vec<usize> = (0..9).collect();
            let cohort = everybody(5);
            let found = consistency(
                &Table(a.clone()), &Table(b.clone()), &retained, &cohort, 0.5,
            );
            let (mut squared, mut norm, mut largest, mut similar) = (0.0, 0.0, 0.0f64, 0.0);
            for user in 0..5 {
                for item in &active {
                    let (x, y) = (a[user][*item], b[user][*item]);
                    squared += (x - y).powi(2);
                    norm += y * y;
                    largest = largest.max((x - y).abs());
                }
                // Fewer than ten items are open: both lists hold all of them.
                similar += 1.0;
            }
            let all = found.all;
            prop_assert_eq!(all.users, 5);
            prop_assert_eq!(all.largest, largest);
            prop_assert_eq!(all.jaccard_at_10, Some(similar / 5.0));
            let relative = f64::sqrt(squared / norm);
            prop_assert!((all.relative_frobenius.expect("not zero") - relative).abs() < 1e-12);
            let along = relative_distance(&Table(a.clone()), &Table(b.clone()), &retained, &cohort);
            prop_assert_eq!(along, all.relative_frobenius);
            let row = |table: &[Vec<f64>]| active.iter().map(|i| table[1][*i]).collect::<Vec<_>>();
            let open = |table: &[Vec<f64>]| {
                let open = active.iter().filter(|item| **item != 2);
                open.map(|item| table[1][*item]).collect::<Vec<_>>()
            };
            let expected = softmax_divergence(&open(&b), &open(&a), 0.5).expect("items are open");
            prop_assert_eq!(found.deleted.users, 1);
            prop_assert_eq!(found.deleted.kullback_leibler, Some(expected.kullback_leibler));
            prop_assert_eq!(found.deleted.kendall, kendall(&row(&a), &row(&b)));
            prop_assert_eq!(found.affected.users, 3);
        }
    }

    #[test]
    fn a_model_is_consistent_with_itself() {
        let table = Table(
            (0..4)
                .map(|u| (0..30).map(|i| f64::from(i * u)).collect())
                .collect(),
        );
        let histories: Vec<Vec<u32>> = (0..4).map(|user| (user * 7..30).collect()).collect();
        let retained = matrix(&histories, 30);
        let found = consistency(&table, &table, &retained, &everybody(4), 1.0).all;
        assert_eq!(found.largest, 0.0);
        assert_eq!(found.relative_frobenius, Some(0.0));
        assert_eq!(found.jaccard_at_10, Some(1.0));
        assert_eq!(found.kullback_leibler, Some(0.0));
        assert_eq!(found.kendall, Some(1.0));
    }

    #[test]
    fn recovery_is_one_at_the_retrain_and_zero_where_nothing_was_done() {
        assert_eq!(recovery(0.0, 0.5), Some(1.0));
        assert_eq!(recovery(0.5, 0.5), Some(0.0));
        assert_eq!(recovery(1.0, 0.5), Some(-1.0));
        assert_eq!(recovery(0.1, 0.0), None);
    }
}
