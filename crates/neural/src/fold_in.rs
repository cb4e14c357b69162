//! A row for somebody the model was not trained on, from a history alone.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::dense::newton_step;
use crate::loss;
use crate::loss::is_taken;
use crate::network::{Batch, NeuralModel};
use crate::vectors::squared_norm;

/// Newton steps; the problem is small and nearly convex.
const STEPS: usize = 8;

/// Damping, per example.
const DAMPING: f64 = 1e-3;

/// Halvings of a step before it is given up.
const HALVINGS_MAX: usize = 6;

/// Share of the decrease that the directional derivative predicts which a step must bring (Armijo).
const ARMIJO: f64 = 1e-4;

/// The row of a user with the examples `groups` (each an item and its negatives), all other
/// parameters fixed: the minimum of the user's share of the objective, by Newton's method from
/// zero. `item` gives propagated rows. For a model that propagates this is the user's propagated
/// row, as if it were a parameter by itself. Cost: a few times n·w² for n examples and rows of w.
pub fn fold_in<'a>(
    model: &dyn NeuralModel,
    shared: &[f32],
    item: impl Fn(u32) -> &'a [f32],
    groups: &[u32],
) -> Vec<f32> {
    let width = model.layout(1, 1).user_width;
    let stride = model.negatives() + 1;
    let taken = |group: &[u32]| (0..stride).filter(|place| is_taken(group, *place)).count();
    let count: usize = groups.chunks_exact(stride).map(taken).sum();
    let mut problem = RowProblem {
        model,
        shared,
        groups,
        stride,
        count: count as f64,
        batch: Batch {
            pairs: groups.len(),
            items: groups.iter().flat_map(|row| item(*row)).copied().collect(),
            ..Batch::default()
        },
    };
    let mut row = vec![0.0; width];
    for _ in 0..STEPS {
        let (value, gradient, hessian) = problem.system(&row);
        let Some(step) = newton_step(&hessian, &gradient) else {
            break;
        };
        let directional_derivative: f64 = step.iter().zip(&gradient).map(|(a, b)| a * b).sum();
        let lengths = (0..HALVINGS_MAX).map(|halvings| 0.5f64.powi(halvings as i32));
        let moved = lengths
            .map(|length| (length, moved(&row, &step, length)))
            .find(|(length, to)| {
                problem.value(to) <= value + ARMIJO * length * directional_derivative
            });
        match moved {
            Some((_, to)) if -directional_derivative > 1e-9 * problem.count => row = to,
            _ => break,
        }
    }
    row
}

fn moved(row: &[f32], step: &[f64], length: f64) -> Vec<f32> {
    let values = row.iter().zip(step);
    values
        .map(|(value, step)| (f64::from(*value) + length * step) as f32)
        .collect()
}

struct RowProblem<'a> {
    model: &'a dyn NeuralModel,
    shared: &'a [f32],
    groups: &'a [u32],
    stride: usize,
    /// Examples, without places that were left empty for want of a negative.
    count: f64,
    batch: Batch,
}

impl RowProblem<'_> {
    fn score(&mut self, row: &[f32]) {
        self.batch.users.clear();
        for _ in 0..self.batch.pairs {
            self.batch.users.extend_from_slice(row);
        }
        self.batch.fit();
        self.model.forward(self.shared, &mut self.batch);
    }

    fn weight(&self) -> f64 {
        f64::from(self.model.lambda()) * self.count
    }

    /// The loss of the scores there are; its gradient by them goes `into`.
    fn gradient_by_scores(&self, into: &mut [f32]) -> f64 {
        let groups = self.groups.chunks_exact(self.stride);
        let scores = self.batch.scores.chunks_exact(self.stride);
        let each = groups.zip(scores).zip(into.chunks_exact_mut(self.stride));
        let loss = self.model.loss();
        each.map(|((group, scores), into)| loss::gradient(loss, group, scores, into))
            .sum()
    }

    fn value(&mut self, row: &[f32]) -> f64 {
        self.score(row);
        let mut by_scores = vec![0.0; self.batch.pairs];
        self.gradient_by_scores(&mut by_scores) + 0.5 * self.weight() * squared_norm(row)
    }

    /// Value, gradient, and damped Gauss–Newton matrix.
    fn system(&mut self, row: &[f32]) -> (f64, Vec<f64>, Mat<f64>) {
        let (width, weight) = (row.len(), self.weight());
        self.score(row);
        let mut by_scores = vec![0.0; self.batch.pairs];
        let value = self.gradient_by_scores(&mut by_scores) + 0.5 * weight * squared_norm(row);
        self.batch.coefficients.fill(1.0);
        self.model.backward(self.shared, &mut self.batch, None);
        let jacobian = &self.batch.user_gradients;
        let mut gradient: Vec<f64> = row.iter().map(|v| weight * f64::from(*v)).collect();
        for (weight, derivatives) in by_scores.iter().zip(jacobian.chunks_exact(width)) {
            let sums = gradient.iter_mut().zip(derivatives);
            sums.for_each(|(sum, value)| *sum += f64::from(weight * value));
        }
        let products = self.hessian_vector_products(jacobian, width);
        let jacobian = MatRef::from_column_major_slice(jacobian, width, self.batch.pairs);
        let mut narrow = Mat::<f32>::zeros(width, width);
        let products = MatRef::from_column_major_slice(&products, self.batch.pairs, width);
        matmul(
            narrow.as_mut(),
            Accum::Replace,
            jacobian,
            products,
            1.0,
            Par::Seq,
        );
        let damping = weight + DAMPING * self.count;
        let hessian = Mat::from_fn(width, width, |at, to| {
            f64::from(narrow[(at, to)]) + if at == to { damping } else { 0.0 }
        });
        (value, gradient, hessian)
    }

    /// The loss's Hessian by the scores times each column of the Jacobian: pairs × width, one column
    /// after another.
    fn hessian_vector_products(&self, jacobian: &[f32], width: usize) -> Vec<f32> {
        let pairs = self.batch.pairs;
        let mut products = vec![0.0; pairs * width];
        let loss = self.model.loss();
        for (k, column) in products.chunks_exact_mut(pairs).enumerate() {
            let tangents: Vec<f32> = jacobian.iter().skip(k).step_by(width).copied().collect();
            for start in (0..pairs).step_by(self.stride) {
                let range = start..start + self.stride;
                loss::hessian_vector_product(
                    loss,
                    &self.groups[range.clone()],
                    &self.batch.scores[range.clone()],
                    &tangents[range.clone()],
                    &mut column[range],
                );
            }
        }
        products
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::{Factorisation, Loss};

    /// The row of somebody who has every item, of whom each pair counts once, by the equation that
    /// its length solves: `σ(−t‖q‖) ‖q‖ = λ t` along the one item.
    #[test]
    fn places_left_empty_add_nothing_to_the_penalty() {
        let model = Factorisation {
            dim: 2,
            loss: Loss::Logistic,
            negatives: 3,
            lambda: 0.1,
        };
        let item = [0.6f32, 0.8];
        let row = fold_in(&model, &[], |_| &item, &[0, 0, 0, 0]);
        let length = row[0] / item[0];
        assert!((row[1] / item[1] - length).abs() < 1e-4, "{row:?}");
        let derivative = 1.0 / (1.0 + length.exp());
        assert!(
            (derivative - 0.1 * length).abs() < 1e-3,
            "{derivative} at {length}"
        );
    }
}
