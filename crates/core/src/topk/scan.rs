//! The k best rows by inner product or by cosine, found by looking at every row.

use pulp::Arch;

use super::best::Best;
use super::rows::{PAGE_ROWS, PagedRows};
use super::score;
use super::ties::Ties;
use crate::simd::vectorised;

/// The `k` rows with the largest inner product with `query`, best first; of equal scores the lower
/// row comes first. Rows in `excluded`, which must be sorted, and rows that are not `eligible` are
/// left out. A score that is not a number counts as the lowest.
///
/// Exact: the list is that of sorting all scores. O(rows · d), and O(log k) for each row that is
/// among the best so far; `excluded` and `eligible` are asked about those alone. The measure of
/// [`ItemIndex::top_k`](super::index::ItemIndex::top_k), which looks at few rows.
///
/// # Panics
/// When `query` does not have d values.
pub fn top_k(
    query: &[f32],
    items: &PagedRows,
    k: usize,
    excluded: &[u32],
    eligible: impl Fn(u32) -> bool,
) -> Vec<(u32, f32)> {
    top_k_tied(query, items, k, excluded, eligible, Ties::BY_ROW)
}

/// Like [`top_k`]; which of equal scores come first is said by `ties`.
///
/// # Panics
/// When `query` does not have d values.
pub fn top_k_tied(
    query: &[f32],
    items: &PagedRows,
    k: usize,
    excluded: &[u32],
    eligible: impl Fn(u32) -> bool,
    ties: Ties<'_>,
) -> Vec<(u32, f32)> {
    assert_eq!(
        query.len(),
        items.dim(),
        "query and rows must have the same dimension"
    );
    let arch = Arch::new();
    let scores = |rows: &[f32], scores: &mut [f32]| score::scores(arch, query, rows, scores);
    select(items, k, excluded, eligible, ties, scores)
}

/// The score that [`top_k`] gives `row`: to the last bit, whoever adds it up.
///
/// # Panics
/// When the lengths differ.
pub fn score(query: &[f32], row: &[f32]) -> f32 {
    score::score(Arch::new(), query, row)
}

/// Like [`top_k_tied`], by cosine similarity; with a zero vector it is 0. Computed in f64, so that no
/// norm is too large. O(rows · d).
///
/// # Panics
/// When `query` does not have d values.
pub fn top_k_cosine(
    query: &[f32],
    items: &PagedRows,
    k: usize,
    excluded: &[u32],
    eligible: impl Fn(u32) -> bool,
    ties: Ties<'_>,
) -> Vec<(u32, f32)> {
    assert_eq!(
        query.len(),
        items.dim(),
        "query and rows must have the same dimension"
    );
    let arch = Arch::new();
    let scores = |rows: &[f32], scores: &mut [f32]| {
        vectorised(
            arch,
            #[inline(always)]
            || cosines(query, rows, scores),
        );
    };
    select(items, k, excluded, eligible, ties, scores)
}

fn select(
    items: &PagedRows,
    k: usize,
    excluded: &[u32],
    eligible: impl Fn(u32) -> bool,
    ties: Ties<'_>,
    score_page: impl Fn(&[f32], &mut [f32]),
) -> Vec<(u32, f32)> {
    debug_assert!(excluded.is_sorted());
    if k == 0 {
        return Vec::new();
    }
    let mut best = Best::new(k, items.rows(), ties);
    let mut scores = [0.0_f32; PAGE_ROWS];
    let are_by_row = ties.are_by_row();
    // Rows come in order: by rows one that only equals the worst held loses the tie.
    let loses = |score: f32, worst: f32| {
        let score = score::comparable(score);
        score < worst || are_by_row && score == worst
    };
    for (first, rows) in items.pages() {
        let scores = &mut scores[..rows.len() / items.dim()];
        score_page(rows, scores);
        for (row, &score) in (first..).zip(scores.iter()) {
            if best.threshold().is_some_and(|worst| loses(score, worst)) {
                continue;
            }
            if excluded.binary_search(&row).is_err() && eligible(row) {
                best.offer(row, score);
            }
        }
    }
    best.into_sorted()
}

#[inline(always)]
fn cosines(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    let query_norm = inner_product_f64(query, query).sqrt();
    for (score, row) in scores.iter_mut().zip(rows.chunks_exact(query.len())) {
        let norms = query_norm * inner_product_f64(row, row).sqrt();
        let cosine = if norms > 0.0 {
            inner_product_f64(query, row) / norms
        } else {
            0.0
        };
        *score = cosine as f32;
    }
}

#[inline(always)]
fn inner_product_f64(a: &[f32], b: &[f32]) -> f64 {
    let (a_groups, a_rest) = a.as_chunks::<8>();
    let (b_groups, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f64; 8];
    for (a, b) in a_groups.iter().zip(b_groups) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    let rest = a_rest
        .iter()
        .zip(b_rest)
        .map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paged(rows: &[Vec<f32>], dim: usize) -> PagedRows {
        PagedRows::from_rows(rows.len(), dim, |row, values| {
            values.copy_from_slice(&rows[row])
        })
    }

    /// Every score, sorted; `score` is written as the formula reads.
    fn brute_force(
        items: &PagedRows,
        k: usize,
        excluded: &[u32],
        eligible: impl Fn(u32) -> bool,
        score: impl Fn(&[f32]) -> f32,
    ) -> Vec<(u32, f32)> {
        let mut all: Vec<(u32, f32)> = (0..items.rows() as u32)
            .filter(|row| !excluded.contains(row) && eligible(*row))
            .map(|row| (row, score(items.row(row))))
            .collect();
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).expect("numbers").then(a.0.cmp(&b.0)));
        all.truncate(k);
        all
    }

    /// Small integers: every order of summation gives the same exact result, and ties abound.
    fn exact_values() -> impl Strategy<Value = f32> {
        prop_oneof![4 => (-3_i8..=3).prop_map(f32::from), 1 => Just(0.0), 1 => Just(-0.0)]
    }

    proptest! {
        #[test]
        fn the_list_is_that_of_a_full_sort(
            dim in 1_usize..40,
            rows in 0_usize..200,
            k in 0_usize..30,
            seed in any::<u64>(),
            excluded in prop::collection::btree_set(0_u32..200, 0..40),
            values in prop::collection::vec(exact_values(), 64),
        ) {
            let pick = |at: usize| values[(at as u64 ^ seed).wrapping_mul(0x9e37_79b9) as usize % 64];
            let rows: Vec<Vec<f32>> =
                (0..rows).map(|row| (0..dim).map(|at| pick(row * dim + at)).collect()).collect();
            let items = paged(&rows, dim);
            let query: Vec<f32> = (0..dim).map(|at| pick(77_777 + at)).collect();
            let excluded: Vec<u32> = excluded.into_iter().collect();
            let eligible = |row: u32| !(row as u64 ^ seed).is_multiple_of(5);
            let product = |row: &[f32]| row.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>();
            prop_assert_eq!(
                top_k(&query, &items, k, &excluded, eligible),
                brute_force(&items, k, &excluded, eligible, product)
            );
            // Similarities round, so neighbours may trade places with a naive sum; their values
            // may not.
            let norm = |row: &[f32]| row.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt();
            let cosine = |row: &[f32]| match norm(&query) * norm(row) {
                0.0 => 0.0,
                norms => (f64::from(product(row)) / norms) as f32,
            };
            let found = top_k_cosine(&query, &items, k, &excluded, eligible, Ties::BY_ROW);
            let expected = brute_force(&items, k, &excluded, eligible, cosine);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn of_equal_scores_the_lower_row_comes_first() {
        let items = paged(&vec![vec![1.0, 2.0]; 150], 2);
        let found = top_k(&[1.0, 1.0], &items, 4, &[0, 2], |row| row != 3);
        assert_eq!(found, [(1, 3.0), (4, 3.0), (5, 3.0), (6, 3.0)]);
    }

    #[test]
    fn both_zeros_are_one_score() {
        let items = paged(&[vec![-0.0], vec![0.0], vec![-0.0]], 1);
        let found = top_k(&[1.0], &items, 3, &[], |_| true);
        assert_eq!(found, [(0, 0.0), (1, 0.0), (2, 0.0)]);
    }

    #[test]
    fn huge_norms_overflow_without_disorder() {
        let items = paged(
            &[
                vec![1e30, -1e30],
                vec![1.0, 1.0],
                vec![1e30, 1e30],
                vec![0.0, 0.0],
            ],
            2,
        );
        let query = [1e30, 1e30];
        let found = top_k(&query, &items, 4, &[], |_| true);
        let rows: Vec<u32> = found.iter().map(|(row, _)| *row).collect();
        // Row 0 is an infinity minus another: no number, hence last.
        assert_eq!(rows, [2, 1, 3, 0]);
        let similar = top_k_cosine(&query, &items, 4, &[], |_| true, Ties::BY_ROW);
        assert_eq!(
            similar.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
            [1, 2, 0, 3]
        );
        assert!((similar[1].1 - 1.0).abs() < 1e-6 && similar[2].1.abs() < 1e-6);
    }

    #[test]
    fn more_asked_for_than_there_is_gives_all() {
        let items = paged(&[vec![1.0], vec![3.0], vec![2.0]], 1);
        assert_eq!(
            top_k(&[1.0], &items, 1_000, &[], |_| true),
            [(1, 3.0), (2, 2.0), (0, 1.0)]
        );
        assert!(
            top_k(
                &[1.0],
                &PagedRows::from_rows(0, 1, |_, _| {}),
                5,
                &[],
                |_| true
            )
            .is_empty()
        );
    }
}
