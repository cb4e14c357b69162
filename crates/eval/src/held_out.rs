//! How well models find what was held out, by groups of users.

use serde::{Deserialize, Serialize};

use super::cohort::{Cohort, Mean, PerGroup, Sums};
use super::lists::best;
use super::ranking::{hit, ndcg, recall, recall_of_all};
use super::scorer::Scorer;
use recant_core::model::InteractionMatrix;

/// Longest list that is looked at.
const LIST_LENGTH: usize = 20;

/// Means over the users of a group of whom something was held out; `None` without any.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutAccuracy {
    /// Users measured.
    pub users: usize,
    /// Share of users with a held-out item among their ten best.
    pub hit_rate_at_10: Option<f64>,
    /// See [`ndcg`].
    pub ndcg_at_10: Option<f64>,
    /// See [`ndcg`].
    pub ndcg_at_20: Option<f64>,
    /// `hits / min(20, held out)`, see `recall`.
    pub recall_at_20: Option<f64>,
    /// `hits / held out`, see `recall_of_all`: what the authors of LightGCN report.
    pub recall_of_all_at_20: Option<f64>,
}

/// What is measured of one user, as far as it is defined.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    hit_at_10: Option<f64>,
    ndcg_at_10: Option<f64>,
    ndcg_at_20: Option<f64>,
    recall_at_20: Option<f64>,
    recall_of_all_at_20: Option<f64>,
}

#[derive(Debug, Clone, Default)]
struct AccuracySums {
    users: usize,
    hit_at_10: Mean,
    ndcg_at_10: Mean,
    ndcg_at_20: Mean,
    recall_at_20: Mean,
    recall_of_all_at_20: Mean,
}

impl Sums for AccuracySums {
    type Sample = Sample;

    fn add(&mut self, sample: &Sample) {
        self.users += usize::from(sample.hit_at_10.is_some());
        self.hit_at_10.add(sample.hit_at_10);
        self.ndcg_at_10.add(sample.ndcg_at_10);
        self.ndcg_at_20.add(sample.ndcg_at_20);
        self.recall_at_20.add(sample.recall_at_20);
        self.recall_of_all_at_20.add(sample.recall_of_all_at_20);
    }
}

/// Measures the lists that `model` gives the members of `cohort`: items with an interaction in
/// `retained`, without those the user has there. Held-out items that nobody has there count as
/// missed. `held_out` has the held-out items by user row, ascending.
///
/// Cost: `users·items` scores. The same for any number of threads.
pub fn held_out_accuracy(
    model: &dyn Scorer,
    retained: &InteractionMatrix,
    held_out: &[Vec<u32>],
    cohort: &Cohort,
) -> PerGroup<HeldOutAccuracy> {
    let sums: PerGroup<AccuracySums> = cohort.sum(|users| {
        let scores = model.scores(users);
        let measured = users.iter().enumerate().map(|(column, user)| {
            let relevant = held_out.get(*user as usize).map_or(&[][..], Vec::as_slice);
            measure(scores.col_as_slice(column), retained, *user, relevant)
        });
        measured.collect()
    });
    sums.map(|sums| HeldOutAccuracy {
        users: sums.users,
        hit_rate_at_10: sums.hit_at_10.value(),
        ndcg_at_10: sums.ndcg_at_10.value(),
        ndcg_at_20: sums.ndcg_at_20.value(),
        recall_at_20: sums.recall_at_20.value(),
        recall_of_all_at_20: sums.recall_of_all_at_20.value(),
    })
}

fn measure(scores: &[f64], retained: &InteractionMatrix, user: u32, relevant: &[u32]) -> Sample {
    if relevant.is_empty() {
        return Sample::default();
    }
    let history = retained.user(user);
    let eligible = |item: u32| {
        let seen = history.binary_search_by_key(&item, |entry| entry.index);
        seen.is_err() && !retained.item(item).is_empty()
    };
    let list = best(scores, LIST_LENGTH, eligible);
    Sample {
        hit_at_10: hit(&list, relevant, 10),
        ndcg_at_10: ndcg(&list, relevant, 10),
        ndcg_at_20: ndcg(&list, relevant, 20),
        recall_at_20: recall(&list, relevant, 20),
        recall_of_all_at_20: recall_of_all(&list, relevant, 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cohort::Member;
    use crate::scorer::tests::Table;
    use recant_core::model::Entry;

    #[test]
    fn seen_and_inactive_items_are_left_out_and_users_without_held_out_items_too() {
        let entry = |index: u32| Entry::wanted(index, 1.0);
        // Item 40 has nobody.
        let histories = vec![vec![entry(0)], (1..40).map(entry).collect(), vec![entry(2)]];
        let retained = InteractionMatrix::from_histories(histories, 41);
        let falling: Vec<f64> = (0..40).map(|item| 50.0 - f64::from(item)).collect();
        let row = [falling, vec![99.0]].concat();
        let table = Table(vec![row.clone(), row.clone(), row]);
        let held_out = vec![vec![1, 15, 30, 40], vec![], vec![13, 40]];
        let members = (0..3).map(|user| Member {
            user,
            groups: PerGroup {
                all: true,
                affected: user == 2,
                deleted: user == 1,
            },
        });
        let cohort = Cohort {
            members: members.collect(),
        };
        let found = held_out_accuracy(&table, &retained, &held_out, &cohort);
        // The first list is 1, 2, 3, …: 1 stands first, 15 at the fifteenth place, 30 too far down.
        // The third is 0, 1, 3, …: 13 stands at the thirteenth place.
        assert_eq!(found.all.users, 2);
        assert_eq!(found.all.hit_rate_at_10, Some(0.5));
        assert_eq!(found.affected.recall_at_20, Some(0.5));
        assert_eq!(found.all.recall_of_all_at_20, Some(0.5));
        let expected = (1.0 / 14f64.log2()) / (1.0 + 1.0 / 3f64.log2());
        let third = found.affected.ndcg_at_20.expect("something is held out");
        assert!((third - expected).abs() < 1e-12);
        assert_eq!(found.affected.ndcg_at_10, Some(0.0));
        assert_eq!((found.deleted.users, found.deleted.ndcg_at_10), (0, None));
    }
}
