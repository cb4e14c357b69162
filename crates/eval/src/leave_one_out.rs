//! The protocol of the authors of NeuMF: one held-out item against 99 that the user never had.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::scorer::Scorer;
use recant_core::model::InteractionMatrix;

/// Items each held-out one is ranked against.
pub(crate) const NEGATIVES: usize = 99;

/// Length of the list it should be in.
const LIST_LENGTH: usize = 10;

/// Users whose scores one parallel task computes. Fixed, so that sums do not depend on the number
/// of threads.
const USERS_PER_TASK: usize = 32;

/// Means over the users with a held-out item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaveOneOut {
    /// Users measured.
    pub users: usize,
    /// Share of users whose held-out item is among the ten best of the hundred.
    pub hit_rate_at_10: Option<f64>,
    /// Mean of `1/log₂(position + 1)` where it is, 0 where it is not.
    pub ndcg_at_10: Option<f64>,
}

/// Ranks the first held-out item of every user against `NEGATIVES` items drawn, without
/// repetition, from those the user neither has in `train` nor held out (He et al., "Neural
/// Collaborative Filtering", 2017, section 4.1). Of equal scores the held-out item's counts as the
/// lower. A user with fewer such items is left out.
///
/// Which items are drawn follows from `seed` and the user's row. Cost: `users·items` scores. The
/// same for any number of threads.
pub fn leave_one_out(
    model: &dyn Scorer,
    train: &InteractionMatrix,
    held_out: &[Vec<u32>],
    seed: u64,
) -> LeaveOneOut {
    let users: Vec<u32> = (0..held_out.len() as u32)
        .filter(|user| !held_out[*user as usize].is_empty())
        .collect();
    let gains: Vec<Vec<f64>> = users
        .par_chunks(USERS_PER_TASK)
        .map(|users| {
            let scores = model.scores(users);
            let of_user = |(column, user): (usize, &u32)| {
                let held_out = &held_out[*user as usize];
                let negatives = negatives(train, held_out, *user, seed)?;
                Some(gain(scores.col_as_slice(column), held_out[0], &negatives))
            };
            users.iter().enumerate().filter_map(of_user).collect()
        })
        .collect();
    let gains: Vec<f64> = gains.into_iter().flatten().collect();
    let mean = |sum: f64| (!gains.is_empty()).then(|| sum / gains.len() as f64);
    LeaveOneOut {
        users: gains.len(),
        hit_rate_at_10: mean(gains.iter().filter(|gain| **gain > 0.0).count() as f64),
        ndcg_at_10: mean(gains.iter().sum()),
    }
}

/// What the place of `item` among the negatives is worth.
fn gain(scores: &[f64], item: u32, negatives: &[u32]) -> f64 {
    let own = scores[item as usize];
    let before = negatives
        .iter()
        .filter(|other| scores[**other as usize] >= own)
        .count();
    if before < LIST_LENGTH {
        1.0 / (before as f64 + 2.0).log2()
    } else {
        0.0
    }
}

/// The items drawn for a user; `None` when there are too few.
fn negatives(
    train: &InteractionMatrix,
    held_out: &[u32],
    user: u32,
    seed: u64,
) -> Option<Vec<u32>> {
    let history = train.user(user);
    let mut open: Vec<u32> = (0..train.item_rows() as u32)
        .filter(|item| {
            let seen = history.binary_search_by_key(item, |entry| entry.index);
            seen.is_err() && !held_out.contains(item)
        })
        .collect();
    if open.len() < NEGATIVES {
        return None;
    }
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(u64::from(user));
    for place in 0..NEGATIVES {
        let other = random.random_range(place..open.len());
        open.swap(place, other);
    }
    open.truncate(NEGATIVES);
    Some(open)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::scorer::tests::Table;
    use recant_core::model::Entry;

    fn train() -> InteractionMatrix {
        let entry = |index: u32| Entry::wanted(index, 1.0);
        let histories = (0..60u32).map(|user| (0..user % 7).map(|k| entry(k * 11)).collect());
        InteractionMatrix::from_histories(histories.collect(), 200)
    }

    #[test]
    fn negatives_are_different_and_never_had() {
        let train = train();
        let drawn = negatives(&train, &[33], 6, 1).expect("there are enough");
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), NEGATIVES);
        assert!(drawn.iter().all(|item| *item != 33));
        assert!(train.user(6).iter().all(|had| !drawn.contains(&had.index)));
        assert_eq!(negatives(&train, &[33], 6, 1), Some(drawn.clone()));
        assert_ne!(negatives(&train, &[33], 6, 2), Some(drawn));
    }

    #[test]
    fn a_model_that_knows_is_perfect_and_one_that_knows_nothing_is_not_let_pass() {
        let held_out: Vec<Vec<u32>> = (0..60).map(|user| vec![100 + user]).collect();
        let knows = |user: u32| (0..200).map(move |item| f64::from(u8::from(item == 100 + user)));
        let table = Table((0..60).map(|user| knows(user).collect()).collect());
        let found = leave_one_out(&table, &train(), &held_out, 1);
        assert_eq!(found.users, 60);
        assert_eq!(
            (found.hit_rate_at_10, found.ndcg_at_10),
            (Some(1.0), Some(1.0))
        );
        let constant = Table(vec![vec![0.5; 200]; 60]);
        let found = leave_one_out(&constant, &train(), &held_out, 1);
        assert_eq!(
            (found.hit_rate_at_10, found.ndcg_at_10),
            (Some(0.0), Some(0.0))
        );
    }

    /// By sorting the hundred.
    #[test]
    fn the_gain_is_that_of_the_sorted_list() {
        let scores: Vec<f64> = (0..200).map(|i| f64::from((i * 37) % 101)).collect();
        let drawn = negatives(&train(), &[5], 3, 9).expect("there are enough");
        let mut list: Vec<u32> = drawn.iter().copied().chain([5]).collect();
        list.sort_by(|a, b| {
            scores[*b as usize]
                .total_cmp(&scores[*a as usize])
                .then((*a == 5).cmp(&(*b == 5)))
        });
        let position = list
            .iter()
            .position(|item| *item == 5)
            .expect("it is in the list");
        let expected = if position < 10 {
            1.0 / (position as f64 + 2.0).log2()
        } else {
            0.0
        };
        assert_eq!(gain(&scores, 5, &drawn), expected);
    }
}
