//! Tall matrices: one row a user or item, few columns. Products with them run in parallel over
//! chunks of rows of a fixed size whose sums are added in order, so that results do not depend on
//! the number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

/// Rows of one parallel task.
pub(super) const CHUNK_ROWS: usize = 256;

/// A dense matrix of rows × columns, f64, row after row.
#[derive(Debug, Clone)]
pub(super) struct Tall {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Tall {
    /// Fills each row with `fill`, which gets the row's number and its zeroed values.
    pub(super) fn from_rows(
        rows: usize,
        columns: usize,
        fill: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Self {
        let mut values = vec![0.0; rows * columns];
        values
            .par_chunks_mut((CHUNK_ROWS * columns).max(1))
            .enumerate()
            .for_each(|(chunk, values)| {
                for (offset, row) in values.chunks_exact_mut(columns.max(1)).enumerate() {
                    fill(chunk * CHUNK_ROWS + offset, row);
                }
            });
        Self {
            rows,
            columns,
            values,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Overwrites the columns from `from` on: `fill` gets each row's number and its values there.
    pub(super) fn set_columns(&mut self, from: usize, fill: impl Fn(usize, &mut [f64])) {
        for (row, values) in self
            .values
            .chunks_exact_mut(self.columns.max(1))
            .enumerate()
        {
            fill(row, &mut values[from..]);
        }
    }

    /// One column, copied.
    pub(super) fn column(&self, column: usize) -> Vec<f64> {
        (0..self.rows).map(|row| self.row(row)[column]).collect()
    }

    fn view(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
    }

    /// The first `columns` columns.
    pub(super) fn leading(&self, columns: usize) -> Self {
        Self::from_rows(self.rows, columns, |row, into| {
            into.copy_from_slice(&self.row(row)[..columns]);
        })
    }

    /// The columns with these numbers, in this order.
    pub(super) fn columns_at(&self, columns: &[usize]) -> Self {
        Self::from_rows(self.rows, columns.len(), |row, into| {
            for (value, column) in into.iter_mut().zip(columns) {
                *value = self.row(row)[*column];
            }
        })
    }

    /// Each row times its scale.
    pub(super) fn rows_scaled(&self, scales: &[f64]) -> Self {
        Self::from_rows(self.rows, self.columns, |row, into| {
            for (value, from) in into.iter_mut().zip(self.row(row)) {
                *value = scales[row] * from;
            }
        })
    }

    /// The same columns with `rows` rows: cut, or continued with zeros.
    pub(super) fn with_rows(&self, rows: usize) -> Self {
        Self::from_rows(rows, self.columns, |row, into| {
            if row < self.rows {
                into.copy_from_slice(self.row(row));
            }
        })
    }

    /// The squared norm of each column.
    pub(super) fn column_squares(&self) -> Vec<f64> {
        let mut squares = vec![0.0; self.columns];
        for row in 0..self.rows {
            for (sum, value) in squares.iter_mut().zip(self.row(row)) {
                *sum += value * value;
            }
        }
        squares
    }

    /// These columns and then those of `other`.
    pub(super) fn beside(&self, other: &Self) -> Self {
        Self::from_rows(self.rows, self.columns + other.columns, |row, into| {
            let (left, right) = into.split_at_mut(self.columns);
            left.copy_from_slice(self.row(row));
            right.copy_from_slice(other.row(row));
        })
    }

    /// `self += scale · left · small`, by chunks of rows.
    pub(super) fn add_product(&mut self, left: &Self, small: MatRef<'_, f64>, scale: f64) {
        let columns = self.columns;
        if columns == 0 || left.columns == 0 {
            return;
        }
        self.values
            .par_chunks_mut(CHUNK_ROWS * columns)
            .zip(left.values.par_chunks(CHUNK_ROWS * left.columns))
            .for_each(|(into, left_rows)| {
                let rows = into.len() / columns;
                let left_rows = MatRef::from_row_major_slice(left_rows, rows, left.columns);
                let into = faer::MatMut::from_row_major_slice_mut(into, rows, columns);
                matmul(into, Accum::Add, left_rows, small, scale, Par::Seq);
            });
    }

    /// `self · small`.
    pub(super) fn times(&self, small: MatRef<'_, f64>) -> Self {
        let mut product = Self::from_rows(self.rows, small.ncols(), |_, _| {});
        product.add_product(self, small, 1.0);
        product
    }

    /// `selfᵀ · other`: columns × columns. Cost: rows·columns·columns multiply-adds.
    pub(super) fn transposed_times(&self, other: &Self) -> Mat<f64> {
        let mut sum = Mat::zeros(self.columns, other.columns);
        if self.columns == 0 || other.columns == 0 {
            return sum;
        }
        let partial: Vec<Mat<f64>> = self
            .values
            .par_chunks(CHUNK_ROWS * self.columns)
            .zip(other.values.par_chunks(CHUNK_ROWS * other.columns))
            .map(|(left, right)| {
                let rows = left.len() / self.columns;
                let left = MatRef::from_row_major_slice(left, rows, self.columns);
                let right = MatRef::from_row_major_slice(right, rows, other.columns);
                let mut product = Mat::zeros(self.columns, other.columns);
                matmul(
                    product.as_mut(),
                    Accum::Replace,
                    left.transpose(),
                    right,
                    1.0,
                    Par::Seq,
                );
                product
            })
            .collect();
        for product in partial {
            sum += product;
        }
        sum
    }

    /// Removes from the columns what lies within the orthonormal columns of `basis`; twice, for
    /// rounding.
    pub(super) fn remove(&mut self, basis: &Self) {
        for _ in 0..2 {
            let along = basis.transposed_times(self);
            self.add_product(basis, along.as_ref(), -1.0);
        }
    }

    /// An orthonormal basis Q of the columns, and R with `self = Q R` (Householder).
    pub(super) fn orthonormalised(&self) -> (Self, Mat<f64>) {
        if self.columns == 0 {
            return (self.clone(), Mat::zeros(0, 0));
        }
        let factorised = self.view().to_owned().qr();
        let q = factorised.compute_thin_Q();
        let columns = q.ncols();
        let orthonormal = Self::from_rows(self.rows, columns, |row, into| {
            for (column, value) in into.iter_mut().enumerate() {
                *value = q[(row, column)];
            }
        });
        (orthonormal, factorised.thin_R().to_owned())
    }
}

/// Two jobs side by side.
pub(super) fn both<A: Send, B: Send>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    rayon::join(left, right)
}
