//! Newton's method for single rows: with the other side and the layers fixed, each row's problem
//! stands alone, and is small enough for a dense matrix.
//!
//! For a model that does not propagate, and a pointwise loss. With J the derivatives of the scores
//! of a row's n examples by its w parameters: `(Jᵀ H J + n(λ + μ) I) step = −gradient`, by Cholesky.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::dense::newton_step;
use crate::loss::Logistic;
use crate::network::{BATCH_PAIRS, Batch};
use crate::objective::Objective;
use crate::parameters::Parameters;
use crate::vectors::{dot, squared_norm};
use recant_core::model::Side;

/// Share of the decrease that the directional derivative predicts which a step must bring (Armijo).
const ARMIJO: f64 = 1e-4;

/// Halvings of a step before it is given up.
const HALVINGS_MAX: usize = 6;

/// How far to go with each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowOptions {
    /// Most Newton steps.
    pub steps_max: usize,
    /// Damping μ, per example.
    pub damping: f32,
    /// Ends when the step is predicted to lower the loss by less than this, per example.
    pub tolerance: f64,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self {
            steps_max: 2,
            damping: 1e-3,
            tolerance: 1e-7,
        }
    }
}

/// One row's problem.
struct RowProblem<'a> {
    objective: &'a Objective<'a>,
    at: &'a Parameters,
    side: Side,
    /// The row of the other side in each example, and whether it is a positive.
    others: Vec<(u32, bool)>,
    /// The proximal term's linear part r; empty for none.
    linear: &'a [f32],
}

/// Whether single rows can be solved for.
pub fn is_separable(objective: &Objective<'_>) -> bool {
    !objective.model.is_propagated() && objective.model.loss().is_pointwise()
}

/// Solves for some rows of a side, each by itself, and writes them into `at`. A row without examples
/// becomes zero. Cost: for each row and step, three times a score of its examples, n·w² and w³/3.
///
/// # Panics
/// When the problem is not separable ([`is_separable`]).
pub fn solve_rows(
    objective: &Objective<'_>,
    at: &mut Parameters,
    side: Side,
    rows: &[u32],
    options: &RowOptions,
) {
    assert!(is_separable(objective), "rows that depend on one another");
    let solved: Vec<Vec<f32>> = rows
        .par_iter()
        .map(|row| RowProblem::new(objective, at, side, *row).solve(*row, options))
        .collect();
    for (row, values) in rows.iter().zip(solved) {
        at.row_mut(side, *row).copy_from_slice(&values);
    }
}

/// The gradient of the objective by one row. Cost: three times a score of its examples, and n·w².
///
/// # Panics
/// When the problem is not separable ([`is_separable`]).
pub(crate) fn row_gradient(
    objective: &Objective<'_>,
    at: &Parameters,
    side: Side,
    row: u32,
) -> Vec<f64> {
    assert!(is_separable(objective), "rows that depend on one another");
    let values = at.row(side, row);
    let problem = RowProblem::new(objective, at, side, row);
    problem.system(values, &mut Batch::default()).gradient
}

/// Value, gradient and Hessian of a row's problem.
struct System {
    gradient: Vec<f64>,
    /// Of Gauss and Newton.
    hessian: Mat<f64>,
    value: f64,
}

impl<'a> RowProblem<'a> {
    fn new(objective: &'a Objective<'a>, at: &'a Parameters, side: Side, row: u32) -> Self {
        let examples = objective.examples;
        let others = match side {
            Side::Users => {
                let groups = examples.user(row).chunks_exact(examples.stride());
                let places = groups.flat_map(|group| {
                    let places = group.iter().enumerate();
                    let taken = places.filter(|(place, item)| *place == 0 || **item != group[0]);
                    taken.map(|(place, item)| (*item, place == 0))
                });
                places.collect()
            }
            Side::Items => {
                let places = examples.item(row).iter();
                places
                    .map(|place| (place.user(), place.is_positive()))
                    .collect()
            }
        };
        let proximal = objective.proximal;
        let linear = proximal.map_or(&[][..], |term| term.linear.row(side, row));
        Self {
            objective,
            at,
            side,
            others,
            linear,
        }
    }

    fn solve(&self, row: u32, options: &RowOptions) -> Vec<f32> {
        let mut values = self.at.row(self.side, row).to_vec();
        if self.others.is_empty() {
            values.fill(0.0);
            return values;
        }
        let mut batch = Batch::default();
        for _ in 0..options.steps_max {
            let system = self.system(&values, &mut batch);
            let Some(step) = self.step(&system, options.damping) else {
                break;
            };
            let directional_derivative: f64 =
                step.iter().zip(&system.gradient).map(|(a, b)| a * b).sum();
            let little = options.tolerance * self.others.len() as f64;
            let moved = self.search(
                &mut values,
                &step,
                system.value,
                directional_derivative,
                &mut batch,
            );
            if !moved || -directional_derivative < little {
                break;
            }
        }
        values
    }

    /// Fills the batch with examples whose own row is `values`, and scores them.
    fn score(&self, values: &[f32], others: &[(u32, bool)], batch: &mut Batch) {
        batch.pairs = others.len();
        batch.users.clear();
        batch.items.clear();
        for (other, _) in others {
            match self.side {
                Side::Users => {
                    batch.users.extend_from_slice(values);
                    batch.items.extend_from_slice(self.at.item(*other));
                }
                Side::Items => {
                    batch.users.extend_from_slice(self.at.user(*other));
                    batch.items.extend_from_slice(values);
                }
            }
        }
        batch.fit();
        self.objective.model.forward(self.at.shared(), batch);
    }

    /// What does not depend on scores: the penalty, and the proximal term.
    fn penalty(&self, values: &[f32]) -> f64 {
        let weight = f64::from(self.objective.penalty()) * self.others.len() as f64;
        0.5 * weight * squared_norm(values) - dot(self.linear, values)
    }

    fn value(&self, values: &[f32], batch: &mut Batch) -> f64 {
        let mut sum = self.penalty(values);
        for others in self.others.chunks(BATCH_PAIRS) {
            self.score(values, others, batch);
            let scored = batch.scores.iter().zip(others);
            let losses = scored.map(|(score, (_, is_positive))| {
                f64::from(Logistic::new(*score, *is_positive).loss)
            });
            sum += losses.sum::<f64>();
        }
        sum
    }

    fn system(&self, values: &[f32], batch: &mut Batch) -> System {
        let width = values.len();
        let weight = f64::from(self.objective.penalty()) * self.others.len() as f64;
        let mut system = System {
            gradient: values
                .iter()
                .map(|value| weight * f64::from(*value))
                .collect(),
            hessian: Mat::zeros(width, width),
            value: self.penalty(values),
        };
        let pairs = system.gradient.iter_mut().zip(self.linear);
        pairs.for_each(|(sum, value)| *sum -= f64::from(*value));
        let (mut weighted, mut sum) = (Vec::new(), vec![0.0; width * width]);
        for others in self.others.chunks(BATCH_PAIRS) {
            self.score(values, others, batch);
            batch.coefficients.fill(1.0);
            let model = self.objective.model;
            model.backward(self.at.shared(), batch, None);
            let jacobian = match self.side {
                Side::Users => &batch.user_gradients,
                Side::Items => &batch.item_gradients,
            };
            weighted.clear();
            let scored = batch.scores.iter().zip(others);
            for ((score, (_, is_positive)), row) in scored.zip(jacobian.chunks_exact(width)) {
                let point = Logistic::new(*score, *is_positive);
                system.value += f64::from(point.loss);
                let pairs = system.gradient.iter_mut().zip(row);
                pairs.for_each(|(sum, value)| *sum += f64::from(point.derivative * value));
                weighted.extend(row.iter().map(|value| point.second_derivative * value));
            }
            matmul(
                MatMut::from_column_major_slice_mut(&mut sum, width, width),
                Accum::Replace,
                MatRef::from_column_major_slice(jacobian, width, others.len()),
                MatRef::from_row_major_slice(&weighted, others.len(), width),
                1.0,
                Par::Seq,
            );
            for column in 0..width {
                let part = &sum[column * width..(column + 1) * width];
                let values = system.hessian.col_as_slice_mut(column).iter_mut();
                values
                    .zip(part)
                    .for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
        system
    }

    fn step(&self, system: &System, damping: f32) -> Option<Vec<f64>> {
        let width = system.gradient.len();
        let strength = f64::from(self.objective.penalty() + damping);
        let mut matrix = system.hessian.clone();
        for at in 0..width {
            matrix[(at, at)] += strength * self.others.len() as f64;
        }
        newton_step(&matrix, &system.gradient)
    }

    fn search(
        &self,
        values: &mut Vec<f32>,
        step: &[f64],
        value: f64,
        directional_derivative: f64,
        batch: &mut Batch,
    ) -> bool {
        let mut length = 1.0;
        for _ in 0..HALVINGS_MAX {
            let moved: Vec<f32> = values
                .iter()
                .zip(step)
                .map(|(value, step)| (f64::from(*value) + length * step) as f32)
                .collect();
            if self.value(&moved, batch) <= value + ARMIJO * length * directional_derivative {
                *values = moved;
                return true;
            }
            length *= 0.5;
        }
        false
    }
}
