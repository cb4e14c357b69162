//! Scores of all items for some users at a time, and the best of them, in f64.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use recant_core::model::Factors;

/// Users whose scores are computed together by one task. Fixed, so that sums over users do not
/// depend on the number of threads.
pub(super) const USERS_PER_TASK: usize = 32;

/// The scores of every item for the users from row `first` on, [`USERS_PER_TASK`] of them at
/// most: one column a user. Cost: `users·items·d` multiply-adds.
pub(super) fn scores(users: &Factors, items: &Factors, first: usize) -> Mat<f64> {
    let dim = users.dim();
    let last = (first + USERS_PER_TASK).min(users.rows());
    let own = &users.as_slice()[first * dim..last * dim];
    let own = MatRef::from_row_major_slice(own, last - first, dim);
    let all = MatRef::from_row_major_slice(items.as_slice(), items.rows(), dim);
    let mut scores = Mat::zeros(items.rows(), last - first);
    matmul(
        scores.as_mut(),
        Accum::Replace,
        all,
        own.transpose(),
        1.0,
        Par::Seq,
    );
    scores
}

/// The `k` rows with the largest scores among the `eligible` ones, best first; of equal scores the
/// lower row comes first. Cost: `O(rows + k log k)`.
pub fn best(scores: &[f64], k: usize, eligible: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..scores.len() as u32)
        .filter(|row| eligible(*row))
        .collect();
    // Adding zero makes both zeros one.
    let score = |row: &u32| scores[*row as usize] + 0.0;
    let order = |a: &u32, b: &u32| score(b).total_cmp(&score(a)).then(a.cmp(b));
    if rows.len() > k {
        rows.select_nth_unstable_by(k, order);
        rows.truncate(k);
    }
    rows.sort_unstable_by(order);
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use recant_core::model::Side;

    proptest! {
        #[test]
        fn the_best_are_those_of_a_full_sort(
            scores in prop::collection::vec((-3i8..4).prop_map(f64::from), 0..40),
            k in 0usize..12,
            modulus in 1u32..5,
        ) {
            let eligible = |row: u32| row % modulus != 1;
            let mut all: Vec<u32> = (0..scores.len() as u32).filter(|row| eligible(*row)).collect();
            // Stable: equals stay in the order of their rows.
            all.sort_by(|a, b| {
                scores[*b as usize].partial_cmp(&scores[*a as usize]).expect("numbers")
            });
            all.truncate(k);
            prop_assert_eq!(best(&scores, k, eligible), all);
        }
    }

    #[test]
    fn scores_are_inner_products() {
        let users = Factors::random(USERS_PER_TASK + 3, 5, 1, Side::Users);
        let items = Factors::random(7, 5, 1, Side::Items);
        for first in [0, USERS_PER_TASK] {
            let scores = scores(&users, &items, first);
            assert_eq!(scores.nrows(), 7);
            assert_eq!(scores.ncols(), USERS_PER_TASK.min(users.rows() - first));
            for column in 0..scores.ncols() {
                for item in 0..7 {
                    let pairs = users.row(first + column).iter().zip(items.row(item));
                    let expected: f64 = pairs.map(|(p, q)| p * q).sum();
                    assert!((scores[(item, column)] - expected).abs() < 1e-15);
                }
            }
        }
    }
}
