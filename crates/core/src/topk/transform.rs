//! An orthogonal change of coordinates after which the first ones say most.

use faer::{Mat, Side};
use pulp::Arch;

use crate::simd::vectorised;
use crate::topk::rows::PagedRows;

/// Columns are computed in blocks of this many sums, which fit the registers.
const BLOCK: usize = 32;

/// Most rows that the coordinates are chosen by. They need not be the best ones, only orthogonal.
const SAMPLED_ROWS_MAX: usize = 16_384;

/// The unit roundoff of f32.
pub(super) const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// y = R x with R the principal directions of the items, largest share of ‖x‖² first, as FEXIPRO
/// does (Li, Chan, Yiu & Mamoulis 2017, §4): inner products stay what they are, and their first
/// terms are the large ones.
#[derive(Debug)]
pub(super) struct Transform {
    dim: usize,
    /// Columns of R, each padded to whole blocks: d × `stride`.
    columns: Vec<f32>,
    stride: usize,
    /// The share of ‖x‖² that the first coordinates hold, cumulated, over the sampled rows.
    energy: Vec<f64>,
    /// ‖RᵀR − I‖ in the Frobenius norm, of R as rounded.
    defect: f64,
}

impl Transform {
    /// Chosen by the rows that are `regular`. O(d³ + d² · min(rows, 16 384)).
    pub(super) fn of(rows: &PagedRows, regular: impl Fn(u32) -> bool) -> Self {
        let dim = rows.dim();
        let gram = gram(rows, regular);
        let identity = || (Mat::<f64>::identity(dim, dim), vec![1.0; dim]);
        let (vectors, values) = match gram.self_adjoint_eigen(Side::Lower) {
            Ok(eigen) => {
                let values = eigen.S().column_vector().iter().copied().collect();
                (eigen.U().to_owned(), values)
            }
            Err(_) => identity(),
        };
        let finite =
            (0..dim).all(|column| vectors.col(column).iter().all(|value| value.is_finite()));
        let (vectors, values) = if finite {
            (vectors, values)
        } else {
            identity()
        };
        Self::from_directions(&vectors, &values)
    }

    /// `vectors` are columns in ascending order of `values`.
    fn from_directions(vectors: &Mat<f64>, values: &[f64]) -> Self {
        let dim = values.len();
        let stride = dim.next_multiple_of(BLOCK);
        let mut columns = vec![0.0_f32; dim * stride];
        for (column, into) in columns.chunks_exact_mut(stride).enumerate() {
            for (direction, value) in into.iter_mut().take(dim).enumerate() {
                *value = vectors[(column, dim - 1 - direction)] as f32;
            }
        }
        let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
        let mut sum = 0.0;
        let energy = values.iter().rev().map(|value| {
            sum += value.max(0.0);
            if total > 0.0 { sum / total } else { 1.0 }
        });
        let energy = energy.collect();
        let defect = defect(&columns, stride);
        Self {
            dim,
            columns,
            stride,
            energy,
            defect,
        }
    }

    /// The share of ‖x‖² in the first `columns` coordinates, over the rows it was chosen by.
    pub(super) fn energy(&self, columns: usize) -> f64 {
        if columns == 0 {
            0.0
        } else {
            self.energy[columns - 1]
        }
    }

    /// Writes R x to the first d values of `into`, which has room for [`Transform::room`].
    pub(super) fn apply(&self, arch: Arch, x: &[f32], into: &mut [f32]) {
        assert!(x.len() == self.dim && into.len() == self.stride);
        vectorised(
            arch,
            #[inline(always)]
            || self.product(x, into),
        );
    }

    /// Values that [`Transform::apply`] writes: d, and zeros up to whole blocks.
    pub(super) fn room(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    fn product(&self, x: &[f32], into: &mut [f32]) {
        for (block, into) in into.chunks_exact_mut(BLOCK).enumerate() {
            let mut sums = [0.0_f32; BLOCK];
            for (value, column) in x.iter().zip(self.columns.chunks_exact(self.stride)) {
                let column = &column[block * BLOCK..(block + 1) * BLOCK];
                for lane in 0..BLOCK {
                    sums[lane] += value * column[lane];
                }
            }
            into.copy_from_slice(&sums);
        }
    }

    /// A bound on |q·x − v·y| / (‖q‖ ‖x‖), v and y being what [`Transform::apply`] makes of q
    /// and x.
    ///
    /// q·x differs from (Rq)·(Rx) by qᵀ(RᵀR − I)x. Each coordinate of v is a sum of d products in
    /// f32 and off by at most γ‖R_j‖‖q‖, γ = (d + 8)u (Higham 2002, §3.1), hence v by
    /// γ‖R‖_F‖q‖; y alike. The factor 1.1 covers products of errors and ‖R‖_F > √d by the defect.
    pub(super) fn error(&self) -> f64 {
        let dim = self.dim as f64;
        let rounding = (dim + 8.0) * ROUNDOFF * dim.sqrt();
        1.1 * (self.defect + 2.0 * rounding)
    }
}

/// Σ x xᵀ over at most [`SAMPLED_ROWS_MAX`] rows, evenly spaced.
fn gram(rows: &PagedRows, regular: impl Fn(u32) -> bool) -> Mat<f64> {
    let dim = rows.dim();
    let step = rows.rows().div_ceil(SAMPLED_ROWS_MAX).max(1);
    let sampled: Vec<u32> = (0..rows.rows() as u32)
        .step_by(step)
        .filter(|row| regular(*row))
        .collect();
    let sample = Mat::from_fn(sampled.len(), dim, |at, column| {
        f64::from(rows.row(sampled[at])[column])
    });
    sample.transpose() * &sample
}

fn defect(columns: &[f32], stride: usize) -> f64 {
    let rounded = Mat::from_fn(stride, columns.len() / stride, |direction, column| {
        f64::from(columns[column * stride + direction])
    });
    let mut product = rounded.transpose() * &rounded;
    for column in 0..product.ncols() {
        product[(column, column)] -= 1.0;
    }
    product.norm_l2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, dim: usize) -> PagedRows {
        PagedRows::from_rows(count, dim, |row, values| {
            for (column, value) in values.iter_mut().enumerate() {
                let noise = ((row * 31 + column * 17) % 101) as f32 / 101.0 - 0.5;
                *value = noise / (1.0 + column as f32) + (row % 3) as f32 * 0.2;
            }
        })
    }

    fn product(a: &[f32], b: &[f32]) -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    }

    #[test]
    fn inner_products_stay_within_the_stated_error() {
        for dim in [1, 2, 31, 32, 33, 70] {
            let rows = rows(200, dim);
            let transform = Transform::of(&rows, |_| true);
            assert!(transform.error() < 1e-3, "{}", transform.error());
            let turned = |row: u32| {
                let mut into = vec![f32::NAN; transform.room()];
                transform.apply(Arch::new(), rows.row(row), &mut into);
                assert!(into[dim..].iter().all(|value| *value == 0.0));
                into
            };
            for (a, b) in [(0, 1), (5, 5), (17, 199)] {
                let (before, after) = (
                    product(rows.row(a), rows.row(b)),
                    product(&turned(a), &turned(b)),
                );
                let norms =
                    (product(rows.row(a), rows.row(a)) * product(rows.row(b), rows.row(b))).sqrt();
                assert!((before - after).abs() <= transform.error() * norms);
            }
        }
    }

    #[test]
    fn the_first_coordinates_hold_most() {
        let rows = rows(300, 40);
        let transform = Transform::of(&rows, |_| true);
        let mut into = vec![0.0; transform.room()];
        let mut shares = [0.0_f64; 2];
        for row in 0..300 {
            transform.apply(Arch::new(), rows.row(row), &mut into);
            shares[0] += product(&into[..4], &into[..4]);
            shares[1] += product(&into[4..], &into[4..]);
        }
        let share = shares[0] / (shares[0] + shares[1]);
        assert!((share - transform.energy(4)).abs() < 1e-4, "{share}");
        assert!(share > 0.9, "{share}");
        assert_eq!(
            (transform.energy(0), transform.energy(40) > 0.999),
            (0.0, true)
        );
    }

    #[test]
    fn rows_of_zeros_still_give_an_orthogonal_transform() {
        let zeros = PagedRows::from_rows(10, 5, |_, _| {});
        for transform in [
            Transform::of(&zeros, |_| true),
            Transform::of(&zeros, |_| false),
        ] {
            assert!(transform.error() < 1e-5);
        }
    }
}
