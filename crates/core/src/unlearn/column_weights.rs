//! The weights of the weak columns of a model that are best, all of them at once.
//!
//! Near the minimiser the block systems move a weak column slowly: its weight is a product of
//! two small factors, and each sweep changes it by a share that vanishes with it (Haeffele & Vidal
//! 2015 call such points degenerate saddles). Along fixed directions the convex objective is a
//! small quadratic programme in the weights themselves, which ends the slow dying of columns the
//! minimiser lacks, and gives new ones their size at once.

use faer::Mat;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatRef, Par};
use rayon::prelude::*;

use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::simd::dot_f64;
use crate::unlearn::tall::Tall;

/// Users of one parallel task.
const USERS_PER_TASK: usize = 64;

/// Passes over the weights: the programme is small, its Hessian near diagonal.
const PASSES_MAX: usize = 500;

/// A pass that changes no weight by more than this share of the largest ends the work.
const CONVERGED: f64 = 1e-12;

/// The weights `t ≥ 0` that minimise `f(X + Σ (t_k − s_k) E_k) + 2 Σ t_k`, where
/// `E_k = a_k b_kᵀ` for the columns a of `users` and b of `items`, in the model's own (unscaled)
/// coordinates, with weighted nuclear norm 1 each, and s are their present weights in X.
///
/// The sum of weights bounds the weighted nuclear norm from above, so the objective cannot rise.
/// Cost: `|S|(d + k²)` multiply-adds for k columns.
pub(super) fn optimal_column_weights(
    model: &Ials,
    matrix: &InteractionMatrix,
    users: &Tall,
    items: &Tall,
    present: &[f64],
) -> Vec<f64> {
    let k = present.len();
    let (mut curvature, observed) = over_pairs(model, matrix, users, items);
    let alpha0 = model.hyper.alpha0;
    let (users_gram, items_gram) = (users.transposed_times(users), items.transposed_times(items));
    let dense = along_model(model, users, items);
    let gradient: Vec<f64> = (0..k)
        .map(|a| observed[a] + alpha0 * dense[a] + 1.0)
        .collect();
    for a in 0..k {
        for b in 0..k {
            curvature[(a, b)] += alpha0 * users_gram[(a, b)] * items_gram[(a, b)];
        }
    }
    solve(curvature.as_ref(), gradient, present)
}

/// `Σ_S c E_a E_b` and `Σ_S c (x−1) E_a`.
fn over_pairs(
    model: &Ials,
    matrix: &InteractionMatrix,
    users: &Tall,
    items: &Tall,
) -> (Mat<f64>, Vec<f64>) {
    let k = users.columns();
    let tasks = matrix.user_rows().div_ceil(USERS_PER_TASK);
    let partial: Vec<(Mat<f64>, Vec<f64>)> = (0..tasks)
        .into_par_iter()
        .map(|task| {
            let (mut curvature, mut along) = (Mat::zeros(k, k), vec![0.0; k]);
            let first = task * USERS_PER_TASK;
            let mut rows = Vec::new();
            for user in first..(first + USERS_PER_TASK).min(matrix.user_rows()) {
                let own = users.row(user);
                let p = model.users.row(user);
                rows.clear();
                for entry in matrix.user(user as u32) {
                    let item = entry.index as usize;
                    let weight = f64::from(entry.weight);
                    let score = dot_f64(p, model.items.row(item));
                    let error = weight * (score - f64::from(entry.target));
                    let root = weight.sqrt();
                    for ((sum, a), b) in along.iter_mut().zip(own).zip(items.row(item)) {
                        rows.push(root * a * b);
                        *sum += error * a * b;
                    }
                }
                let pairs = matrix.user(user as u32).len();
                let rows = MatRef::from_row_major_slice(&rows, pairs, k);
                matmul(
                    curvature.as_mut(),
                    Accum::Add,
                    rows.transpose(),
                    rows,
                    1.0,
                    Par::Seq,
                );
            }
            (curvature, along)
        })
        .collect();
    let (mut curvature, mut along) = (Mat::zeros(k, k), vec![0.0; k]);
    for (part, part_along) in partial {
        curvature += part;
        for (sum, value) in along.iter_mut().zip(part_along) {
            *sum += value;
        }
    }
    (curvature, along)
}

/// `⟨X, E_a⟩ = (Pᵀa)·(Qᵀb)`.
fn along_model(model: &Ials, users: &Tall, items: &Tall) -> Vec<f64> {
    let factors = |factors: &crate::model::factors::Factors| {
        Tall::from_rows(factors.rows(), factors.dim(), |row, into| {
            into.copy_from_slice(factors.row(row));
        })
    };
    let left = factors(&model.users).transposed_times(users);
    let right = factors(&model.items).transposed_times(items);
    (0..users.columns())
        .map(|k| left.col(k).transpose() * right.col(k))
        .collect()
}

/// Minimises `½ δᵀ H δ + gᵀ δ` over `t = present + δ ≥ 0`, one weight after another.
fn solve(curvature: MatRef<'_, f64>, mut gradient: Vec<f64>, present: &[f64]) -> Vec<f64> {
    let mut weights = present.to_vec();
    for _ in 0..PASSES_MAX {
        let (mut moved, mut largest) = (0.0f64, 0.0f64);
        for k in 0..weights.len() {
            let curved = curvature[(k, k)];
            if curved <= 0.0 || !curved.is_finite() {
                continue;
            }
            let next = (weights[k] - gradient[k] / curved).max(0.0);
            let change = next - weights[k];
            if change != 0.0 {
                weights[k] = next;
                for (other, entry) in gradient.iter_mut().enumerate() {
                    *entry += change * curvature[(other, k)];
                }
            }
            moved = moved.max(change.abs());
            largest = largest.max(next);
        }
        if moved <= CONVERGED * largest {
            break;
        }
    }
    weights
}
