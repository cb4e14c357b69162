//! Rows of latent factors.

use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use crate::model::side::Side;
use crate::random::standard_normal;

/// Standard deviation of initial values, before division by √d. Small enough that the first block
/// solutions are near the linear regime, large enough to leave the saddle at zero at once.
const INITIAL_DEVIATION: f64 = 0.1;

/// A dense matrix of factors, rows × d, f64, one contiguous row a user or item.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    values: Array2<f64>,
}

impl Factors {
    /// `rows` × `dim` zeros.
    pub fn zeros(rows: usize, dim: usize) -> Self {
        Self {
            values: Array2::zeros((rows, dim)),
        }
    }

    /// Normal initial values of mean 0 and standard deviation 0.1/√d.
    pub fn random(rows: usize, dim: usize, seed: u64, side: Side) -> Self {
        let mut factors = Self::zeros(rows, dim);
        for row in 0..rows {
            initial_row(factors.row_mut(row), row as u32, seed, side);
        }
        factors
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.nrows()
    }

    /// Latent dimensions d.
    pub fn dim(&self) -> usize {
        self.values.ncols()
    }

    /// The factors of one row.
    pub fn row(&self, row: usize) -> &[f64] {
        let d = self.dim();
        &self.as_slice()[row * d..(row + 1) * d]
    }

    /// The factors of one row, to change.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        let d = self.dim();
        &mut self.as_mut_slice()[row * d..(row + 1) * d]
    }

    /// All values, row after row.
    pub fn as_slice(&self) -> &[f64] {
        self.values
            .as_slice()
            .expect("rows are contiguous in standard order")
    }

    /// All values, row after row, to change.
    pub fn as_mut_slice(&mut self) -> &mut [f64] {
        self.values
            .as_slice_mut()
            .expect("rows are contiguous in standard order")
    }

    /// The matrix as ndarray sees it.
    pub fn view(&self) -> ArrayView2<'_, f64> {
        self.values.view()
    }

    /// Adds zero rows until there are at least `rows`.
    pub fn grow(&mut self, rows: usize) {
        let (have, d) = self.values.dim();
        if rows > have {
            let mut values = std::mem::take(&mut self.values).into_raw_vec_and_offset().0;
            values.resize(rows * d, 0.0);
            self.values =
                Array2::from_shape_vec((rows, d), values).expect("the length is rows times d");
        }
    }
}

/// Fills `into` with the initial values of `row`: they depend on seed, side, row and column only,
/// so that neither the number of rows nor that of threads changes them.
pub(crate) fn initial_row(into: &mut [f64], row: u32, seed: u64, side: Side) {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream((u64::from(row) << 1) | u64::from(side == Side::Items));
    let scale = INITIAL_DEVIATION / (into.len() as f64).sqrt();
    for value in into {
        *value = scale * standard_normal(&mut random);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_do_not_depend_on_the_number_of_rows() {
        let (few, many) = (
            Factors::random(3, 8, 7, Side::Users),
            Factors::random(9, 8, 7, Side::Users),
        );
        assert_eq!(few.row(2), many.row(2));
        assert_ne!(many.row(2), many.row(3));
        assert_ne!(few.row(2), Factors::random(3, 8, 7, Side::Items).row(2));
        assert_ne!(few.row(2), Factors::random(3, 8, 8, Side::Users).row(2));
    }

    #[test]
    fn initial_values_have_the_stated_deviation() {
        let factors = Factors::random(500, 64, 1, Side::Items);
        let values = factors.as_slice();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 3e-4, "{mean}");
        assert!((variance.sqrt() - 0.0125).abs() < 2e-4, "{variance}");
    }

    #[test]
    fn growing_keeps_what_was_there() {
        let mut factors = Factors::random(2, 4, 1, Side::Users);
        let before = factors.row(1).to_vec();
        factors.grow(5);
        assert_eq!((factors.rows(), factors.row(1)), (5, before.as_slice()));
        assert!(factors.row(4).iter().all(|value| *value == 0.0));
    }
}
