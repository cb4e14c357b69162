//! The rank finds itself: columns the factors lack are added, columns that died are dropped.
//!
//! A stationary point of the factored objective may be a saddle of the convex one: where the
//! scaled gradient has a singular value σ above its limit and X carries nothing along the singular
//! vectors, the block systems notice nothing, and descent along that direction is waiting
//! (Haeffele & Vidal 2015). Such directions enter as new columns; their weights, and those of
//! the weakest columns there are, are the best ones together (module `column_weights`).
//! Then the factors are balanced, which changes X only by what is dropped: with
//! `Λ_u^{1/2} P Qᵀ Λ_i^{1/2} = U S Vᵀ` the columns become `Λ_u^{-1/2} U S^{1/2}` and
//! `Λ_i^{-1/2} V S^{1/2}`, the factorisation of X with the least regularisation.

use faer::Mat;

use crate::model::factors::Factors;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::unlearn::column_weights::optimal_column_weights;
use crate::unlearn::dual_limit::Direction;
use crate::unlearn::tall::{Tall, both};

/// A column below this share of the largest is dropped: it is rounding, or dying.
const DEAD_SHARE: f64 = 1e-9;

/// What became of the columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankReport {
    /// Columns that carry something now.
    pub rank: usize,
    /// New columns that entered.
    pub entered: usize,
    /// The largest singular value of `Λ_u^{1/2} X Λ_i^{1/2}` that had to be dropped because all
    /// d columns were taken, as a share of the largest; 0 when everything found room.
    pub dropped_share: f64,
}

/// Most columns whose weights are found anew at once, the weakest ones and the new ones.
const WEAK_MAX: usize = 48;

/// Balances the factors, lets `directions` enter and drops what is dead, keeping d columns.
///
/// The objective does not rise but for what is dropped. Cost: `4(users+items)·(d+k)²`
/// multiply-adds for k directions, twice, and `|S|(d + w²)` for w weak columns, at most 48.
pub(super) fn rebalance(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    directions: &[Direction],
) -> RankReport {
    let weights = Weights::from_counts(model, matrix);
    let dim = model.hyper.dim;
    let unchanged = RankReport {
        rank: dim,
        entered: 0,
        dropped_share: 0.0,
    };
    let (users, items) = weights.weighted(model);
    let Some(balanced) = Balanced::decompose(&users, &items) else {
        return unchanged;
    };
    let Some(rebalanced) = weights.rebalanced(model, matrix, balanced, directions) else {
        return unchanged;
    };
    let largest = rebalanced.values.first().copied().unwrap_or(0.0);
    let alive = rebalanced
        .values
        .iter()
        .filter(|value| **value > DEAD_SHARE * largest)
        .count();
    let rank = alive.min(dim);
    let dropped = rebalanced.values.get(dim).copied().unwrap_or(0.0);
    write(
        &mut model.users,
        &rebalanced.users,
        &weights.users,
        &rebalanced.values[..rank],
    );
    write(
        &mut model.items,
        &rebalanced.items,
        &weights.items,
        &rebalanced.values[..rank],
    );
    model.rebuild_gramians();
    RankReport {
        rank,
        entered: directions.len(),
        dropped_share: if alive > dim { dropped / largest } else { 0.0 },
    }
}

fn write(factors: &mut Factors, orthonormal: &Tall, weights: &[f64], values: &[f64]) {
    for (row, weight) in weights.iter().enumerate() {
        let target = factors.row_mut(row);
        target.fill(0.0);
        if *weight > 0.0 {
            let columns = target.iter_mut().zip(orthonormal.row(row)).zip(values);
            for ((target, direction), value) in columns {
                *target = direction * (value / weight).sqrt();
            }
        }
    }
}

/// `Λ_u^{1/2} X Λ_i^{1/2} = U S Vᵀ`, descending.
struct Balanced {
    users: Tall,
    items: Tall,
    values: Vec<f64>,
}

impl Balanced {
    /// Of the product `users · itemsᵀ`; `None` when it cannot be decomposed.
    fn decompose(users: &Tall, items: &Tall) -> Option<Self> {
        let ((left, left_r), (right, right_r)) =
            both(|| users.orthonormalised(), || items.orthonormalised());
        let core: Mat<f64> = left_r * right_r.transpose();
        let svd = core.thin_svd().ok()?;
        let (users, items) = both(|| left.times(svd.U()), || right.times(svd.V()));
        Some(Self {
            users,
            items,
            values: svd.S().column_vector().iter().copied().collect(),
        })
    }
}

/// Λ_u and Λ_i, zero where there is no interaction.
struct Weights {
    users: Vec<f64>,
    items: Vec<f64>,
}

impl Weights {
    fn from_counts(model: &Ials, matrix: &InteractionMatrix) -> Self {
        let weight = |count: usize, opposite: usize| match count {
            0 => 0.0,
            count => model.hyper.regularisation(count, opposite),
        };
        Self {
            users: (0..model.users.rows())
                .map(|u| weight(matrix.user(u as u32).len(), matrix.active_items()))
                .collect(),
            items: (0..model.items.rows())
                .map(|i| weight(matrix.item(i as u32).len(), matrix.active_users()))
                .collect(),
        }
    }

    /// `Λ_u^{1/2} P` and `Λ_i^{1/2} Q`.
    fn weighted(&self, model: &Ials) -> (Tall, Tall) {
        let weighted = |factors: &Factors, weights: &[f64]| {
            Tall::from_rows(factors.rows(), factors.dim(), |row, into| {
                let root = weights[row].sqrt();
                for (value, factor) in into.iter_mut().zip(factors.row(row)) {
                    *value = root * factor;
                }
            })
        };
        (
            weighted(&model.users, &self.users),
            weighted(&model.items, &self.items),
        )
    }

    /// `balanced` with the directions beside it and the best weights for them and for its
    /// weakest columns, balanced again.
    fn rebalanced(
        &self,
        model: &Ials,
        matrix: &InteractionMatrix,
        balanced: Balanced,
        directions: &[Direction],
    ) -> Option<Balanced> {
        let columns = balanced.values.len();
        let strong = columns.saturating_sub(WEAK_MAX.saturating_sub(directions.len()));
        // X moves along −a bᵀ: against the gradient.
        let new_users = Tall::from_rows(balanced.users.rows(), directions.len(), |row, into| {
            for (value, direction) in into.iter_mut().zip(directions) {
                *value = -direction.users[row];
            }
        });
        let new_items = Tall::from_rows(balanced.items.rows(), directions.len(), |row, into| {
            for (value, direction) in into.iter_mut().zip(directions) {
                *value = direction.items[row];
            }
        });
        let (users, items) = (
            balanced.users.beside(&new_users),
            balanced.items.beside(&new_items),
        );
        let mut values = balanced.values;
        values.resize(columns + directions.len(), 0.0);
        let best = optimal_column_weights(
            model,
            matrix,
            &unscaled(&users, &self.users, strong),
            &unscaled(&items, &self.items, strong),
            &values[strong..],
        );
        values.splice(strong.., best);
        let with_root = |directions: &Tall| {
            Tall::from_rows(directions.rows(), directions.columns(), |row, into| {
                for ((into, direction), value) in
                    into.iter_mut().zip(directions.row(row)).zip(&values)
                {
                    *into = direction * value.sqrt();
                }
            })
        };
        Balanced::decompose(&with_root(&users), &with_root(&items))
    }
}

/// `Λ^{-1/2}` times the columns from `first` on.
fn unscaled(directions: &Tall, weights: &[f64], first: usize) -> Tall {
    let columns = directions.columns() - first;
    Tall::from_rows(directions.rows(), columns, |row, into| {
        if weights[row] > 0.0 {
            let root = weights[row].sqrt();
            for (value, direction) in into.iter_mut().zip(&directions.row(row)[first..]) {
                *value = direction / root;
            }
        }
    })
}
