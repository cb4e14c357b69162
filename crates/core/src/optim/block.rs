//! One block Newton step: the exact solution of a user's or an item's system.

use std::sync::Arc;

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, MatRef, Par, Side as Triangle};
use pulp::Arch;

use crate::model::factors::Factors;
use crate::model::gramian::Gramian;
use crate::model::ials::SideView;
use crate::model::interactions::Entry;
use crate::optim::kernel;
use crate::simd::{add_scaled_f64, dot_f64, vectorised};

/// Rows of the other side gathered at a time: 16 KiB at d = 128, half of a first-level cache.
const GATHERED_ROWS: usize = 32;

/// A cached factor is fresh until the block's history has grown or shrunk by one part in so many.
const FRESH_CHANGE_MAX: usize = 8;

/// A step `s` from a matrix Ĥ counts when `sᵀHs`, with the block's true matrix H, is within this
/// share of `sᵀĤs = gᵀs`. The objective then drops by at least `(1 − 0.25) gᵀs`.
const AGREES: f64 = 0.25;

/// The same share where the rounding of f32 bounds the difference, and nothing is measured.
const AGREES_BOUNDED: f64 = AGREES / 4.0;

/// Half a unit in the last place of f32.
const UNIT_ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;

/// Diagonal entries of which the rounding of f32 is relative: neither products of their roots nor what
/// a sum of very many of them loses below the smallest f32 is near this far from one.
const MAGNITUDES: std::ops::RangeInclusive<f32> = 1e-25..=1e25;

/// More than all products of one block that are too small for f32 come to, along a step of length 1.
const UNDERFLOW: f64 = 1e-25;

/// A pivot below this share of its diagonal entry is rounding in f32.
const PIVOT_SHARE: f32 = 8.0 * f32::EPSILON;

/// The same in f64, and the share of the largest eigenvalue below which a direction is left alone
/// where even that does not do.
const EIGENVALUE_SHARE: f64 = 64.0 * f64::EPSILON;

/// Steps of one block solved to rounding, at most.
const REFINEMENTS_MAX: usize = 16;

/// A refinement that leaves more of the decrement than this has reached what its precision gives.
const STALLS_AT: f64 = 0.25;

/// Steps with a cached factor that solve a block whose data changed a little, at most. The last one is
/// the one whose `sᵀHs` is within this share of what the cached factor says.
const STEPS_WITH_MAX: usize = 3;
const SOLVES: f64 = 0.02;

/// A decrement of at most this share of `Σ c`, which bounds what the block can ever be worth, is
/// rounding of the gradient in f64.
const ROUNDING_SHARE: f64 = 1e-26;

/// What one block step did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Step {
    /// `gᵀs` for half the gradient g and the step −s: the squared Newton decrement of the block, as
    /// the matrix says that the step was made with.
    pub decrement: f64,
    /// What the objective fell by, `2gᵀs − sᵀHs` with the block's true matrix: in f64, or `gᵀs` where
    /// that is proven to be within a sixteenth of it. Never negative.
    pub drop: f64,
    /// `Σ c (x·q − 1)²` before the step.
    pub data: f64,
    /// `λ‖x‖²` before the step.
    pub regularisation: f64,
}

impl Step {
    /// The sums of two steps on different blocks.
    pub fn plus(self, other: Self) -> Self {
        Self {
            decrement: self.decrement + other.decrement,
            drop: self.drop + other.drop,
            data: self.data + other.data,
            regularisation: self.regularisation + other.regularisation,
        }
    }
}

/// `α₀ FᵀF` in f32, padded, ready to be copied into every block's matrix of one side.
#[derive(Debug)]
pub struct SharedHessian {
    values: Vec<f32>,
    stride: usize,
}

impl SharedHessian {
    /// The part of the Hessian that all blocks of a side share. Cost: d².
    pub fn new(gramian: &Gramian, alpha0: f64, dim: usize) -> Self {
        let stride = kernel::padded(dim);
        let mut values = vec![0.0; stride * stride];
        for row in 0..dim {
            let from = gramian.column(row);
            for (value, entry) in values[row * stride..row * stride + dim]
                .iter_mut()
                .zip(from)
            {
                *value = (alpha0 * entry) as f32;
            }
        }
        Self { values, stride }
    }

    /// The padded matrix itself, row-major, `kernel::padded(dim)` values a row.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// The Cholesky factor of one block's matrix, cached for later steps; empty until it is filled. A clone
/// shares it until one of the two is filled again.
#[derive(Debug, Clone, Default)]
pub struct PackedFactor {
    values: Arc<[f32]>,
    /// Interactions of the block when the factor was made.
    entries: usize,
}

impl PackedFactor {
    /// Bytes of a factor of order `dim`.
    pub fn bytes(dim: usize) -> usize {
        kernel::packed_len(kernel::padded(dim)) * size_of::<f32>()
    }

    /// Whether there is a factor, of a history about as long as one of `entries` interactions.
    pub fn is_fresh(&self, entries: usize) -> bool {
        let change = self.entries.abs_diff(entries);
        !self.values.is_empty() && entries > 0 && change * FRESH_CHANGE_MAX <= self.entries
    }

    /// Moves `x` by the Newton step `−H⁻¹g` for half the gradient g, with the block's matrix H as
    /// it was when the factor was made. Cost: `d²` multiply-adds in f32.
    pub fn step(&self, gradient: &[f64], x: &mut [f64]) {
        let stride = kernel::padded(x.len());
        let mut step = vec![0.0f32; stride];
        for (value, gradient) in step.iter_mut().zip(gradient) {
            *value = *gradient as f32;
        }
        kernel::solve_packed(Arch::new(), &self.values, stride, &mut step);
        for (x, step) in x.iter_mut().zip(&step) {
            *x -= f64::from(*step);
        }
    }

    /// Whether there is no factor.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Gives the memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn fill(&mut self, factor: &[f32], stride: usize, entries: usize) {
        if self.values.is_empty() {
            self.values = vec![0.0; kernel::packed_len(stride)].into();
        }
        kernel::pack(factor, stride, Arc::make_mut(&mut self.values));
        self.entries = entries;
    }
}

/// Solves blocks, one after another, without allocating. One a thread.
///
/// Each system is `(Σ c q qᵀ + α₀ QᵀQ + λ I) p = Σ c q` (Hu, Koren & Volinsky 2008, eq. 4, in the
/// objective's terms). The matrix is formed and factorised in f32, the residual `H p − b` is
/// computed in f64 from the present p: a step is one round of iterative refinement, so repeated
/// steps converge to the f64 solution at f32 speed.
///
/// No step is taken on trust. What it does to the objective is `sᵀHs − 2gᵀs`. For a factor that was
/// just made, an analysis of its rounding mostly proves that the two agree, at the cost of d; where it
/// does not, and for every factor of another time, both are computed in f64 with the block's own data.
/// A step that an f32 factor got wrong is made again in f64, and one that would still raise the
/// objective is not made at all. So the objective falls with every block, whatever the weights and
/// however stale a cached factor is.
#[derive(Debug)]
pub struct BlockSolver {
    arch: Arch,
    dim: usize,
    stride: usize,
    hessian: Vec<f32>,
    diagonal: Vec<f32>,
    gathered: Vec<f32>,
    packed_step: Vec<f32>,
    step: Vec<f64>,
    gradient: Vec<f64>,
}

impl BlockSolver {
    /// A solver for blocks of `dim` values.
    pub fn new(dim: usize) -> Self {
        let stride = kernel::padded(dim);
        Self {
            arch: Arch::new(),
            dim,
            stride,
            hessian: vec![0.0; stride * stride],
            diagonal: vec![0.0; stride],
            gathered: vec![0.0; GATHERED_ROWS * stride],
            packed_step: vec![0.0; stride],
            step: vec![0.0; dim],
            gradient: vec![0.0; dim],
        }
    }

    /// Moves `x` to the minimiser of its block. A block without interactions becomes zero.
    /// Cost: `|S_u|·d²/2 + d³/6` multiply-adds in f32, and `2|S_u|·d + d²` in f64.
    pub fn solve(
        &mut self,
        view: &SideView<'_>,
        shared: &SharedHessian,
        block: u32,
        x: &mut [f64],
    ) -> Step {
        self.solve_and_cache(view, shared, block, x, None)
    }

    /// [`BlockSolver::solve`], which also leaves the Cholesky factor of the block's matrix in
    /// `keep`, packed; an empty one where there is none, or no f32 one.
    pub fn solve_and_cache(
        &mut self,
        view: &SideView<'_>,
        shared: &SharedHessian,
        block: u32,
        x: &mut [f64],
        keep: Option<&mut PackedFactor>,
    ) -> Step {
        let entries = view.entries(block);
        if entries.is_empty() {
            x.fill(0.0);
            if let Some(keep) = keep {
                keep.clear();
            }
            return Step::default();
        }
        let before = self.form(view, shared, block, x);
        let mut moved = None;
        if self.factorise() {
            self.begin_step();
            kernel::solve(self.arch, &self.hessian, self.stride, &mut self.packed_step);
            self.unpack_step();
            moved = (self.proven(entries.len())).or_else(|| self.verified(view, block));
        }
        if let Some(keep) = keep {
            match moved {
                Some(_) => keep.fill(&self.hessian, self.stride, entries.len()),
                None => keep.clear(),
            }
        }
        let moved = moved.unwrap_or_else(|| self.solve_in_f64(view, block));
        self.finish_step(before, moved, x)
    }

    /// Moves `x` by one Newton step with an earlier factor of the block's matrix: towards the same
    /// minimiser, and the closer to it the less that matrix has changed since. `None`, and `x` stays,
    /// where it changed too much for the step to count.
    /// Cost: `4|S_u|·d + 2d²` multiply-adds in f64 and `d²` in f32.
    pub fn step_with(
        &mut self,
        view: &SideView<'_>,
        factor: &PackedFactor,
        block: u32,
        x: &mut [f64],
    ) -> Option<Step> {
        debug_assert!(factor.is_fresh(view.entries(block).len()));
        let before = self.residuals(view, block, x);
        self.begin_step();
        kernel::solve_packed(
            self.arch,
            &factor.values,
            self.stride,
            &mut self.packed_step,
        );
        self.unpack_step();
        let moved = self.verified(view, block)?;
        Some(self.finish_step(before, moved, x))
    }

    /// Moves `x` to the minimiser of its block by steps with an earlier factor of its matrix, which a
    /// few changes of its data leave a good preconditioner; false, and `x` stays, where that would take
    /// long. Cost: that of [`BlockSolver::step_with`], mostly once.
    pub fn solve_with(
        &mut self,
        view: &SideView<'_>,
        factor: &PackedFactor,
        block: u32,
        x: &mut [f64],
    ) -> bool {
        let mut at = x.to_vec();
        for _ in 0..STEPS_WITH_MAX {
            let Some(step) = self.step_with(view, factor, block, &mut at) else {
                return false;
            };
            if (step.decrement - step.drop).abs() <= SOLVES * step.decrement {
                x.copy_from_slice(&at);
                return true;
            }
        }
        false
    }

    /// Moves `x` to the minimiser of its block as exactly as f64 can say: until the block's own
    /// Newton decrement is rounding. Where f32 stalls above that, in f64.
    /// Cost: that of [`BlockSolver::solve`] and `4|S_u|·d + 2d²` for each of some three refinements.
    pub fn solve_to_rounding(
        &mut self,
        view: &SideView<'_>,
        shared: &SharedHessian,
        block: u32,
        x: &mut [f64],
    ) {
        let mut factor = PackedFactor::default();
        let first = self.solve_and_cache(view, shared, block, x, Some(&mut factor));
        let weights = view.entries(block).iter();
        let worth: f64 = weights.map(|entry| f64::from(entry.weight)).sum();
        let mut last = first.decrement;
        for _ in 0..REFINEMENTS_MAX {
            if last <= ROUNDING_SHARE * worth {
                return;
            }
            let mixed = if factor.is_empty() {
                None
            } else {
                self.step_with(view, &factor, block, x)
            };
            let single = mixed.is_some();
            let step = mixed.unwrap_or_else(|| {
                let before = self.residuals(view, block, x);
                let moved = self.solve_in_f64(view, block);
                self.finish_step(before, moved, x)
            });
            let stalls = step.decrement > STALLS_AT * last;
            if stalls && !single {
                return;
            }
            if stalls {
                factor.clear();
            }
            last = step.decrement;
        }
    }

    /// Factorises the matrix in place; false where f32 cannot.
    fn factorise(&mut self) -> bool {
        let stride = self.stride;
        for (k, value) in self.diagonal.iter_mut().enumerate() {
            *value = self.hessian[k * stride + k];
        }
        if kernel::factorise(self.arch, &mut self.hessian, stride).is_err() {
            return false;
        }
        (self.diagonal.iter().enumerate()).all(|(k, entry)| {
            let root = self.hessian[k * stride + k];
            root * root > PIVOT_SHARE * entry
        })
    }

    /// The right-hand side of the step, in f32.
    fn begin_step(&mut self) {
        for (value, gradient) in self.packed_step.iter_mut().zip(&self.gradient) {
            *value = *gradient as f32;
        }
        self.packed_step[self.dim..].fill(0.0);
    }

    fn unpack_step(&mut self) {
        for (value, step) in self.step.iter_mut().zip(&self.packed_step) {
            *value = f64::from(*step);
        }
    }

    /// `gᵀs` and `sᵀHs` of the present step. Cost: `|S_u|·d + d²` multiply-adds in f64.
    fn along_step(&self, view: &SideView<'_>, block: u32) -> (f64, f64) {
        let step = &self.step;
        let curvature = vectorised(
            self.arch,
            #[inline(always)]
            || {
                let mut curvature = view.regularisation(block) * dot_f64(step, step);
                for (column, value) in step.iter().enumerate() {
                    let along = dot_f64(view.gramian.column(column), step);
                    curvature += view.hyper.alpha0 * value * along;
                }
                for entry in view.entries(block) {
                    let moved = dot_f64(view.opposite.row(entry.index as usize), step);
                    curvature += f64::from(entry.weight) * moved * moved;
                }
                curvature
            },
        );
        (dot_f64(&self.gradient, step), curvature)
    }

    /// Decrement and drop of the present step, where its matrix agrees with the true one along it.
    fn verified(&self, view: &SideView<'_>, block: u32) -> Option<(f64, f64)> {
        let (decrement, curvature) = self.along_step(view, block);
        let agrees = (curvature - decrement).abs() <= AGREES * decrement;
        agrees.then_some((decrement, 2.0 * decrement - curvature))
    }

    /// Decrement and drop of a step with the factor of the matrix that was formed here, of `entries`
    /// interactions, where rounding in f32 cannot have kept the two from agreeing. Cost: d.
    ///
    /// The computed step solves `(H + E)s = g + e` exactly. With u the unit roundoff and
    /// `γ(n) = nu/(1 − nu)`, |E_ij| is at most `γ √(H_ii H_jj)`, where γ counts what forming the matrix
    /// rounds (a sum of [`GATHERED_ROWS`] products, one of as many sums as there are chunks, by the
    /// Cauchy–Schwarz inequality relative to the diagonal) and `3d + 1` for factorising and solving
    /// (Higham 2002, "Accuracy and Stability of Numerical Algorithms", theorems 10.3 and 10.4); |e_i| is
    /// at most `u|g_i|`. So `|sᵀHs − gᵀs| ≤ γ (Σ |s_i| √H_ii)² + u Σ |s_i g_i|`.
    fn proven(&self, entries: usize) -> Option<(f64, f64)> {
        let diagonal = &self.diagonal[..self.dim];
        if !diagonal.iter().all(|entry| MAGNITUDES.contains(entry)) {
            return None;
        }
        let (mut decrement, mut absolute) = (0.0, 0.0);
        let (mut scaled, mut length) = (0.0, 0.0);
        for ((step, gradient), entry) in self.step.iter().zip(&self.gradient).zip(diagonal) {
            decrement += step * gradient;
            absolute += (step * gradient).abs();
            scaled += step.abs() * f64::from(*entry).sqrt();
            length += step.abs();
        }
        // Beside the sums: seven roundings of a product of gathered values, and those of the diagonal.
        let roundings = 3 * self.stride + GATHERED_ROWS + entries.div_ceil(GATHERED_ROWS) + 16;
        let relative = roundings as f64 * UNIT_ROUNDOFF;
        // The diagonal is the rounded one.
        let gamma = relative / (1.0 - 3.0 * relative);
        let rounding = gamma * scaled * scaled + UNIT_ROUNDOFF * absolute + UNDERFLOW * length;
        let agrees = relative < 0.1 && rounding <= AGREES_BOUNDED * decrement;
        agrees.then_some((decrement, decrement))
    }

    fn finish_step(&self, before: Step, (decrement, drop): (f64, f64), x: &mut [f64]) -> Step {
        for (x, step) in x.iter_mut().zip(&self.step) {
            *x -= step;
        }
        Step {
            decrement,
            drop,
            ..before
        }
    }

    /// Half the gradient at `x` in f64, and what the block's terms are there.
    fn residuals(&mut self, view: &SideView<'_>, block: u32, x: &[f64]) -> Step {
        let lambda = view.regularisation(block);
        let gradient = &mut self.gradient;
        gradient.fill(0.0);
        let data = vectorised(
            self.arch,
            #[inline(always)]
            || {
                add_scaled_f64(gradient, lambda, x);
                view.gramian.add_product(gradient, x, view.hyper.alpha0);
                accumulate_residuals(view.entries(block), view.opposite, x, gradient)
            },
        );
        before_step(data, lambda, x)
    }

    /// Forms the block's Hessian in f32 and half its gradient at `x` in f64, reading each row of
    /// the other side once, a few rows at a time.
    fn form(&mut self, view: &SideView<'_>, shared: &SharedHessian, block: u32, x: &[f64]) -> Step {
        debug_assert_eq!(shared.stride, self.stride);
        let stride = self.stride;
        let lambda = view.regularisation(block);
        self.hessian.copy_from_slice(&shared.values);
        for k in 0..stride {
            self.hessian[k * stride + k] += if k < self.dim { lambda as f32 } else { 1.0 };
        }
        let gradient = &mut self.gradient;
        gradient.fill(0.0);
        vectorised(
            self.arch,
            #[inline(always)]
            || {
                add_scaled_f64(gradient, lambda, x);
                view.gramian.add_product(gradient, x, view.hyper.alpha0);
            },
        );
        let mut data = 0.0;
        for entries in view.entries(block).chunks(GATHERED_ROWS) {
            let gathered = &mut self.gathered[..entries.len() * stride];
            data += vectorised(
                self.arch,
                #[inline(always)]
                || {
                    gather(entries, view.opposite, gathered, stride);
                    accumulate_residuals(entries, view.opposite, x, gradient)
                },
            );
            let count = entries.len();
            kernel::add_outer_products(self.arch, &mut self.hessian, gathered, count, stride);
        }
        before_step(data, lambda, x)
    }

    /// The same step where f32 is not enough: λ many orders below the curvature, weights many orders
    /// apart. Rare, so it may allocate. Returns decrement and drop; the step is zero where even f64
    /// finds none that helps. Cost: `|S_u|·d² + d³` multiply-adds in f64.
    fn solve_in_f64(&mut self, view: &SideView<'_>, block: u32) -> (f64, f64) {
        let hessian = self.form_in_f64(view, block);
        let right = Mat::from_fn(self.dim, 1, |k, _| self.gradient[k]);
        if let Ok(factor) = hessian.llt(Triangle::Lower) {
            self.set_step(&factor.solve(&right));
            if let Some(moved) = self.verified(view, block) {
                return moved;
            }
        }
        // Along eigenvectors of eigenvalues that are rounding, nothing can be said.
        if let Ok(eigen) = hessian.self_adjoint_eigen(Triangle::Lower) {
            let largest = eigen.S()[self.dim - 1];
            let along = eigen.U().transpose() * &right;
            let solved = Mat::from_fn(self.dim, 1, |k, _| {
                let value = eigen.S()[k];
                if value > EIGENVALUE_SHARE * largest {
                    along[(k, 0)] / value
                } else {
                    0.0
                }
            });
            self.set_step(&(eigen.U() * solved));
            let (decrement, curvature) = self.along_step(view, block);
            let drop = 2.0 * decrement - curvature;
            if drop >= 0.0 && drop.is_finite() {
                return (decrement, drop);
            }
        }
        self.step.fill(0.0);
        (0.0, 0.0)
    }

    fn set_step(&mut self, solution: &Mat<f64>) {
        for (k, value) in self.step.iter_mut().enumerate() {
            *value = solution[(k, 0)];
        }
    }

    fn form_in_f64(&self, view: &SideView<'_>, block: u32) -> Mat<f64> {
        let lambda = view.regularisation(block);
        let gram = view.gramian.matrix();
        let mut hessian = Mat::from_fn(self.dim, self.dim, |i, j| {
            view.hyper.alpha0 * gram[(i, j)] + if i == j { lambda } else { 0.0 }
        });
        let mut rows = Vec::with_capacity(GATHERED_ROWS * self.dim);
        for entries in view.entries(block).chunks(GATHERED_ROWS) {
            rows.clear();
            for entry in entries {
                let root = f64::from(entry.weight).sqrt();
                let row = view.opposite.row(entry.index as usize);
                rows.extend(row.iter().map(|value| root * value));
            }
            let rows = MatRef::from_row_major_slice(&rows, entries.len(), self.dim);
            let (left, right) = (rows.transpose(), rows);
            matmul(hessian.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
        }
        hessian
    }
}

/// What a block's terms are at `x`, before any step.
fn before_step(data: f64, lambda: f64, x: &[f64]) -> Step {
    Step {
        decrement: 0.0,
        drop: 0.0,
        data,
        regularisation: lambda * dot_f64(x, x),
    }
}

/// Writes `√c q` in f32 to the rows of `gathered`; what pads them stays zero.
#[inline(always)]
fn gather(entries: &[Entry], opposite: &Factors, gathered: &mut [f32], stride: usize) {
    for (row, entry) in gathered.chunks_exact_mut(stride).zip(entries) {
        let root = entry.weight.sqrt();
        for (value, q) in row.iter_mut().zip(opposite.row(entry.index as usize)) {
            *value = root * *q as f32;
        }
    }
}

/// Adds `Σ c (x·q − t) q` to `gradient`; returns `Σ c (x·q − t)²`.
#[inline(always)]
fn accumulate_residuals(
    entries: &[Entry],
    opposite: &Factors,
    x: &[f64],
    gradient: &mut [f64],
) -> f64 {
    let mut data = 0.0;
    for entry in entries {
        let row = opposite.row(entry.index as usize);
        let weight = f64::from(entry.weight);
        let error = dot_f64(row, x) - f64::from(entry.target);
        data += weight * error * error;
        add_scaled_f64(gradient, weight * error, row);
    }
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ials::Ials;
    use crate::model::interactions::InteractionMatrix;
    use crate::model::side::Side;
    use recant_types::IalsHyperparameters;

    /// The system written down and solved densely in f64.
    fn dense_solution(view: &SideView<'_>, block: u32, dim: usize) -> Vec<f64> {
        let mut hessian: Mat<f64> = Mat::zeros(dim, dim);
        let mut right: Mat<f64> = Mat::zeros(dim, 1);
        for row in 0..view.opposite.rows() {
            let q = view.opposite.row(row);
            let mut entries = view.entries(block).iter();
            let entry = entries.find(|entry| entry.index == row as u32);
            let weight = entry.map_or(0.0, |entry| f64::from(entry.weight));
            let target = entry.map_or(0.0, |entry| f64::from(entry.target));
            for i in 0..dim {
                right[(i, 0)] += weight * target * q[i];
                for j in 0..dim {
                    hessian[(i, j)] += (weight + view.hyper.alpha0) * q[i] * q[j];
                }
            }
        }
        (0..dim).for_each(|k| hessian[(k, k)] += view.regularisation(block));
        let solution = hessian.partial_piv_lu().solve(&right);
        (0..dim).map(|k| solution[(k, 0)]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_step_from_anywhere_ends_at_the_dense_solution(
            dim in prop::sample::select(vec![1usize, 3, 16, 33]),
            nu in prop::sample::select(vec![0.0, 1.0]),
            pairs in prop::collection::vec((0u32..4, 0u32..150, 0.1f32..5.0, 0u8..3), 1..200),
            seed in any::<u64>(),
        ) {
            let hyper = IalsHyperparameters { dim, alpha0: 0.3, lambda: 0.05, nu };
            let mut matrix = InteractionMatrix::new();
            for (user, index, weight, target) in pairs {
                let target = f32::from(target) / 2.0;
                matrix.insert(user, Entry { index, weight, target });
            }
            let mut items = Factors::random(matrix.item_rows(), dim, seed, Side::Items);
            items.as_mut_slice().iter_mut().for_each(|value| *value *= 10.0);
            let users = Factors::random(matrix.user_rows(), dim, seed, Side::Users);
            let mut model = Ials::from_factors(hyper, users, items);
            model.clear_inactive(&matrix);
            let view = model.side(Side::Users, &matrix);
            let shared = SharedHessian::new(view.gramian, hyper.alpha0, dim);
            let mut solver = BlockSolver::new(dim);
            for user in 0..matrix.user_rows() as u32 {
                let mut x = model.users.row(user as usize).to_vec();
                let step = solver.solve(&view, &shared, user, &mut x);
                if matrix.user(user).is_empty() {
                    prop_assert!(x.iter().all(|value| *value == 0.0));
                    continue;
                }
                prop_assert!(step.decrement >= 0.0);
                solver.solve(&view, &shared, user, &mut x);
                let dense = dense_solution(&view, user, dim);
                let largest = |values: &[f64]| values.iter().map(|v| v.abs()).fold(0.0, f64::max);
                // Where nothing is wanted the solution is zero: what is left is the start, which each of
                // the two steps brings down by the rounding of f32 times the condition of the block.
                let start = largest(model.users.row(user as usize));
                let allowed = 1e-7 * largest(&dense) + 1e-9 * start;
                for (mixed, exact) in x.iter().zip(&dense) {
                    prop_assert!((mixed - exact).abs() <= allowed, "{mixed} {exact}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever the weights: where rounding is proven not to matter, it does not.
        #[test]
        fn a_step_that_is_proven_to_agree_is_measured_to_agree(
            dim in prop::sample::select(vec![1usize, 5, 16, 40]),
            exponent in -12.0f32..12.0,
            spread in 0.0f32..14.0,
            lambda in prop::sample::select(vec![1e-9, 1e-4, 0.05]),
            pairs in prop::collection::vec((0u32..60, 0.0f32..1.0, 0u8..3), 1..120),
            seed in any::<u64>(),
        ) {
            let hyper = IalsHyperparameters { dim, alpha0: 0.1, lambda, nu: 1.0 };
            let mut matrix = InteractionMatrix::new();
            for (index, place, target) in pairs {
                let weight = 10.0f32.powf(exponent + spread * (place - 0.5));
                matrix.insert(0, Entry { index, weight, target: f32::from(target) / 2.0 });
            }
            let items = Factors::random(matrix.item_rows(), dim, seed, Side::Items);
            let users = Factors::random(1, dim, seed, Side::Users);
            let model = Ials::from_factors(hyper, users, items);
            let view = model.side(Side::Users, &matrix);
            let shared = SharedHessian::new(view.gramian, hyper.alpha0, dim);
            let mut solver = BlockSolver::new(dim);
            solver.form(&view, &shared, 0, model.users.row(0));
            prop_assume!(solver.factorise());
            solver.begin_step();
            kernel::solve(solver.arch, &solver.hessian, solver.stride, &mut solver.packed_step);
            solver.unpack_step();
            if let Some((decrement, _)) = solver.proven(matrix.user(0).len()) {
                let (same, curvature) = solver.along_step(&view, 0);
                prop_assert!((decrement - same).abs() <= 1e-12 * same);
                let apart = (curvature - decrement).abs();
                prop_assert!(apart <= AGREES_BOUNDED * decrement, "{apart:e} of {decrement:e}");
            }
        }
    }

    #[test]
    fn nothing_is_measured_where_rounding_cannot_matter() {
        let hyper = IalsHyperparameters {
            dim: 32,
            alpha0: 0.3,
            lambda: 0.01,
            nu: 1.0,
        };
        let mut matrix = InteractionMatrix::new();
        for index in 0..500 {
            matrix.insert(0, Entry::wanted(index, 1.0));
        }
        let random = |rows, side| Factors::random(rows, 32, 3, side);
        let model = Ials::from_factors(hyper, random(1, Side::Users), random(500, Side::Items));
        let view = model.side(Side::Users, &matrix);
        let shared = SharedHessian::new(view.gramian, hyper.alpha0, 32);
        let mut solver = BlockSolver::new(32);
        let mut x = model.users.row(0).to_vec();
        solver.solve(&view, &shared, 0, &mut x);
        assert!(solver.proven(500).is_some());
    }

    #[test]
    fn the_decrement_is_the_drop_of_the_objective() {
        let hyper = IalsHyperparameters {
            dim: 4,
            alpha0: 0.2,
            lambda: 0.1,
            nu: 1.0,
        };
        let mut matrix = InteractionMatrix::new();
        for (user, item) in [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0)] {
            matrix.insert(user, Entry::wanted(item, 1.5));
        }
        let random = |rows, side| Factors::random(rows, 4, 9, side);
        let mut model = Ials::from_factors(hyper, random(3, Side::Users), random(3, Side::Items));
        let before = model.measure(&matrix).objective;
        let view = model.side(Side::Users, &matrix);
        let shared = SharedHessian::new(view.gramian, hyper.alpha0, 4);
        let mut x = model.users.row(0).to_vec();
        let step = BlockSolver::new(4).solve(&view, &shared, 0, &mut x);
        model.users.row_mut(0).copy_from_slice(&x);
        model.rebuild_gramians();
        let after = model.measure(&matrix).objective;
        assert!(
            (before - after - step.decrement).abs() < 1e-6 * step.decrement,
            "{before} {after}"
        );
    }
}
