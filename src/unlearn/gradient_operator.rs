//! The gradient of the data term in X, scaled as the dual norm wants it, as a linear operator.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;

use crate::model::ials::Ials;
use crate::model::interactions::{Entry, InteractionMatrix};
use crate::simd::{add_scaled_f64, dot_f64, vectorised};

/// Rows of one parallel task.
const ROWS_PER_TASK: usize = 64;

/// `G̃ = Λ_u^{-1/2} G Λ_i^{-1/2}` with `G = ∇f(X)` at `X = PQᵀ`, users × items.
///
/// `G` is `2c(x−1) + 2α₀x` on the observed pairs and `2α₀x` elsewhere: a sparse matrix of the
/// scaled residuals plus a matrix of rank d. Neither is ever formed; a product with k vectors
/// costs `|S|·k + 2(users+items)·d·k` multiply-adds. Rows and columns without interactions are
/// zero. Built in `2|S|·d`. Everything is f64.
#[derive(Debug)]
pub struct ScaledGradient<'a> {
    matrix: &'a InteractionMatrix,
    /// 2c(x−1), scaled, in the order of the users' lists; `by_item` in the order of the items'.
    by_user: Vec<Vec<f64>>,
    by_item: Vec<Vec<f64>>,
    /// Λ_u^{-1/2} P and Λ_i^{-1/2} Q.
    scaled_users: Mat<f64>,
    scaled_items: Mat<f64>,
    alpha0: f64,
    /// Λ_u and Λ_i, zero where there is no interaction.
    pub(crate) lambda_users: Vec<f64>,
    pub(crate) lambda_items: Vec<f64>,
}

impl<'a> ScaledGradient<'a> {
    /// The operator at the model's present factors.
    pub fn at(model: &Ials, matrix: &'a InteractionMatrix) -> Self {
        let (users, items) = (model.users.rows(), model.items.rows());
        let hyper = &model.hyper;
        let weight_of = |count: usize, opposite: usize| {
            if count == 0 {
                0.0
            } else {
                hyper.regularisation(count, opposite)
            }
        };
        let lambda_users: Vec<f64> = (0..users)
            .map(|u| weight_of(matrix.user(u as u32).len(), matrix.active_items()))
            .collect();
        let lambda_items: Vec<f64> = (0..items)
            .map(|i| weight_of(matrix.item(i as u32).len(), matrix.active_users()))
            .collect();
        let (root_users, root_items) = (inverse_roots(&lambda_users), inverse_roots(&lambda_items));
        let dim = hyper.dim;
        let by_user = (0..users)
            .into_par_iter()
            .map(|u| {
                let own = model.users.row(u);
                let scaled = |entry: &Entry| {
                    let item = entry.index as usize;
                    let x = dot_f64(own, model.items.row(item));
                    2.0 * f64::from(entry.weight) * (x - 1.0) * root_users[u] * root_items[item]
                };
                matrix.user(u as u32).iter().map(scaled).collect()
            })
            .collect();
        let by_item = (0..items)
            .into_par_iter()
            .map(|i| {
                let own = model.items.row(i);
                let scaled = |entry: &Entry| {
                    let user = entry.index as usize;
                    let x = dot_f64(own, model.users.row(user));
                    2.0 * f64::from(entry.weight) * (x - 1.0) * root_users[user] * root_items[i]
                };
                matrix.item(i as u32).iter().map(scaled).collect()
            })
            .collect();
        Self {
            matrix,
            by_user,
            by_item,
            scaled_users: Mat::from_fn(users, dim, |u, k| model.users.row(u)[k] * root_users[u]),
            scaled_items: Mat::from_fn(items, dim, |i, k| model.items.row(i)[k] * root_items[i]),
            alpha0: hyper.alpha0,
            lambda_users,
            lambda_items,
        }
    }

    /// Rows of the operator.
    pub fn users(&self) -> usize {
        self.by_user.len()
    }

    /// Columns of the operator.
    pub fn items(&self) -> usize {
        self.by_item.len()
    }

    /// `G̃ V` for `V` of items × k.
    pub fn apply(&self, vectors: MatRef<'_, f64>) -> Mat<f64> {
        let sparse = sparse_times(&self.by_user, |u| self.matrix.user(u), vectors);
        self.add_low_rank(
            sparse,
            self.scaled_users.as_ref(),
            self.scaled_items.as_ref(),
            vectors,
        )
    }

    /// `G̃ᵀ U` for `U` of users × k.
    pub fn apply_transposed(&self, vectors: MatRef<'_, f64>) -> Mat<f64> {
        let sparse = sparse_times(&self.by_item, |i| self.matrix.item(i), vectors);
        self.add_low_rank(
            sparse,
            self.scaled_items.as_ref(),
            self.scaled_users.as_ref(),
            vectors,
        )
    }

    fn add_low_rank(
        &self,
        mut sum: Mat<f64>,
        left: MatRef<'_, f64>,
        right: MatRef<'_, f64>,
        vectors: MatRef<'_, f64>,
    ) -> Mat<f64> {
        let inner = right.transpose() * vectors;
        matmul(
            sum.as_mut(),
            Accum::Add,
            left,
            inner.as_ref(),
            2.0 * self.alpha0,
            Par::Seq,
        );
        sum
    }
}

fn inverse_roots(lambda: &[f64]) -> Vec<f64> {
    lambda
        .iter()
        .map(|l| if *l > 0.0 { 1.0 / l.sqrt() } else { 0.0 })
        .collect()
}

/// The sparse matrix whose row r has `values[r]` at the columns of `entries(r)`, times `vectors`.
fn sparse_times<'m>(
    values: &[Vec<f64>],
    entries: impl Fn(u32) -> &'m [Entry] + Sync,
    vectors: MatRef<'_, f64>,
) -> Mat<f64> {
    let (rows, k) = (values.len(), vectors.ncols());
    // Row after row, so that each entry of the sparse matrix reads and writes contiguous values.
    let mut flat = vec![0.0; vectors.nrows() * k];
    for column in 0..k {
        for (row, value) in vectors.col(column).iter().enumerate() {
            flat[row * k + column] = *value;
        }
    }
    let mut product = vec![0.0; rows * k];
    let chunks = product
        .par_chunks_mut((ROWS_PER_TASK * k).max(1))
        .enumerate();
    chunks.for_each(|(chunk, into)| {
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                for (offset, sum) in into.chunks_exact_mut(k).enumerate() {
                    let row = chunk * ROWS_PER_TASK + offset;
                    for (value, entry) in values[row].iter().zip(entries(row as u32)) {
                        let start = entry.index as usize * k;
                        add_scaled_f64(sum, *value, &flat[start..start + k]);
                    }
                }
            },
        );
    });
    Mat::from_fn(rows, k, |row, column| product[row * k + column])
}
