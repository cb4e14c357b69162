//! The rank finds itself: columns the factors lack are added, columns that died are dropped.
//!
//! A stationary point of the factored objective may be a saddle of the convex one: where the
//! scaled gradient has a singular value σ above its limit and X carries nothing along the singular
//! vectors, the block systems notice nothing, and descent along that direction is waiting
//! (Haeffele & Vidal 2015). Such directions enter as new columns, by an exact line search. Then
//! the factors are balanced, which changes X only by what is dropped: with
//! `Λ_u^{1/2} P Qᵀ Λ_i^{1/2} = U S Vᵀ` the columns become `Λ_u^{-1/2} U S^{1/2}` and
//! `Λ_i^{-1/2} V S^{1/2}`, the factorisation of X with the least regularisation.

use faer::Mat;

use crate::model::factors::Factors;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::simd::dot_f64;
use crate::unlearn::duality_gap::Direction;

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

/// Balances the factors, lets `directions` enter and drops what is dead, keeping d columns.
///
/// Cost: `4(users+items)·(d+k)²` multiply-adds for k directions, and `|S|·k`.
pub fn settle_rank(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    directions: &[Direction],
) -> RankReport {
    let view = Weights::of(model, matrix);
    let lengths: Vec<f64> = directions
        .iter()
        .map(|direction| view.step(model, matrix, direction) / directions.len() as f64)
        .collect();
    let dim = model.hyper.dim;
    let columns = dim + directions.len();
    let users = Mat::from_fn(view.users.len(), columns, |u, k| match k.checked_sub(dim) {
        None => view.users[u].sqrt() * model.users.row(u)[k],
        // X moves along −a bᵀ: against the gradient.
        Some(new) => -lengths[new].sqrt() * directions[new].users[u],
    });
    let items = Mat::from_fn(view.items.len(), columns, |i, k| match k.checked_sub(dim) {
        None => view.items[i].sqrt() * model.items.row(i)[k],
        Some(new) => lengths[new].sqrt() * directions[new].items[i],
    });
    let (users, items) = (users.qr(), items.qr());
    let core = users.thin_R() * items.thin_R().transpose();
    let Ok(svd) = core.thin_svd() else {
        return RankReport {
            rank: dim,
            entered: 0,
            dropped_share: 0.0,
        };
    };
    let values: Vec<f64> = svd.S().column_vector().iter().copied().collect();
    let largest = values.first().copied().unwrap_or(0.0);
    let rank = values
        .iter()
        .take(dim)
        .filter(|value| **value > DEAD_SHARE * largest)
        .count();
    let dropped = values.get(dim).copied().unwrap_or(0.0);
    let left = users.compute_thin_Q() * svd.U().get(.., ..rank);
    let right = items.compute_thin_Q() * svd.V().get(.., ..rank);
    write(&mut model.users, &left, &view.users, &values);
    write(&mut model.items, &right, &view.items, &values);
    model.rebuild_gramians();
    RankReport {
        rank,
        entered: directions.len(),
        dropped_share: if largest > 0.0 && dropped > DEAD_SHARE * largest {
            dropped / largest
        } else {
            0.0
        },
    }
}

fn write(factors: &mut Factors, orthonormal: &Mat<f64>, weights: &[f64], values: &[f64]) {
    for (row, weight) in weights.iter().enumerate() {
        let target = factors.row_mut(row);
        target.fill(0.0);
        if *weight > 0.0 {
            for k in 0..orthonormal.ncols() {
                target[k] = orthonormal[(row, k)] * (values[k] / weight).sqrt();
            }
        }
    }
}

/// Λ_u and Λ_i, zero where there is no interaction.
struct Weights {
    users: Vec<f64>,
    items: Vec<f64>,
}

impl Weights {
    fn of(model: &Ials, matrix: &InteractionMatrix) -> Self {
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

    /// The t ≥ 0 that minimises `F(X + tE)` with `E = −Λ_u^{-1/2} a bᵀ Λ_i^{-1/2}`, bounded by
    /// letting the nuclear norm grow by t: `(σ − 1) / (Σ_S c E² + α₀ Σ E²)`.
    fn step(&self, model: &Ials, matrix: &InteractionMatrix, direction: &Direction) -> f64 {
        let users = scaled(&direction.users, &self.users);
        let items = scaled(&direction.items, &self.items);
        let mut curvature = model.hyper.alpha0 * dot_f64(&users, &users) * dot_f64(&items, &items);
        for (u, left) in users.iter().enumerate() {
            for entry in matrix.user(u as u32) {
                let e = left * items[entry.index as usize];
                curvature += f64::from(entry.weight) * e * e;
            }
        }
        if curvature > 0.0 {
            ((direction.sigma - 1.0) / curvature).max(0.0)
        } else {
            0.0
        }
    }
}

fn scaled(values: &[f64], weights: &[f64]) -> Vec<f64> {
    let scale = |(value, weight): (&f64, &f64)| {
        if *weight > 0.0 {
            value / weight.sqrt()
        } else {
            0.0
        }
    };
    values.iter().zip(weights).map(scale).collect()
}
