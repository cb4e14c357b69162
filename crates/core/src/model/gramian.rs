//! Gram matrices of factors, kept up to date row by row.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use crate::model::factors::Factors;
use crate::simd::add_scaled_f64;

/// Rows summed by one parallel task. Fixed, so that the sum does not depend on the number of
/// threads.
const CHUNK_ROWS: usize = 1024;

/// `FᵀF` of factors F of rows × d: d × d, f64, symmetric.
#[derive(Debug, Clone)]
pub struct Gramian {
    matrix: Mat<f64>,
}

impl Gramian {
    /// The zero matrix of `dim` × `dim`.
    pub fn zeros(dim: usize) -> Self {
        Self {
            matrix: Mat::zeros(dim, dim),
        }
    }

    /// The matrix of these columns of `dim` values, one after another; `None` when there are not `dim` of them.
    pub fn from_columns(dim: usize, columns: &[f64]) -> Option<Self> {
        let fits = dim.checked_mul(dim) == Some(columns.len());
        fits.then(|| Self {
            matrix: Mat::from_fn(dim, dim, |row, column| columns[column * dim + row]),
        })
    }

    /// The Gram matrix of all rows. Cost: rows·d² multiply-adds. The same for any number of
    /// threads: chunks of fixed size, added in order.
    pub fn from_factors(factors: &Factors) -> Self {
        let d = factors.dim();
        Self {
            matrix: product(factors.as_slice(), d),
        }
    }

    /// The sum of the diagonal: the squared norms of all rows.
    pub fn trace(&self) -> f64 {
        (0..self.matrix.ncols()).map(|k| self.matrix[(k, k)]).sum()
    }

    /// Follows the change of rows from `old` to `new`, one after another in each, d values a row.
    /// Cost: `2d²` multiply-adds a row, as one product of matrices. Rounding adds up over many updates;
    /// every sweep builds the matrix anew.
    pub fn replace_rows(&mut self, old: &[f64], new: &[f64]) {
        debug_assert_eq!(old.len(), new.len());
        let dim = self.matrix.nrows();
        if dim == 0 || new.is_empty() {
            return;
        }
        let (new, old) = rayon::join(|| product(new, dim), || product(old, dim));
        self.matrix += new - old;
    }

    /// The matrix itself, d × d, symmetric.
    pub fn matrix(&self) -> MatRef<'_, f64> {
        self.matrix.as_ref()
    }

    /// One column, which is also one row, d values.
    pub fn column(&self, column: usize) -> &[f64] {
        self.matrix.col_as_slice(column)
    }

    /// Adds `scale · FᵀF · vector` to `into`. Cost: d² multiply-adds.
    #[inline(always)]
    pub fn add_product(&self, into: &mut [f64], vector: &[f64], scale: f64) {
        for (column, value) in vector.iter().enumerate() {
            add_scaled_f64(into, scale * value, self.column(column));
        }
    }
}

/// `FᵀF` of rows of `dim` values, one after another.
fn product(rows: &[f64], dim: usize) -> Mat<f64> {
    let partial: Vec<Mat<f64>> = rows
        .par_chunks((CHUNK_ROWS * dim).max(1))
        .map(|chunk| {
            let rows = MatRef::from_row_major_slice(chunk, chunk.len() / dim, dim);
            let mut sum = Mat::zeros(dim, dim);
            matmul(
                sum.as_mut(),
                Accum::Replace,
                rows.transpose(),
                rows,
                1.0,
                Par::Seq,
            );
            sum
        })
        .collect();
    let mut matrix = Mat::zeros(dim, dim);
    for sum in partial {
        matrix += sum;
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::side::Side;

    fn naive(factors: &Factors) -> Mat<f64> {
        Mat::from_fn(factors.dim(), factors.dim(), |i, j| {
            (0..factors.rows())
                .map(|r| factors.row(r)[i] * factors.row(r)[j])
                .sum()
        })
    }

    #[test]
    fn it_is_the_sum_of_outer_products() {
        let factors = Factors::random(2_500, 7, 3, Side::Users);
        let difference = Gramian::from_factors(&factors).matrix().to_owned() - naive(&factors);
        assert!(difference.norm_l2() < 1e-12);
    }

    #[test]
    fn following_rows_equals_building_anew() {
        let mut factors = Factors::random(40, 6, 3, Side::Users);
        let other = Factors::random(40, 6, 4, Side::Users);
        let mut gramian = Gramian::from_factors(&factors);
        for row in 0..40 {
            let old = factors.row(row).to_vec();
            factors.row_mut(row).copy_from_slice(other.row(row));
            gramian.replace_rows(&old, other.row(row));
        }
        let difference = gramian.matrix().to_owned() - naive(&other);
        assert!(difference.norm_l2() < 1e-14);
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let factors = Factors::random(5_000, 5, 3, Side::Items);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("pool");
            pool.install(|| Gramian::from_factors(&factors))
                .matrix()
                .to_owned()
        };
        assert!(with(1) == with(3));
    }
}
