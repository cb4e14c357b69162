//! Blocks of a few vectors side by side, and their products with tall matrices: what moves through
//! memory is the tall matrix, once for all of them.

use pulp::Arch;
use rayon::prelude::*;

use crate::simd::vectorised;
use crate::unlearn::tall::{CHUNK_ROWS, Tall};

/// Vectors side by side.
pub(super) const WIDTH: usize = 4;

/// One row of a block.
type Row = [f64; WIDTH];

/// `WIDTH` vectors, row after row.
#[derive(Debug, Clone)]
pub(super) struct Block(Vec<Row>);

impl Block {
    /// Zeros.
    pub(super) fn zeros(rows: usize) -> Self {
        Self(vec![[0.0; WIDTH]; rows])
    }

    /// Fills each row with `fill`, which gets the row's number, in parallel.
    pub(super) fn from_rows(rows: usize, fill: impl Fn(usize) -> Row + Sync) -> Self {
        let mut block = Self::zeros(rows);
        let chunks = block.0.par_chunks_mut(CHUNK_ROWS).enumerate();
        chunks.for_each(|(chunk, into)| {
            for (offset, row) in into.iter_mut().enumerate() {
                *row = fill(chunk * CHUNK_ROWS + offset);
            }
        });
        block
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &Row {
        &self.0[row]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut Row {
        &mut self.0[row]
    }

    /// Inner product of two columns, `self` and `other` alike.
    pub(super) fn column_inner(&self, column: usize, other: &Self, with: usize) -> f64 {
        let products = self
            .0
            .iter()
            .zip(&other.0)
            .map(|(a, b)| a[column] * b[with]);
        products.sum()
    }

    /// One column plus a multiple of another.
    pub(super) fn add_column(&mut self, column: usize, scale: f64, from: usize) {
        (self.0.iter_mut()).for_each(|row| row[column] += scale * row[from]);
    }

    /// One column times a number.
    pub(super) fn scale_column(&mut self, column: usize, scale: f64) {
        self.0.iter_mut().for_each(|row| row[column] *= scale);
    }
}

/// The inner products of a tall matrix's columns with those of a block: for each vector of the
/// block one value a column.
pub(super) type Coefficients = [Vec<f64>; WIDTH];

/// `tallᵀ · block`, of the first `columns` columns. Cost: `rows·columns·WIDTH` multiply-adds.
pub(super) fn inner(tall: &Tall, columns: usize, block: &Block) -> Coefficients {
    let partial: Vec<Coefficients> = (block.0.par_chunks(CHUNK_ROWS))
        .enumerate()
        .map(|(chunk, rows)| {
            let mut sums: Coefficients = std::array::from_fn(|_| vec![0.0; columns]);
            vectorised(
                Arch::new(),
                #[inline(always)]
                || {
                    for (offset, weights) in rows.iter().enumerate() {
                        let row = tall.row(chunk * CHUNK_ROWS + offset);
                        add_outer(&mut sums, weights, &row[..columns]);
                    }
                },
            );
            sums
        })
        .collect();
    let mut total: Coefficients = std::array::from_fn(|_| vec![0.0; columns]);
    for sums in &partial {
        for (total, sum) in total.iter_mut().zip(sums) {
            total.iter_mut().zip(sum).for_each(|(a, b)| *a += b);
        }
    }
    total
}

/// `into += scale · tall · coefficients`. Cost: `rows·columns·WIDTH` multiply-adds.
pub(super) fn add_times(tall: &Tall, coefficients: &Coefficients, scale: f64, into: &mut Block) {
    let columns = coefficients[0].len();
    (into.0.par_chunks_mut(CHUNK_ROWS))
        .enumerate()
        .for_each(|(chunk, rows)| {
            vectorised(
                Arch::new(),
                #[inline(always)]
                || {
                    for (offset, sums) in rows.iter_mut().enumerate() {
                        let row = &tall.row(chunk * CHUNK_ROWS + offset)[..columns];
                        let products = dots(row, coefficients);
                        for (sum, product) in sums.iter_mut().zip(products) {
                            *sum += scale * product;
                        }
                    }
                },
            );
        });
}

/// Removes from a block what lies within the first `columns` orthonormal columns of `basis`.
pub(super) fn remove(basis: &Tall, columns: usize, block: &mut Block) {
    let along = inner(basis, columns, block);
    add_times(basis, &along, -1.0, block);
}

#[inline(always)]
fn add_outer(sums: &mut Coefficients, weights: &Row, row: &[f64]) {
    let [a, b, c, d] = sums;
    let sums = a.iter_mut().zip(b).zip(c).zip(d);
    for (value, (((a, b), c), d)) in row.iter().zip(sums) {
        *a += weights[0] * value;
        *b += weights[1] * value;
        *c += weights[2] * value;
        *d += weights[3] * value;
    }
}

/// Sums kept side by side, so that one addition need not wait for the one before.
const LANES: usize = 8;

#[inline(always)]
fn dots(row: &[f64], coefficients: &Coefficients) -> Row {
    let [a, b, c, d] = coefficients
        .each_ref()
        .map(|vector| vector.as_chunks::<LANES>());
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut sums = [[0.0; LANES]; WIDTH];
    for (k, values) in whole.iter().enumerate() {
        let along = [&a.0[k], &b.0[k], &c.0[k], &d.0[k]];
        for (sums, along) in sums.iter_mut().zip(along) {
            for lane in 0..LANES {
                sums[lane] += values[lane] * along[lane];
            }
        }
    }
    let rests = [a.1, b.1, c.1, d.1];
    std::array::from_fn(|j| {
        let left: f64 = rest.iter().zip(rests[j]).map(|(x, y)| x * y).sum();
        sums[j].iter().sum::<f64>() + left
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_single_vectors() {
        let (rows, columns) = (700, 37);
        let value = |row: usize, column: usize| ((row * 31 + column * 17) % 23) as f64 - 11.0;
        let tall = Tall::from_rows(rows, columns, |row, into| {
            for (column, slot) in into.iter_mut().enumerate() {
                *slot = value(row, column);
            }
        });
        let block = Block::from_rows(rows, |row| std::array::from_fn(|j| value(j, row)));
        let along = inner(&tall, columns, &block);
        let mut back = Block::zeros(rows);
        add_times(&tall, &along, 0.5, &mut back);
        for (j, along) in along.iter().enumerate() {
            let vector: Vec<f64> = (0..rows).map(|row| block.row(row)[j]).collect();
            let wanted: Vec<f64> = (0..columns)
                .map(|column| (0..rows).map(|row| value(row, column) * vector[row]).sum())
                .collect();
            assert_eq!(*along, wanted);
            for row in 0..rows {
                let sum: f64 = (0..columns).map(|c| value(row, c) * wanted[c]).sum();
                assert!((back.row(row)[j] - 0.5 * sum).abs() <= 1e-9 * sum.abs());
            }
        }
    }
}
