//! The score of an item: an inner product whose order of summation is fixed, so that every machine
//! gives the same bits.

use pulp::Arch;

use crate::simd::vectorised;

/// Partial sums of an inner product. Column c goes into sum c mod 16; the sums are then added in
/// pairs, halves onto halves.
pub(super) const LANES: usize = 16;

/// Rows whose inner products are computed side by side: enough sums to keep the adders busy, few
/// enough to stay in registers.
const ROWS_AT_ONCE: usize = 4;

/// Inner products of `query` with each of the rows that stand behind each other in `rows`.
///
/// Not fused, and in one order whatever the width of the vectors: the portable loop and every
/// vector unit round alike. At most d/16 + 6 roundings lie between a product and its sum.
///
/// # Panics
/// When `rows` is not one row of d values for each score.
pub(super) fn scores(arch: Arch, query: &[f32], rows: &[f32], scores: &mut [f32]) {
    assert_eq!(
        rows.len(),
        query.len() * scores.len(),
        "a row for each score"
    );
    vectorised(
        arch,
        #[inline(always)]
        || score_rows(query, rows, scores),
    );
}

/// The inner product of `query` with one row, as in [`scores`].
///
/// # Panics
/// When the lengths differ.
pub(super) fn score(arch: Arch, query: &[f32], row: &[f32]) -> f32 {
    assert_eq!(query.len(), row.len(), "the same dimension");
    vectorised(
        arch,
        #[inline(always)]
        || inner_products::<1>(query, [row])[0],
    )
}

/// Scores as they are compared: one zero, and no number at all is the lowest.
#[inline(always)]
pub(super) fn comparable(score: f32) -> f32 {
    if score.is_nan() {
        f32::NEG_INFINITY
    } else {
        score + 0.0
    }
}

#[inline(always)]
fn score_rows(query: &[f32], rows: &[f32], scores: &mut [f32]) {
    let dim = query.len();
    let (groups, rest) = scores.as_chunks_mut::<ROWS_AT_ONCE>();
    let (grouped, single) = rows.split_at(groups.len() * ROWS_AT_ONCE * dim);
    for (scores, rows) in groups
        .iter_mut()
        .zip(grouped.chunks_exact(ROWS_AT_ONCE * dim))
    {
        let row = |at: usize| &rows[at * dim..(at + 1) * dim];
        *scores = inner_products(query, [row(0), row(1), row(2), row(3)]);
    }
    for (score, row) in rest.iter_mut().zip(single.chunks_exact(dim)) {
        [*score] = inner_products(query, [row]);
    }
}

/// Inner products with R rows, each summed in the same order whatever R is.
#[inline(always)]
fn inner_products<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    let (query, query_rest) = query.as_chunks::<LANES>();
    let split = rows.map(|row| row.as_chunks::<LANES>());
    let heads = split.map(|(head, _)| &head[..query.len()]);
    let mut sums = [[0.0_f32; LANES]; R];
    for (at, query) in query.iter().enumerate() {
        for row in 0..R {
            sums[row] = plus_products(sums[row], query, &heads[row][at]);
        }
    }
    for ((_, rest), sums) in split.iter().zip(&mut sums) {
        for ((sum, q), value) in sums.iter_mut().zip(query_rest).zip(*rest) {
            *sum += q * value;
        }
    }
    sums.map(added_in_pairs)
}

#[inline(always)]
fn plus_products(mut sums: [f32; LANES], a: &[f32; LANES], b: &[f32; LANES]) -> [f32; LANES] {
    for lane in 0..LANES {
        sums[lane] += a[lane] * b[lane];
    }
    sums
}

#[inline(always)]
fn added_in_pairs(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the compiler makes of the loops, the bits are those of the definition.
        #[test]
        fn every_width_of_vectors_rounds_alike(
            dim in 1_usize..140,
            rows in 1_usize..11,
            values in prop::collection::vec(-2.0_f32..2.0, 256),
        ) {
            let value = |at: usize| values[at * 7 % 256] * (1.0 + (at % 13) as f32 * 1e-3);
            let query: Vec<f32> = (0..dim).map(value).collect();
            let matrix: Vec<f32> = (0..rows * dim).map(|at| value(at + 31)).collect();
            let mut found = vec![0.0; rows];
            scores(Arch::new(), &query, &matrix, &mut found);
            let mut scalar = vec![0.0; rows];
            scores(Arch::Scalar, &query, &matrix, &mut scalar);
            prop_assert_eq!(&found, &scalar);
            for (row, found) in matrix.chunks_exact(dim).zip(&found) {
                let mut sums = [0.0_f32; LANES];
                for (column, (q, value)) in query.iter().zip(row).enumerate() {
                    sums[column % LANES] += q * value;
                }
                let eight: [f32; 8] = std::array::from_fn(|at| sums[at] + sums[at + 8]);
                let four: [f32; 4] = std::array::from_fn(|at| eight[at] + eight[at + 4]);
                let expected = (four[0] + four[2]) + (four[1] + four[3]);
                prop_assert_eq!(expected, *found);
                prop_assert_eq!(expected, score(Arch::new(), &query, row));
            }
        }
    }
}
