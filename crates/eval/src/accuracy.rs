//! How well a model finds what was held out.

use rayon::prelude::*;

use super::holdout::Holdout;
use super::lists::{USERS_PER_TASK, best, scores};
use super::ranking::{ndcg, recall};
use recant_core::model::Ials;

/// Means over the users of whom something was held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Users measured.
    pub users: usize,
    /// Mean normalised discounted cumulative gain, see [`ndcg`].
    pub ndcg: f64,
    /// Mean recall, see `recall`.
    pub recall: f64,
}

/// Measures the lists of `k` that a model trained on `holdout.train` gives: the items with at
/// least one interaction there, without those the user has there. Held-out items that nobody has
/// in the training part cannot be found and count as missed. Both means are 0 without any user.
///
/// Cost: `users·items·d` multiply-adds. The same for any number of threads.
pub fn accuracy(model: &Ials, holdout: &Holdout, k: usize) -> Accuracy {
    let tasks: Vec<(usize, f64, f64)> = (0..model.users.rows())
        .into_par_iter()
        .step_by(USERS_PER_TASK)
        .map(|first| measured(model, holdout, k, first))
        .collect();
    let (users, ndcg, recall) = tasks.into_iter().fold((0, 0.0, 0.0), |sum, task| {
        (sum.0 + task.0, sum.1 + task.1, sum.2 + task.2)
    });
    let mean = |sum: f64| if users > 0 { sum / users as f64 } else { 0.0 };
    Accuracy {
        users,
        ndcg: mean(ndcg),
        recall: mean(recall),
    }
}

/// Users measured and the sums of both measures, over one task's users.
fn measured(model: &Ials, holdout: &Holdout, k: usize, first: usize) -> (usize, f64, f64) {
    let scores = scores(&model.users, &model.items, first);
    let mut sums = (0, 0.0, 0.0);
    for column in 0..scores.ncols() {
        let user = (first + column) as u32;
        let held_out = holdout
            .held_out
            .get(user as usize)
            .map_or(&[][..], Vec::as_slice);
        let history = holdout.train.user(user);
        let eligible = |item: u32| {
            let seen = history
                .binary_search_by_key(&item, |entry| entry.index)
                .is_ok();
            !seen && !holdout.train.item(item).is_empty()
        };
        if held_out.is_empty() {
            continue;
        }
        let list = best(scores.col_as_slice(column), k, eligible);
        if let (Some(gain), Some(share)) = (ndcg(&list, held_out, k), recall(&list, held_out, k)) {
            sums = (sums.0 + 1, sums.1 + gain, sums.2 + share);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holdout::hold_out;
    use recant_core::model::Factors;
    use recant_core::model::Side;
    use recant_core::model::{Entry, InteractionMatrix};
    use recant_types::IalsHyperparameters;

    /// User by user with plain loops.
    fn naive(model: &Ials, holdout: &Holdout, k: usize) -> (f64, f64) {
        let (mut gains, mut shares) = (Vec::new(), Vec::new());
        for (user, held_out) in holdout
            .held_out
            .iter()
            .enumerate()
            .filter(|(_, h)| !h.is_empty())
        {
            let mut scored = Vec::new();
            for item in 0..model.items.rows() {
                let seen = holdout
                    .train
                    .user(user as u32)
                    .iter()
                    .any(|e| e.index as usize == item);
                if seen || holdout.train.item(item as u32).is_empty() {
                    continue;
                }
                let factors = model.users.row(user).iter().zip(model.items.row(item));
                scored.push((factors.map(|(p, q)| p * q).sum::<f64>(), item as u32));
            }
            scored.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("numbers"));
            let (mut gain, mut ideal, mut hits) = (0.0, 0.0, 0.0);
            for position in 0..k {
                let discount = 1.0 / (position as f64 + 2.0).log2();
                if position < held_out.len() {
                    ideal += discount;
                }
                if scored
                    .get(position)
                    .is_some_and(|(_, item)| held_out.contains(item))
                {
                    (gain, hits) = (gain + discount, hits + 1.0);
                }
            }
            gains.push(gain / ideal);
            shares.push(hits / k.min(held_out.len()) as f64);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        (mean(&gains), mean(&shares))
    }

    #[test]
    fn the_means_are_those_of_plain_loops() {
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = (0..70u32).map(|user| {
            (0..user % 13)
                .map(|k| entry((k * k + user * 3) % 50))
                .collect()
        });
        let matrix = InteractionMatrix::from_histories(histories.collect(), 50);
        let holdout = hold_out(&matrix, 0.3, 8);
        let hyper = IalsHyperparameters {
            dim: 4,
            ..IalsHyperparameters::default()
        };
        let model = Ials::from_factors(
            hyper,
            Factors::random(70, 4, 1, Side::Users),
            Factors::random(50, 4, 1, Side::Items),
        );
        for k in [1, 5, 100] {
            let found = accuracy(&model, &holdout, k);
            let (gain, share) = naive(&model, &holdout, k);
            assert_eq!(found.users, holdout.users());
            assert!((found.ndcg - gain).abs() < 1e-12, "{found:?} {gain}");
            assert!((found.recall - share).abs() < 1e-12, "{found:?} {share}");
        }
    }
}
