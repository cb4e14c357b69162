//! The dense kernels of one block: a rank-k update and a Cholesky factorisation in f32.
//!
//! Matrices are symmetric of order `stride`, a multiple of [`LANES`], of which only the upper
//! triangle is used: row-major, so that every inner loop runs along a row. One tile of `PANEL`
//! rows and [`LANES`] columns stays in registers while the rank-k sum runs; the same tile serves
//! the update `H += AᵀA` and the factorisation `H = UᵀU`. [`pulp`] picks the widest vectors the
//! machine has at run time; the arithmetic is the same for all.

use pulp::Arch;

use crate::simd::vectorised;

/// Columns of a tile: one vector of AVX-512, two of AVX2.
pub(super) const LANES: usize = 16;

/// Rows of a tile. With AVX2 the sums of a tile fill eight of the sixteen registers, which hides
/// the latency of the fused multiply-add; with twice the rows they would spill, at half the speed.
const PANEL: usize = 4;

/// The order that a matrix of `dim` is padded to.
pub(super) fn padded(dim: usize) -> usize {
    dim.div_ceil(LANES) * LANES
}

/// The pivot that failed: the matrix is not positive definite to f32 precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotPositiveDefinite;

type Tile = [[f32; LANES]; PANEL];

/// Adds `sign · Σ_k rows[k]_i rows[k]_j` to the tile at rows `i..` and columns `j..`, over `count`
/// rows of `stride` values.
#[inline(always)]
fn accumulate(
    rows: &[f32],
    count: usize,
    stride: usize,
    i: usize,
    j: usize,
    sign: f32,
    tile: &mut Tile,
) {
    let mut sum: Tile = [[0.0; LANES]; PANEL];
    for row in rows[..count * stride].chunks_exact(stride) {
        let left: &[f32; PANEL] = row[i..i + PANEL].try_into().expect("a full panel");
        let right: &[f32; LANES] = row[j..j + LANES].try_into().expect("a full vector");
        for (sums, l) in sum.iter_mut().zip(left) {
            for (s, r) in sums.iter_mut().zip(right) {
                *s = l.mul_add(*r, *s);
            }
        }
    }
    for (sums, values) in sum.iter().zip(tile) {
        for (s, v) in sums.iter().zip(values) {
            *v = sign.mul_add(*s, *v);
        }
    }
}

#[inline(always)]
fn load(matrix: &[f32], stride: usize, i: usize, j: usize) -> Tile {
    let mut tile = [[0.0; LANES]; PANEL];
    for (row, values) in tile.iter_mut().enumerate() {
        let start = (i + row) * stride + j;
        values.copy_from_slice(&matrix[start..start + LANES]);
    }
    tile
}

#[inline(always)]
fn store(matrix: &mut [f32], stride: usize, i: usize, j: usize, tile: &Tile) {
    for (row, values) in tile.iter().enumerate() {
        let start = (i + row) * stride + j;
        matrix[start..start + LANES].copy_from_slice(values);
    }
}

/// First column tile that touches the upper triangle of the panel at row `i`.
#[inline(always)]
fn first_tile(i: usize) -> usize {
    i / LANES * LANES
}

/// `H += AᵀA` on the upper triangle; `rows` holds `count` rows of A, each of `stride` values.
/// Cost: about `count·stride²/2` multiply-adds. Entries just below the diagonal, within its tiles,
/// are written too.
pub(super) fn add_outer_products(
    arch: Arch,
    hessian: &mut [f32],
    rows: &[f32],
    count: usize,
    stride: usize,
) {
    debug_assert_eq!(stride % LANES, 0);
    debug_assert_eq!(hessian.len(), stride * stride);
    vectorised(
        arch,
        #[inline(always)]
        || {
            for i in (0..stride).step_by(PANEL) {
                for j in (first_tile(i)..stride).step_by(LANES) {
                    let mut tile = load(hessian, stride, i, j);
                    accumulate(rows, count, stride, i, j, 1.0, &mut tile);
                    store(hessian, stride, i, j, &tile);
                }
            }
        },
    );
}

/// Replaces the upper triangle of H by U with `H = UᵀU`, zero below the diagonal within its tiles.
/// Cost: `stride³/6` multiply-adds.
///
/// Panels of rows: what the rows above contribute is subtracted tile by tile, then the panel is
/// factorised row by row (Golub & Van Loan, "Matrix Computations", 4th ed., §4.2.9, transposed).
pub(super) fn factorise(
    arch: Arch,
    hessian: &mut [f32],
    stride: usize,
) -> Result<(), NotPositiveDefinite> {
    debug_assert_eq!(hessian.len(), stride * stride);
    vectorised(
        arch,
        #[inline(always)]
        || {
            for i in (0..stride).step_by(PANEL) {
                let (above, panel) = hessian.split_at_mut(i * stride);
                for j in (first_tile(i)..stride).step_by(LANES) {
                    let mut tile = load(panel, stride, 0, j);
                    accumulate(above, i, stride, i, j, -1.0, &mut tile);
                    store(panel, stride, 0, j, &tile);
                }
                let panel = &mut panel[..PANEL * stride];
                factorise_panel(panel, stride, i)?;
                for row in 0..PANEL {
                    panel[row * stride + first_tile(i)..row * stride + i + row].fill(0.0);
                }
            }
            Ok(())
        },
    )
}

#[inline(always)]
fn factorise_panel(
    panel: &mut [f32],
    stride: usize,
    first: usize,
) -> Result<(), NotPositiveDefinite> {
    for row in 0..PANEL {
        let pivot = panel[row * stride + first + row];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Err(NotPositiveDefinite);
        }
        let inverse = pivot.sqrt().recip();
        let (done, below) = panel.split_at_mut((row + 1) * stride);
        let own = &mut done[row * stride + first_tile(first)..];
        own.iter_mut().for_each(|value| *value *= inverse);
        let diagonal = first - first_tile(first);
        for next in row + 1..PANEL {
            let factor = own[diagonal + next];
            let start = (next - row - 1) * stride + first_tile(first);
            let other = &mut below[start..start + own.len()];
            for (value, u) in other.iter_mut().zip(own.iter()) {
                *value = (-factor).mul_add(*u, *value);
            }
        }
    }
    Ok(())
}

/// Solves `UᵀU x = b` in place, for U as [`factorise`] leaves it. Cost: `stride²` multiply-adds.
pub(super) fn solve(arch: Arch, factor: &[f32], stride: usize, vector: &mut [f32]) {
    debug_assert_eq!(vector.len(), stride);
    vectorised(
        arch,
        #[inline(always)]
        || {
            // Whole tiles throughout: what is left of the diagonal is zero, and the place of the
            // diagonal itself is set aside.
            for k in 0..stride {
                let row = &factor[k * stride..(k + 1) * stride];
                let value = vector[k] / row[k];
                let from = first_tile(k);
                subtract_scaled(&mut vector[from..], value, &row[from..]);
                vector[k] = value;
            }
            for k in (0..stride).rev() {
                let row = &factor[k * stride..(k + 1) * stride];
                let value = std::mem::take(&mut vector[k]);
                let from = first_tile(k);
                vector[k] = (value - dot(&row[from..], &vector[from..])) / row[k];
            }
        },
    );
}

/// Values of a factor packed by [`pack`].
pub(super) fn packed_len(stride: usize) -> usize {
    let tiles = stride / LANES;
    LANES * LANES * tiles * (tiles + 1) / 2
}

/// Where a row of a packed factor begins: rows follow one another, each from its first tile on.
#[inline(always)]
fn packed_start(row: usize, stride: usize) -> usize {
    let (tile, tiles) = (row / LANES, stride / LANES);
    let before = tile * tiles - tile * tile.saturating_sub(1) / 2;
    LANES * (LANES * before + row % LANES * (tiles - tile))
}

/// Copies the upper triangle of U, as [`factorise`] leaves it, into `packed`, which holds
/// [`packed_len`] values: whole tiles, a little more than half of the square.
pub(super) fn pack(factor: &[f32], stride: usize, packed: &mut [f32]) {
    debug_assert_eq!(packed.len(), packed_len(stride));
    for row in 0..stride {
        let values = &factor[row * stride + first_tile(row)..(row + 1) * stride];
        let start = packed_start(row, stride);
        packed[start..start + values.len()].copy_from_slice(values);
    }
}

/// [`solve`] for a packed factor: half the memory to read.
pub(super) fn solve_packed(arch: Arch, packed: &[f32], stride: usize, vector: &mut [f32]) {
    debug_assert_eq!(vector.len(), stride);
    debug_assert_eq!(packed.len(), packed_len(stride));
    vectorised(
        arch,
        #[inline(always)]
        || {
            for k in 0..stride {
                let from = first_tile(k);
                let start = packed_start(k, stride);
                let row = &packed[start..start + stride - from];
                let value = vector[k] / row[k - from];
                subtract_scaled(&mut vector[from..], value, row);
                vector[k] = value;
            }
            for k in (0..stride).rev() {
                let from = first_tile(k);
                let start = packed_start(k, stride);
                let row = &packed[start..start + stride - from];
                let value = std::mem::take(&mut vector[k]);
                vector[k] = (value - dot(row, &vector[from..])) / row[k - from];
            }
        },
    );
}

/// `into −= scale · what`, in whole vectors.
#[inline(always)]
fn subtract_scaled(into: &mut [f32], scale: f32, what: &[f32]) {
    for (sums, values) in into.chunks_exact_mut(LANES).zip(what.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] = (-scale).mul_add(values[lane], sums[lane]);
        }
    }
}

/// `a · b`, in whole vectors.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (x, y) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] = x[lane].mul_add(y[lane], sums[lane]);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Update, factorisation and solution together reproduce the right-hand side.
        #[test]
        fn the_solution_satisfies_the_system(
            dim in 1usize..70,
            count in 0usize..90,
            seed in any::<u64>(),
        ) {
            let stride = padded(dim);
            let mut state = seed;
            let mut next = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 40) as f32) / (1u32 << 23) as f32 - 1.0
            };
            let mut rows = vec![0.0f32; count * stride];
            for row in rows.chunks_exact_mut(stride) {
                row[..dim].iter_mut().for_each(|value| *value = next());
            }
            let right: Vec<f32> = (0..stride).map(|k| if k < dim { next() } else { 0.0 }).collect();
            let mut hessian = vec![0.0f32; stride * stride];
            (0..stride).for_each(|k| hessian[k * stride + k] = 2.0);
            let arch = Arch::new();
            add_outer_products(arch, &mut hessian, &rows, count, stride);
            factorise(arch, &mut hessian, stride).expect("positive definite");
            let mut x = right.clone();
            solve(arch, &hessian, stride, &mut x);
            let mut packed = vec![0.0f32; packed_len(stride)];
            pack(&hessian, stride, &mut packed);
            let mut from_packed = right.clone();
            solve_packed(arch, &packed, stride, &mut from_packed);
            prop_assert_eq!(&x, &from_packed);
            for i in 0..stride {
                let product: f64 = rows
                    .chunks_exact(stride)
                    .map(|row| {
                        let along: f64 =
                            row.iter().zip(&x).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                        f64::from(row[i]) * along
                    })
                    .sum::<f64>() + 2.0 * f64::from(x[i]);
                prop_assert!((product - f64::from(right[i])).abs() < 1e-3, "{} {}", product, right[i]);
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_is_refused() {
        let mut hessian = vec![0.0f32; LANES * LANES];
        (0..LANES).for_each(|k| hessian[k * LANES + k] = if k == 9 { -1.0 } else { 1.0 });
        assert_eq!(
            factorise(Arch::new(), &mut hessian, LANES),
            Err(NotPositiveDefinite)
        );
    }
}
