//! Ridge regression of many columns at once, by conjugate gradients.

use crate::content::features::INTERCEPT;
use crate::content::sparse::SparseRows;
use crate::control::ShouldStop;
use crate::simd::{add_scaled_f64, vectorised};
use pulp::Arch;

/// Most steps. Exact arithmetic needs as many as there are features; a preconditioned system of
/// indicators a few dozen.
const STEPS_MAX: usize = 500;

/// Items between two questions whether to stop.
const ITEMS_PER_QUESTION: usize = 4_096;

/// What is to be solved: features of n items, and n × d numbers that they are to give.
pub(super) struct Problem<'a> {
    pub(super) features: &'a SparseRows,
    pub(super) targets: &'a [f64],
    pub(super) dim: usize,
    pub(super) rho: f64,
}

/// Weights that solve `(FᵀF + ρD) W = FᵀQ`, features × d, D the identity but 0 for the intercept.
///
/// Conjugate gradients on the normal equations, which are never formed, scaled by their diagonal, each
/// column with its own step lengths; from `start`, until the residual of every column is at most `tolerance` times
/// its right-hand side, or for 500 steps. In f64, in one order, so the same every time. A step costs two passes over
/// the features, each of d multiply-adds an entry. `None` when `stopped` says so.
pub(super) fn solve(
    problem: &Problem<'_>,
    start: Vec<f64>,
    tolerance: f64,
    stopped: ShouldStop<'_>,
) -> Option<Vec<f64>> {
    let dim = problem.dim;
    let right = problem.right_hand_side();
    let limits: Vec<f64> = squares(&right, &right, dim)
        .into_iter()
        .map(|square| square * tolerance * tolerance)
        .collect();
    let scales: Vec<f64> = problem.diagonal().into_iter().map(f64::recip).collect();
    let mut weights = start;
    let mut residual = right;
    let product = problem.product(&weights, stopped)?;
    subtract(&mut residual, &product);
    let mut scaled = scaled_by(&residual, &scales, dim);
    let mut direction = scaled.clone();
    let mut progress = squares(&residual, &scaled, dim);
    for _ in 0..STEPS_MAX {
        let norms = squares(&residual, &residual, dim);
        if norms.iter().zip(&limits).all(|(norm, limit)| norm <= limit) {
            break;
        }
        let product = problem.product(&direction, stopped)?;
        let curvature = squares(&direction, &product, dim);
        let lengths = ratios(&progress, &curvature);
        let steps = rows(&mut weights, dim).zip(direction.chunks_exact(dim));
        steps.for_each(|(row, by)| add_scaled_each(row, &lengths, by, 1.0));
        let steps = rows(&mut residual, dim).zip(product.chunks_exact(dim));
        steps.for_each(|(row, by)| add_scaled_each(row, &lengths, by, -1.0));
        scaled = scaled_by(&residual, &scales, dim);
        let next = squares(&residual, &scaled, dim);
        let turns = ratios(&next, &progress);
        for (row, new) in rows(&mut direction, dim).zip(scaled.chunks_exact(dim)) {
            for ((value, turn), new) in row.iter_mut().zip(&turns).zip(new) {
                *value = new + turn * *value;
            }
        }
        progress = next;
    }
    Some(weights)
}

impl Problem<'_> {
    fn right_hand_side(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.features.columns() * self.dim];
        for (item, target) in self.targets.chunks_exact(self.dim).enumerate() {
            for (column, value) in self.features.row(item) {
                add_scaled_f64(place(&mut sums, *column, self.dim), *value, target);
            }
        }
        sums
    }

    fn diagonal(&self) -> Vec<f64> {
        let mut sums: Vec<f64> = (0..self.features.columns() as u32)
            .map(|column| self.penalty(column))
            .collect();
        for item in 0..self.features.rows() {
            for (column, value) in self.features.row(item) {
                sums[*column as usize] += value * value;
            }
        }
        // A feature that no item has, where nothing is penalised: its weight stays 0.
        sums.iter_mut().for_each(|sum| {
            if *sum == 0.0 {
                *sum = 1.0;
            }
        });
        sums
    }

    fn penalty(&self, column: u32) -> f64 {
        if column == INTERCEPT { 0.0 } else { self.rho }
    }

    /// `(FᵀF + ρD) W`.
    fn product(&self, weights: &[f64], stopped: ShouldStop<'_>) -> Option<Vec<f64>> {
        let dim = self.dim;
        let mut sums = vec![0.0; weights.len()];
        let mut fitted = vec![0.0; dim];
        let arch = Arch::new();
        let items: Vec<usize> = (0..self.features.rows()).collect();
        for items in items.chunks(ITEMS_PER_QUESTION) {
            if stopped() {
                return None;
            }
            vectorised(
                arch,
                #[inline(always)]
                || {
                    for item in items {
                        let row = self.features.row(*item);
                        fitted.fill(0.0);
                        for (column, value) in row {
                            let at = *column as usize * dim;
                            add_scaled_f64(&mut fitted, *value, &weights[at..at + dim]);
                        }
                        for (column, value) in row {
                            let at = *column as usize * dim;
                            add_scaled_f64(&mut sums[at..at + dim], *value, &fitted);
                        }
                    }
                },
            );
        }
        for (column, row) in (0..).zip(weights.chunks_exact(dim)) {
            add_scaled_f64(place(&mut sums, column, dim), self.penalty(column), row);
        }
        Some(sums)
    }
}

fn place(rows: &mut [f64], column: u32, dim: usize) -> &mut [f64] {
    let at = column as usize * dim;
    &mut rows[at..at + dim]
}

fn rows(values: &mut [f64], dim: usize) -> std::slice::ChunksExactMut<'_, f64> {
    values.chunks_exact_mut(dim)
}

/// The inner product of each column of `a` with that of `b`.
fn squares(a: &[f64], b: &[f64], dim: usize) -> Vec<f64> {
    let mut sums = vec![0.0; dim];
    for (a, b) in a.chunks_exact(dim).zip(b.chunks_exact(dim)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums
}

/// Each row times its scale.
fn scaled_by(values: &[f64], scales: &[f64], dim: usize) -> Vec<f64> {
    let rows = values.chunks_exact(dim).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |value| value * scale))
        .collect()
}

/// `a / b`, and 0 where a column has nothing left to do.
fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    let ratio = |(a, b): (&f64, &f64)| if *b > 0.0 { a / b } else { 0.0 };
    a.iter().zip(b).map(ratio).collect()
}

fn add_scaled_each(into: &mut [f64], scales: &[f64], what: &[f64], sign: f64) {
    for ((into, scale), what) in into.iter_mut().zip(scales).zip(what) {
        *into += sign * scale * what;
    }
}

fn subtract(from: &mut [f64], what: &[f64]) {
    from.iter_mut().zip(what).for_each(|(a, b)| *a -= b);
}

#[cfg(test)]
mod tests {
    use faer::linalg::solvers::Solve;
    use faer::{Mat, Side};
    use proptest::prelude::*;

    use super::*;
    use crate::never;

    /// Forms the normal equations and factorises them.
    fn dense(problem: &Problem<'_>) -> Mat<f64> {
        let (items, columns) = (problem.features.rows(), problem.features.columns());
        let mut features = Mat::<f64>::zeros(items, columns);
        for item in 0..items {
            for (column, value) in problem.features.row(item) {
                features[(item, *column as usize)] = *value;
            }
        }
        let targets = Mat::from_fn(items, problem.dim, |item, column| {
            problem.targets[item * problem.dim + column]
        });
        let mut normal = features.transpose() * &features;
        for column in 1..columns {
            normal[(column, column)] += problem.rho;
        }
        let right = features.transpose() * targets;
        normal.llt(Side::Lower).expect("definite").solve(right)
    }

    proptest! {
        #[test]
        fn the_weights_are_those_of_a_dense_solve(
            items in 1_usize..40, columns in 2_usize..12, dim in 1_usize..5,
            rho in 0.1_f64..30.0,
            values in prop::collection::vec(-2.0_f64..2.0, 211),
        ) {
            let mut features = SparseRows::new(columns);
            for item in 0..items {
                let marked = (1..columns as u32).filter(|column| (item + *column as usize * 3).is_multiple_of(4));
                let marked = marked.map(|column| (column, values[(item * 7 + column as usize) % 211]));
                features.push([(INTERCEPT, 1.0)].into_iter().chain(marked));
            }
            let targets: Vec<f64> = (0..items * dim).map(|at| values[at * 13 % 211]).collect();
            let problem = Problem { features: &features, targets: &targets, dim, rho };
            let found = solve(&problem, vec![0.0; columns * dim], 1e-12, &never).expect("never stopped");
            let expected = dense(&problem);
            for column in 0..columns {
                for at in 0..dim {
                    let difference = found[column * dim + at] - expected[(column, at)];
                    prop_assert!(difference.abs() < 1e-8, "{column}, {at}: {difference}");
                }
            }
        }
    }

    #[test]
    fn one_who_is_stopped_has_nothing() {
        let mut features = SparseRows::new(1);
        features.push([(INTERCEPT, 1.0)]);
        let problem = Problem {
            features: &features,
            targets: &[1.0],
            dim: 1,
            rho: 1.0,
        };
        assert_eq!(solve(&problem, vec![0.0], 1e-8, &|| true), None);
        assert_eq!(solve(&problem, vec![0.0], 1e-8, &never), Some(vec![1.0]));
    }
}
