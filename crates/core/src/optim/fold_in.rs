//! The factors of a user who is not in the model, from a history and the items as they are served.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, Par, Side as Triangle};
use pulp::Arch;

use crate::model::gramian::Gramian;
use crate::model::interactions::Entry;
use crate::optim::block::SharedHessian;
use crate::optim::kernel;
use crate::topk::PagedRows;
use recant_types::IalsHyperparameters;

/// Rows gathered at a time: 32 KiB at d = 128, what a first-level cache holds.
const GATHERED_ROWS: usize = 64;

/// Rounds of iterative refinement. The first solves to the precision of f32 times the condition of
/// the system, the second to that of the f32 result.
const REFINEMENTS: usize = 2;

/// Solves the block of a user with this history: the p that minimises the
/// objective with the items fixed, d values (Hu, Koren & Volinsky 2008, eq. 4). `gramian` is that
/// of all items, `active_items` the number of items with an interaction in the model.
///
/// An item may be named once; rows that `items` does not have are ignored. Without any item left
/// the solution is zero. Cost: `|history|·d²/2 + d³/6` multiply-adds in f32.
pub fn fold_in(
    hyper: &IalsHyperparameters,
    history: &[Entry],
    items: &PagedRows,
    gramian: &Gramian,
    active_items: usize,
) -> Vec<f32> {
    let mut solution = vec![0.0_f64; hyper.dim];
    let system = System::of(hyper, history, items, gramian, active_items);
    if !system.rows.is_empty() {
        system.solve(&mut solution);
    }
    solution.into_iter().map(|value| value as f32).collect()
}

/// `(Σ c q qᵀ + α₀ QᵀQ + λ I) p = Σ c t q` for one history.
pub(super) struct System<'a> {
    hyper: &'a IalsHyperparameters,
    /// The history's item rows, each with what the history says of it.
    pub(super) rows: Vec<(&'a [f32], &'a Entry)>,
    gramian: &'a Gramian,
    lambda: f64,
}

impl<'a> System<'a> {
    /// Of the entries of `history` whose rows `items` has.
    pub(super) fn of(
        hyper: &'a IalsHyperparameters,
        history: &'a [Entry],
        items: &'a PagedRows,
        gramian: &'a Gramian,
        active_items: usize,
    ) -> Self {
        let known = history.iter().filter(|e| (e.index as usize) < items.rows());
        Self {
            hyper,
            rows: known.map(|e| (items.row(e.index), e)).collect(),
            gramian,
            lambda: hyper.regularisation(history.len(), active_items),
        }
    }

    /// Mixed precision, as in [`BlockSolver`](crate::optim::block::BlockSolver): factorised in f32,
    /// residuals in f64.
    fn solve(&self, solution: &mut [f64]) {
        let arch = Arch::new();
        let stride = kernel::padded(self.hyper.dim);
        let mut factor = self.hessian(arch, stride);
        if kernel::factorise(arch, &mut factor, stride).is_err() {
            return self.solve_in_f64(solution);
        }
        let mut step = vec![0.0_f32; stride];
        for _ in 0..REFINEMENTS {
            let gradient = self.half_gradient(solution);
            step.fill(0.0);
            for (step, gradient) in step.iter_mut().zip(gradient) {
                *step = gradient as f32;
            }
            kernel::solve(arch, &factor, stride, &mut step);
            for (value, step) in solution.iter_mut().zip(&step) {
                *value -= f64::from(*step);
            }
        }
    }

    fn hessian(&self, arch: Arch, stride: usize) -> Vec<f32> {
        let dim = self.hyper.dim;
        let mut hessian = SharedHessian::new(self.gramian, self.hyper.alpha0, dim).into_values();
        for (k, entry) in hessian.iter_mut().step_by(stride + 1).enumerate() {
            *entry += if k < dim { self.lambda as f32 } else { 1.0 };
        }
        let mut gathered = vec![0.0_f32; GATHERED_ROWS * stride];
        for rows in self.rows.chunks(GATHERED_ROWS) {
            for (into, (row, entry)) in gathered.chunks_exact_mut(stride).zip(rows) {
                let root = entry.weight.sqrt();
                for (value, q) in into.iter_mut().zip(*row) {
                    *value = root * q;
                }
            }
            let count = rows.len();
            kernel::add_outer_products(
                arch,
                &mut hessian,
                &gathered[..count * stride],
                count,
                stride,
            );
        }
        hessian
    }

    /// `Σ c (p·q − t) q + α₀ QᵀQ p + λ p`.
    fn half_gradient(&self, solution: &[f64]) -> Vec<f64> {
        let mut gradient: Vec<f64> = solution.iter().map(|value| self.lambda * value).collect();
        self.gramian
            .add_product(&mut gradient, solution, self.hyper.alpha0);
        for (row, entry) in &self.rows {
            let score: f64 = row
                .iter()
                .zip(solution)
                .map(|(q, p)| f64::from(*q) * p)
                .sum();
            let weighted = f64::from(entry.weight) * (score - f64::from(entry.target));
            for (sum, q) in gradient.iter_mut().zip(*row) {
                *sum += weighted * f64::from(*q);
            }
        }
        gradient
    }

    /// The same where f32 is not enough: a λ many orders below the curvature.
    fn solve_in_f64(&self, solution: &mut [f64]) {
        let mut right = Mat::<f64>::zeros(self.hyper.dim, 1);
        for (row, entry) in &self.rows {
            let scaled = f64::from(entry.weight) * f64::from(entry.target);
            for (k, q) in row.iter().enumerate() {
                right[(k, 0)] += scaled * f64::from(*q);
            }
        }
        let solved = self.solved_in_f64(right);
        for (k, value) in solution.iter_mut().enumerate() {
            *value = solved[(k, 0)];
        }
    }

    /// `H⁻¹ right` for d × n values, H the matrix of this system. Cost: `|history|·d² + d³/3 + n·d²`
    /// multiply-adds in f64.
    pub(super) fn solved_in_f64(&self, right: Mat<f64>) -> Mat<f64> {
        let hessian = self.hessian_in_f64();
        match hessian.llt(Triangle::Lower) {
            Ok(factor) => factor.solve(&right),
            Err(_) => hessian.full_piv_lu().solve(&right),
        }
    }

    fn hessian_in_f64(&self) -> Mat<f64> {
        let gram = self.gramian.matrix();
        let mut hessian = Mat::from_fn(self.hyper.dim, self.hyper.dim, |i, j| {
            self.hyper.alpha0 * gram[(i, j)] + if i == j { self.lambda } else { 0.0 }
        });
        let scaled = Mat::from_fn(self.rows.len(), self.hyper.dim, |at, k| {
            let (row, entry) = self.rows[at];
            f64::from(entry.weight).sqrt() * f64::from(row[k])
        });
        let (left, right) = (scaled.transpose(), &scaled);
        matmul(hessian.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
        hessian
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::factors::Factors;
    use crate::model::ials::Ials;
    use crate::model::interactions::InteractionMatrix;
    use crate::model::side::Side;
    use crate::optim::block::{BlockSolver, SharedHessian};

    const HISTORY: [Entry; 4] = [
        pair(1, 1.0, 1.0),
        pair(4, 2.5, 0.0),
        pair(5, 1.0, 1.0),
        pair(29, 0.5, 0.25),
    ];

    const fn pair(index: u32, weight: f32, target: f32) -> Entry {
        Entry {
            index,
            weight,
            target,
        }
    }

    fn items(dim: usize, scale: f64) -> (Factors, PagedRows, Gramian) {
        let mut factors = Factors::random(30, dim, 8, Side::Items);
        // Values that f32 holds, so that both forms of the items are the same numbers.
        factors
            .as_mut_slice()
            .iter_mut()
            .for_each(|value| *value = f64::from((*value * scale) as f32));
        let rows = PagedRows::from_rows(30, dim, |row, values| {
            for (value, factor) in values.iter_mut().zip(factors.row(row)) {
                *value = *factor as f32;
            }
        });
        let gramian = Gramian::from_factors(&factors);
        (factors, rows, gramian)
    }

    fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
        let size = expected.iter().map(|value| value.abs()).fold(0.0, f64::max);
        for (found, expected) in found.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs();
            assert!(error <= tolerance * size, "{found} {expected}");
        }
    }

    #[test]
    fn a_history_folded_in_gets_the_factors_that_training_would_give_it() {
        for dim in [3, 16, 40] {
            let hyper = IalsHyperparameters {
                dim,
                alpha0: 0.3,
                lambda: 0.05,
                nu: 1.0,
            };
            let (factors, rows, gramian) = items(dim, 10.0);
            let mut matrix = InteractionMatrix::new();
            for entry in HISTORY {
                matrix.insert(0, entry);
            }
            matrix.insert(1, Entry::wanted(3, 1.0));
            let model = Ials::from_item_factors(hyper, 2, factors);
            let view = model.side(Side::Users, &matrix);
            let shared = SharedHessian::new(view.gramian, hyper.alpha0, dim);
            let mut expected = vec![0.0; dim];
            for _ in 0..3 {
                BlockSolver::new(dim).solve(&view, &shared, 0, &mut expected);
            }
            let folded = fold_in(&hyper, &HISTORY, &rows, &gramian, matrix.active_items());
            assert_close(&folded, &expected, 1e-6);
        }
    }

    #[test]
    fn both_precisions_solve_the_same_system() {
        let hyper = IalsHyperparameters {
            dim: 12,
            alpha0: 0.3,
            lambda: 0.05,
            nu: 1.0,
        };
        let (_, rows, gramian) = items(12, 10.0);
        let system = System {
            hyper: &hyper,
            rows: HISTORY.iter().map(|e| (rows.row(e.index), e)).collect(),
            gramian: &gramian,
            lambda: 0.4,
        };
        let (mut mixed, mut double) = (vec![0.0; 12], vec![0.0; 12]);
        system.solve(&mut mixed);
        system.solve_in_f64(&mut double);
        let mixed: Vec<f32> = mixed.into_iter().map(|value| value as f32).collect();
        assert_close(&mixed, &double, 1e-6);
    }

    #[test]
    fn a_regularisation_lost_in_f32_is_solved_in_f64() {
        let hyper = IalsHyperparameters {
            dim: 40,
            alpha0: 1e-3,
            lambda: 1e-12,
            nu: 0.0,
        };
        let (_, rows, gramian) = items(40, 1e3);
        let folded = fold_in(&hyper, &HISTORY, &rows, &gramian, 30);
        assert!(folded.iter().all(|value| value.is_finite()), "{folded:?}");
        for entry in HISTORY {
            let row = rows.row(entry.index);
            let score: f32 = row.iter().zip(&folded).map(|(q, p)| q * p).sum();
            assert!((score - entry.target).abs() < 0.05, "{score}");
        }
    }

    #[test]
    fn nothing_to_go_by_gives_zero() {
        let hyper = IalsHyperparameters {
            dim: 4,
            ..IalsHyperparameters::default()
        };
        let (_, rows, gramian) = items(4, 10.0);
        assert_eq!(fold_in(&hyper, &[], &rows, &gramian, 30), [0.0; 4]);
        assert_eq!(
            fold_in(&hyper, &[Entry::wanted(30, 1.0)], &rows, &gramian, 30),
            [0.0; 4]
        );
    }
}
