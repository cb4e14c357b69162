//! The gradient of the data term in X, scaled as the dual norm wants it, as a linear operator.

use pulp::Arch;
use rayon::prelude::*;

use crate::model::factors::Factors;
use crate::model::gramian::Gramian;
use crate::model::ials::Ials;
use crate::model::interactions::{Entry, InteractionMatrix};
use crate::simd::{add_scaled_f64, dot_f64, vectorised};
use crate::unlearn::narrow::{Block, WIDTH};
use crate::unlearn::tall::Tall;

/// Rows of one parallel task.
const ROWS_PER_TASK: usize = 64;

/// `G̃ = Λ_u^{-1/2} G Λ_i^{-1/2}` with `G = ∇f(X)` at `X = PQᵀ`, users × items.
///
/// `G` is `2c(x−t) + 2α₀x` on the observed pairs and `2α₀x` elsewhere: a sparse matrix of the
/// scaled residuals plus a matrix of rank d. Neither is ever formed; a product with k vectors
/// costs `|S|·k + 2(users+items)·d·k` multiply-adds. Rows and columns without interactions are
/// zero. Built in `|S|·d + (users+items)·d²`. Everything is f64.
#[derive(Debug)]
pub(super) struct ScaledGradient<'a> {
    matrix: &'a InteractionMatrix,
    /// 2c(x−t), scaled, in the order of the users' lists; `by_item` in the order of the items'.
    by_user: Vec<Vec<f64>>,
    by_item: Vec<Vec<f64>>,
    /// Λ_u^{-1/2} P and Λ_i^{-1/2} Q.
    pub(super) scaled_users: Tall,
    pub(super) scaled_items: Tall,
    pub(super) alpha0: f64,
    /// Λ_u and Λ_i, zero where there is no interaction.
    pub(super) lambda_users: Vec<f64>,
    pub(super) lambda_items: Vec<f64>,
    /// Λ_u^{1/2} and Λ_i^{1/2}.
    pub(super) root_lambda_users: Vec<f64>,
    pub(super) root_lambda_items: Vec<f64>,
    /// Sums over the pairs, from the same residuals.
    pub(super) sums: PairSums,
}

/// Sums over the pairs, and what the rounding of each is measured against.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PairSums {
    /// `Σ_S c (x−t) x`.
    pub(super) residual_along: f64,
    /// `Σ_S |c (x−t) x|`.
    pub(super) residual_along_absolute: f64,
    /// `‖G‖_F² − ‖2α₀X‖_F²`, a sum over S.
    pub(super) gradient_correction: f64,
    /// `‖X‖_F²` over all pairs, through the Gram matrices.
    pub(super) norm_squared: f64,
    /// `Σ_S c s (|x| + |x−t|)` and `Σ_S c s²`, with `s = ‖p‖‖q‖ + 1`: times [`dot_rounding`], what the
    /// rounding of `x − t` is worth in the sums over `c(x−t)x`, and in G against the weights c. Where
    /// a weight is huge, x − t is tiny, and rounding is most of it.
    pub(super) rounding_along: f64,
    pub(super) rounding_weighted: f64,
}

/// What `p·q` is off at most, relative to `‖p‖‖q‖`, and `p·q − t` relative to `‖p‖‖q‖ + 1`, as targets
/// are at most 1: partial sums of sixteen lanes, and then those (Higham, "Accuracy and Stability of Numerical Algorithms",
/// 2nd ed., §3.1).
pub(super) fn dot_rounding(dim: usize) -> f64 {
    (dim as f64 / 16.0 + 34.0) * (f64::EPSILON / 2.0)
}

impl<'a> ScaledGradient<'a> {
    /// The operator at the model's present factors.
    pub(super) fn evaluate(model: &Ials, matrix: &'a InteractionMatrix) -> Self {
        let (users, items) = (model.users.rows(), model.items.rows());
        let hyper = &model.hyper;
        let weight_of = |count: usize, opposite: usize| match count {
            0 => 0.0,
            count => hyper.regularisation(count, opposite),
        };
        let lambda_users: Vec<f64> = (0..users)
            .map(|u| weight_of(matrix.user(u as u32).len(), matrix.active_items()))
            .collect();
        let lambda_items: Vec<f64> = (0..items)
            .map(|i| weight_of(matrix.item(i as u32).len(), matrix.active_users()))
            .collect();
        let (root_users, root_items) = (inverse_roots(&lambda_users), inverse_roots(&lambda_items));
        let sizes: Vec<f64> = (0..items).map(|item| norm(model.items.row(item))).collect();
        let rows: Vec<(Vec<f64>, PairSums)> = (0..users)
            .into_par_iter()
            .with_min_len(ROWS_PER_TASK)
            .map(|user| {
                vectorised(
                    Arch::new(),
                    #[inline(always)]
                    || residuals_of(model, matrix, user, root_users[user], &root_items, &sizes),
                )
            })
            .collect();
        let mut sums = PairSums {
            norm_squared: norm_squared(model),
            ..PairSums::default()
        };
        for chunk in rows.chunks(ROWS_PER_TASK) {
            let mut chunk_sums = PairSums::default();
            for (_, row) in chunk {
                chunk_sums.add(row);
            }
            sums.add(&chunk_sums);
        }
        let by_user: Vec<Vec<f64>> = rows.into_iter().map(|(values, _)| values).collect();
        let by_item = transposed(&by_user, matrix, items);
        Self {
            matrix,
            by_user,
            by_item,
            scaled_users: scaled(&model.users, &root_users),
            scaled_items: scaled(&model.items, &root_items),
            alpha0: hyper.alpha0,
            root_lambda_users: lambda_users.iter().map(|l| l.sqrt()).collect(),
            root_lambda_items: lambda_items.iter().map(|l| l.sqrt()).collect(),
            lambda_users,
            lambda_items,
            sums,
        }
    }

    /// The mean of λ_u times the mean of λ_i: what a typical entry is scaled down by, squared.
    pub(super) fn typical_weight(&self) -> f64 {
        let mean = |lambda: &[f64]| {
            let active = lambda.iter().filter(|l| **l > 0.0).count();
            lambda.iter().sum::<f64>() / active.max(1) as f64
        };
        mean(&self.lambda_users) * mean(&self.lambda_items)
    }

    /// `Σ_S F² c/(c + α₀)` of the matrix `F = left_a right_aᵀ + left_b right_bᵀ`, users × items.
    /// Cost: `|S|·k` multiply-adds for k columns altogether.
    pub(super) fn observed_share(&self, a: (&Tall, &Tall), b: (&Tall, &Tall)) -> f64 {
        let tasks = self.by_user.len().div_ceil(ROWS_PER_TASK);
        let partial: Vec<f64> = (0..tasks)
            .into_par_iter()
            .map(|task| {
                let first = task * ROWS_PER_TASK;
                let last = (first + ROWS_PER_TASK).min(self.by_user.len());
                vectorised(
                    Arch::new(),
                    #[inline(always)]
                    || {
                        let mut sum = 0.0;
                        for user in first..last {
                            for entry in self.matrix.user(user as u32) {
                                let (item, c) = (entry.index as usize, f64::from(entry.weight));
                                let value = dot_f64(a.0.row(user), a.1.row(item))
                                    + dot_f64(b.0.row(user), b.1.row(item));
                                sum += value * value * (c / (c + self.alpha0));
                            }
                        }
                        sum
                    },
                )
            })
            .collect();
        partial.into_iter().sum()
    }

    /// Columns of the operator.
    pub(super) fn items(&self) -> usize {
        self.by_item.len()
    }

    /// `G̃ V` for `V` of items × k.
    pub(super) fn apply(&self, vectors: &Tall) -> Tall {
        let mut product = sparse_times(&self.by_user, |u| self.matrix.user(u), vectors);
        let inner = self.scaled_items.transposed_times(vectors);
        product.add_product(&self.scaled_users, inner.as_ref(), 2.0 * self.alpha0);
        product
    }

    /// `G̃ᵀ U` for `U` of users × k.
    pub(super) fn apply_transposed(&self, vectors: &Tall) -> Tall {
        let mut product = sparse_times(&self.by_item, |i| self.matrix.item(i), vectors);
        let inner = self.scaled_users.transposed_times(vectors);
        product.add_product(&self.scaled_items, inner.as_ref(), 2.0 * self.alpha0);
        product
    }

    /// The sparse part alone, times a block of vectors of items.
    pub(super) fn sparse_apply(&self, block: &Block) -> Block {
        sparse_times_block(&self.by_user, |u| self.matrix.user(u), block)
    }

    /// The sparse part alone, transposed, times a block of vectors of users.
    pub(super) fn sparse_apply_transposed(&self, block: &Block) -> Block {
        sparse_times_block(&self.by_item, |i| self.matrix.item(i), block)
    }
}

impl PairSums {
    fn add(&mut self, other: &Self) {
        self.residual_along += other.residual_along;
        self.residual_along_absolute += other.residual_along_absolute;
        self.gradient_correction += other.gradient_correction;
        self.rounding_along += other.rounding_along;
        self.rounding_weighted += other.rounding_weighted;
    }
}

#[inline(always)]
fn norm(values: &[f64]) -> f64 {
    dot_f64(values, values).sqrt()
}

/// 2c(x−t) of one user's pairs, scaled, and what they add to the sums.
#[inline(always)]
fn residuals_of(
    model: &Ials,
    matrix: &InteractionMatrix,
    user: usize,
    root_user: f64,
    root_items: &[f64],
    sizes: &[f64],
) -> (Vec<f64>, PairSums) {
    let own = model.users.row(user);
    let own_size = norm(own);
    let entries = matrix.user(user as u32);
    let mut values = Vec::with_capacity(entries.len());
    let mut sums = PairSums::default();
    for entry in entries {
        let item = entry.index as usize;
        let x = dot_f64(own, model.items.row(item));
        let error = x - f64::from(entry.target);
        let residual = f64::from(entry.weight) * error;
        let dense = 2.0 * model.hyper.alpha0 * x;
        let observed = 2.0 * residual + dense;
        sums.residual_along += residual * x;
        sums.residual_along_absolute += (residual * x).abs();
        sums.gradient_correction += observed * observed - dense * dense;
        let size = own_size * sizes[item] + 1.0;
        let weighted = f64::from(entry.weight) * size;
        sums.rounding_along += weighted * (x.abs() + error.abs());
        sums.rounding_weighted += weighted * size;
        values.push(2.0 * residual * root_user * root_items[item]);
    }
    (values, sums)
}

/// `‖PQᵀ‖_F² = ⟨PᵀP, QᵀQ⟩`, with Gram matrices built anew: updated ones carry rounding.
fn norm_squared(model: &Ials) -> f64 {
    let (users, items) = (
        Gramian::from_factors(&model.users),
        Gramian::from_factors(&model.items),
    );
    (0..model.hyper.dim)
        .map(|k| users.matrix().col(k).transpose() * items.matrix().col(k))
        .sum()
}

fn scaled(factors: &Factors, roots: &[f64]) -> Tall {
    Tall::from_rows(factors.rows(), factors.dim(), |row, into| {
        for (value, factor) in into.iter_mut().zip(factors.row(row)) {
            *value = factor * roots[row];
        }
    })
}

fn inverse_roots(lambda: &[f64]) -> Vec<f64> {
    lambda
        .iter()
        .map(|l| if *l > 0.0 { 1.0 / l.sqrt() } else { 0.0 })
        .collect()
}

/// The values in the order of the items' lists. Users come ascending, as in those lists.
fn transposed(by_user: &[Vec<f64>], matrix: &InteractionMatrix, items: usize) -> Vec<Vec<f64>> {
    let mut by_item: Vec<Vec<f64>> = (0..items)
        .map(|item| Vec::with_capacity(matrix.item(item as u32).len()))
        .collect();
    for (user, values) in by_user.iter().enumerate() {
        for (entry, value) in matrix.user(user as u32).iter().zip(values) {
            by_item[entry.index as usize].push(*value);
        }
    }
    by_item
}

/// The sparse matrix whose row r has `values[r]` at the columns of `entries(r)`, times `vectors`.
fn sparse_times<'m>(
    values: &[Vec<f64>],
    entries: impl Fn(u32) -> &'m [Entry] + Sync,
    vectors: &Tall,
) -> Tall {
    Tall::from_rows(values.len(), vectors.columns(), |row, sum| {
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                for (value, entry) in values[row].iter().zip(entries(row as u32)) {
                    add_scaled_f64(sum, *value, vectors.row(entry.index as usize));
                }
            },
        );
    })
}

/// The same for a block of vectors.
fn sparse_times_block<'m>(
    values: &[Vec<f64>],
    entries: impl Fn(u32) -> &'m [Entry] + Sync,
    block: &Block,
) -> Block {
    Block::from_rows(values.len(), |row| {
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                let mut sums = [0.0; WIDTH];
                for (value, entry) in values[row].iter().zip(entries(row as u32)) {
                    let along = block.row(entry.index as usize);
                    sums.iter_mut()
                        .zip(along)
                        .for_each(|(sum, a)| *sum += value * a);
                }
                sums
            },
        )
    })
}
