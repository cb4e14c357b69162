//! A list in which items are not all alike, chosen from the best.

use pulp::Arch;

use crate::simd::{dot_f64, vectorised};

/// Orders the best of `pool`, rows with their scores, by maximal marginal relevance (Carbonell &
/// Goldstein 1998): again and again it takes the row i of largest
///
/// ```text
/// (1 − δ) r_i − δ · max_j cos(q_i, q_j)
/// ```
///
/// where δ is `diversity`, 0 to 1, j goes over what was taken before and over the rows in `before`, and
/// r_i is the score's place between the least score of the pool, 0, and the largest, 1, so that δ means
/// the same whatever the scores are. Without anything taken the maximum is 0; the cosine with a zero
/// row is 0. Of equal ones the earlier of the pool comes first, so that with δ = 0 the order stays, if it
/// was by score.
///
/// Returns the first `count`. What comes first does not depend on `count`. A score that is not finite
/// counts as the least. Cost: `count + |before|` times `|pool|·d` multiply-adds in f64.
///
/// `factors` gives the factors of a row, all of one length above 0.
pub fn diversified<'a>(
    pool: &[(u32, f32)],
    before: &[u32],
    factors: impl Fn(u32) -> &'a [f32],
    diversity: f64,
    count: usize,
) -> Vec<(u32, f32)> {
    let directions = Directions::of(pool, &factors);
    let relevance = relevance(pool);
    let mut nearest = vec![f64::NEG_INFINITY; pool.len()];
    for row in before {
        directions.raise(&mut nearest, &unit(factors(*row)));
    }
    let mut left: Vec<usize> = (0..pool.len()).collect();
    let mut taken = Vec::with_capacity(count.min(pool.len()));
    while taken.len() < count && !left.is_empty() {
        let marginal = |at: usize| {
            let nearest = Some(nearest[at]).filter(|cosine| cosine.is_finite());
            (1.0 - diversity) * relevance[at] - diversity * nearest.unwrap_or(0.0)
        };
        let mut best = 0;
        for other in 1..left.len() {
            if marginal(left[other]) > marginal(left[best]) {
                best = other;
            }
        }
        // Not by a swap: of equal ones the earlier has to come first.
        let at = left.remove(best);
        taken.push(pool[at]);
        directions.raise(&mut nearest, directions.of_row(at));
    }
    taken
}

/// Where each score of the pool is between the least and the largest, 0 to 1.
fn relevance(pool: &[(u32, f32)]) -> Vec<f64> {
    let finite = || {
        let scores = pool.iter().map(|(_, score)| f64::from(*score));
        scores.filter(|score| score.is_finite())
    };
    let least = finite().fold(f64::INFINITY, f64::min);
    let range = finite().fold(f64::NEG_INFINITY, f64::max) - least;
    let place = |score: f32| {
        let place = (f64::from(score) - least) / range;
        if place.is_finite() { place } else { 0.0 }
    };
    pool.iter().map(|(_, score)| place(*score)).collect()
}

/// The rows of a pool, each of length 1 or 0, in f64, so that no norm is too large.
struct Directions {
    arch: Arch,
    values: Vec<f64>,
    dim: usize,
}

impl Directions {
    fn of<'a>(pool: &[(u32, f32)], factors: impl Fn(u32) -> &'a [f32]) -> Self {
        let rows = pool.iter().flat_map(|(row, _)| unit(factors(*row)));
        Self {
            arch: Arch::new(),
            values: rows.collect(),
            dim: pool.first().map_or(1, |(row, _)| factors(*row).len()),
        }
    }

    fn of_row(&self, at: usize) -> &[f64] {
        &self.values[at * self.dim..(at + 1) * self.dim]
    }

    /// Raises each of `nearest` to the cosine with `direction`.
    fn raise(&self, nearest: &mut [f64], direction: &[f64]) {
        vectorised(
            self.arch,
            #[inline(always)]
            || {
                for (nearest, row) in nearest.iter_mut().zip(self.values.chunks_exact(self.dim)) {
                    *nearest = nearest.max(dot_f64(row, direction));
                }
            },
        );
    }
}

/// The row scaled to length 1; zero where it has none.
fn unit(row: &[f32]) -> Vec<f64> {
    let square: f64 = row.iter().map(|value| f64::from(*value).powi(2)).sum();
    let scale = if square > 0.0 {
        square.sqrt().recip()
    } else {
        0.0
    };
    row.iter().map(|value| f64::from(*value) * scale).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topk::PagedRows;

    const ROWS: usize = 60;

    fn items(dim: usize, values: &[f32]) -> PagedRows {
        PagedRows::from_rows(ROWS, dim, |row, into| {
            for (column, value) in into.iter_mut().enumerate() {
                *value = values[(row * dim + column) * 7 % values.len()];
            }
        })
    }

    fn cosine(a: &[f32], b: &[f32]) -> f64 {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum()
        };
        let norms = product(a, a).sqrt() * product(b, b).sqrt();
        if norms > 0.0 {
            product(a, b) / norms
        } else {
            0.0
        }
    }

    fn pool() -> impl Strategy<Value = Vec<(u32, f32)>> {
        let rows = prop::collection::btree_map(0..ROWS as u32, -3.0_f32..9.0, 0..40);
        rows.prop_map(|rows| {
            let mut pool: Vec<(u32, f32)> = rows.into_iter().collect();
            pool.sort_by(|a, b| b.1.total_cmp(&a.1));
            pool
        })
    }

    proptest! {
        /// At every place stands a row whose marginal relevance, written as the formula reads, no row
        /// that comes later exceeds.
        #[test]
        fn each_is_the_best_of_what_is_left(
            dim in prop::sample::select(vec![1_usize, 3, 17]),
            values in prop::collection::vec(prop_oneof![-2.0_f32..2.0, Just(0.0)], 97),
            pool in pool(),
            before in prop::collection::btree_set(0..ROWS as u32, 0..3),
            diversity in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64],
            count in 0_usize..50,
        ) {
            let items = items(dim, &values);
            let before: Vec<u32> = before.into_iter().collect();
            let whole = diversified(&pool, &before, |row| items.row(row), diversity, usize::MAX);
            let some = diversified(&pool, &before, |row| items.row(row), diversity, count);
            prop_assert_eq!(&some[..], &whole[..count.min(pool.len())]);
            let mut sorted = (pool.clone(), whole.clone());
            sorted.0.sort_by_key(|(row, _)| *row);
            sorted.1.sort_by_key(|(row, _)| *row);
            prop_assert_eq!(sorted.0, sorted.1, "the same rows");
            if diversity == 0.0 {
                prop_assert_eq!(&whole, &pool);
            }
            let scores = || pool.iter().map(|(_, score)| f64::from(*score));
            let (least, most) = (scores().fold(9.0, f64::min), scores().fold(-3.0, f64::max));
            let marginal = |at: usize, (row, score): (u32, f32)| {
                let taken = whole[..at].iter().map(|(row, _)| row).chain(&before);
                let cosines = taken.map(|other| cosine(items.row(row), items.row(*other)));
                let relevance = (f64::from(score) - least) / (most - least);
                let relevance = if relevance.is_nan() { 0.0 } else { relevance };
                (1.0 - diversity) * relevance - diversity * cosines.reduce(f64::max).unwrap_or(0.0)
            };
            for at in 0..whole.len() {
                let taken = marginal(at, whole[at]);
                for later in &whole[at..] {
                    prop_assert!(marginal(at, *later) <= taken + 1e-9);
                }
            }
        }
    }

    #[test]
    fn a_copy_of_what_was_taken_waits() {
        let rows = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let items = PagedRows::from_rows(3, 2, |row, into| into.copy_from_slice(&rows[row]));
        let pool = [(0, 1.0), (1, 0.9), (2, 0.1)];
        let order = |diversity, before: &[u32]| -> Vec<u32> {
            let found = diversified(&pool, before, |row| items.row(row), diversity, 3);
            found.into_iter().map(|(row, _)| row).collect()
        };
        assert_eq!(order(0.2, &[]), [0, 1, 2]);
        assert_eq!(order(0.6, &[]), [0, 2, 1]);
        assert_eq!(order(0.6, &[0]), [2, 0, 1]);
        assert_eq!(order(1.0, &[2]), [0, 1, 2], "of equal ones the earlier");
    }

    #[test]
    fn scores_that_are_no_numbers_are_the_least() {
        let items = PagedRows::from_rows(3, 1, |_, into| into.fill(1.0));
        let pool = [(0, f32::INFINITY), (1, 2.0), (2, f32::NAN)];
        let found = diversified(&pool, &[], |row| items.row(row), 0.1, 3);
        let rows: Vec<u32> = found.into_iter().map(|(row, _)| row).collect();
        assert_eq!(rows, [0, 1, 2]);
    }
}
