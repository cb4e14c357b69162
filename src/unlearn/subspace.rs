//! The directions of the scaled gradient that are treated exactly, and what it takes to cut them to
//! the dual limit; see [`duality_gap`](super::duality_gap) for why.

use faer::{Mat, MatRef};

use crate::model::factors::Factors;
use crate::model::ials::Ials;
use crate::unlearn::duality_gap::{DUAL_LIMIT, Direction};
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::tall::{Tall, both};

/// Most directions that join in one round.
const JOIN_MAX: usize = 32;

/// Singular values from this share of the limit on count as at the limit.
const AT_LIMIT_SHARE: f64 = 1.0 - 1e-6;

/// Relative allowance for rounding in the dual scaling: orthonormality of U and V holds to about
/// 1e-14, products with G̃ to about 1e-13.
const SCALING_ALLOWANCE: f64 = 1e-12;

/// Largest inner product that columns may have and still count as orthogonal.
const ORTHOGONALITY: f64 = 1e-13;

/// X lacks a direction when it carries less along it than this share of what it carries along the
/// fullest of those over the limit.
const LACKING_SHARE: f64 = 1e-2;

/// Orthonormal bases of the directions treated exactly, and what G̃ makes of them.
#[derive(Clone)]
pub(super) struct Subspace {
    /// users × k and items × k.
    pub(super) left: Tall,
    pub(super) right: Tall,
    /// `G̃ right`, users × k, and `G̃ᵀ left`, items × k.
    image: Tall,
    back: Tall,
}

/// `Λ_u^{1/2} P` and `Λ_i^{1/2} Q`.
pub(super) struct WeightedFactors {
    users: Tall,
    items: Tall,
}

impl WeightedFactors {
    pub(super) fn of(model: &Ials, operator: &ScaledGradient<'_>) -> Self {
        let weighted = |factors: &Factors, lambda: &[f64]| {
            Tall::from_rows(factors.rows(), factors.dim(), |row, into| {
                let root = lambda[row].sqrt();
                for (value, factor) in into.iter_mut().zip(factors.row(row)) {
                    *value = root * factor;
                }
            })
        };
        Self {
            users: weighted(&model.users, &operator.lambda_users),
            items: weighted(&model.items, &operator.lambda_items),
        }
    }

    /// `a_kᵀ Λ_u^{1/2} X Λ_i^{1/2} b_k`, how much X carries along each pair of columns.
    fn carried(&self, lefts: &Tall, rights: &Tall) -> Vec<f64> {
        let users = self.users.transposed_times(lefts);
        let items = self.items.transposed_times(rights);
        (0..lefts.columns())
            .map(|k| users.col(k).transpose() * items.col(k))
            .collect()
    }
}

impl Subspace {
    /// The singular vectors of `Λ_u^{1/2} X Λ_i^{1/2}`, descending, whose values are more than
    /// each of `shares` of the largest: one subspace a share, the smallest share first.
    ///
    /// Only directions that carry something: the others are arbitrary, and G̃ does not map them
    /// onto one another.
    pub(super) fn of_factors(
        weighted: &WeightedFactors,
        operator: &ScaledGradient<'_>,
        shares: &[f64],
    ) -> Vec<Self> {
        let ((left, left_r), (right, right_r)) = both(
            || weighted.users.orthonormalised(),
            || weighted.items.orthonormalised(),
        );
        let core = left_r * right_r.transpose();
        let svd = core.thin_svd();
        let largest = match &svd {
            Ok(svd) => svd.S().column_vector().iter().copied().fold(0.0, f64::max),
            Err(_) => 0.0,
        };
        let kept = |share: f64| match &svd {
            Ok(svd) => (svd.S().column_vector().iter())
                .filter(|value| **value > share * largest)
                .count(),
            Err(_) => left.columns().min(right.columns()),
        };
        let most = shares.iter().map(|share| kept(*share)).max().unwrap_or(0);
        let (left, right) = match &svd {
            Ok(svd) => both(
                || left.times(svd.U().get(.., ..most)),
                || right.times(svd.V().get(.., ..most)),
            ),
            Err(_) => (left.leading(most), right.leading(most)),
        };
        let whole = Self {
            image: operator.apply(&right),
            back: operator.apply_transposed(&left),
            left,
            right,
        };
        shares
            .iter()
            .map(|share| whole.leading(kept(*share)))
            .collect()
    }

    fn leading(&self, columns: usize) -> Self {
        Self {
            left: self.left.leading(columns),
            right: self.right.leading(columns),
            image: self.image.leading(columns),
            back: self.back.leading(columns),
        }
    }

    /// Lets `vectors`, descending in importance, and their images join the two bases. False, and
    /// nothing joins, when the new columns cannot be made orthogonal to the old ones.
    pub(super) fn join(&mut self, operator: &ScaledGradient<'_>, vectors: &Tall) -> bool {
        let candidates = vectors.leading(vectors.columns().min(JOIN_MAX));
        let Some(rights) = outside(candidates, &self.right) else {
            return false;
        };
        let image = operator.apply(&rights);
        let Some(lefts) = outside(image.clone(), &self.left) else {
            return false;
        };
        let back = operator.apply_transposed(&lefts);
        *self = Self {
            left: self.left.beside(&lefts),
            right: self.right.beside(&rights),
            image: self.image.beside(&image),
            back: self.back.beside(&back),
        };
        true
    }

    /// Cuts the block within the subspace to the dual limit and measures the coupling.
    pub(super) fn cut(&self, operator: &ScaledGradient<'_>, weighted: &WeightedFactors) -> Cut {
        let block = self.left.transposed_times(&self.image);
        let Ok(svd) = block.svd() else {
            return Cut::unknown();
        };
        let coupling =
            |image: &Tall, basis: &Tall, inner: MatRef<'_, f64>, turn: MatRef<'_, f64>| {
                let mut outside = image.times(turn);
                outside.add_product(basis, (inner * turn).as_ref(), -1.0);
                outside.transposed_times(&outside)
            };
        let (out_left, out_right) = both(
            || coupling(&self.image, &self.left, block.as_ref(), svd.V()),
            || coupling(&self.back, &self.right, block.transpose(), svd.U()),
        );
        let values: Vec<f64> = (0..block.ncols()).map(|k| svd.S()[k]).collect();
        let over = values.iter().filter(|value| **value > DUAL_LIMIT).count();
        let lefts = self.left.times(svd.U().get(.., ..over));
        let rights = self.right.times(svd.V().get(.., ..over));
        let excesses: Vec<f64> = values[..over]
            .iter()
            .map(|value| value - DUAL_LIMIT)
            .collect();
        let carried = weighted.carried(&lefts, &rights);
        Cut {
            arrow: arrow(&values, out_left.as_ref(), out_right.as_ref()),
            growth: growth(&lefts, &rights, &excesses, &carried),
            inner_with_x: excesses.iter().zip(&carried).map(|(e, x)| e * x).sum(),
            norm: weighted_norm(operator, &lefts, &rights, &excesses),
        }
    }
}

/// An orthonormal basis of what `columns` have outside `basis`, or `None` when rounding leaves too
/// much of it inside.
fn outside(mut columns: Tall, basis: &Tall) -> Option<Tall> {
    columns.remove(basis);
    let (mut columns, _) = columns.orthonormalised();
    // What was nearly within the basis is mostly rounding, and was scaled up.
    columns.remove(basis);
    let (columns, _) = columns.orthonormalised();
    let within = basis.transposed_times(&columns).norm_max();
    (within <= ORTHOGONALITY).then_some(columns)
}

/// The pairs whose singular value is over the limit although X carries next to nothing along
/// them. Along those that X does carry, an excess is residual, which the block systems see to.
fn growth(lefts: &Tall, rights: &Tall, excesses: &[f64], carried: &[f64]) -> Vec<Direction> {
    let most = carried.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let lacking = (0..excesses.len()).filter(|k| carried[*k].abs() <= LACKING_SHARE * most);
    let mut directions: Vec<Direction> = lacking
        .map(|k| Direction {
            sigma: 1.0 + excesses[k] / DUAL_LIMIT,
            users: lefts.column(k),
            items: rights.column(k),
        })
        .collect();
    directions.sort_by(|a, b| b.sigma.total_cmp(&a.sigma));
    directions
}

/// The block within the subspace after cutting, and what was cut off.
pub(super) struct Cut {
    /// What is left within the subspace, and how it is coupled to the complement.
    arrow: Vec<Spoke>,
    /// Directions that X lacks.
    pub(super) growth: Vec<Direction>,
    /// ⟨X, E⟩ for the part E that was cut off.
    pub(super) inner_with_x: f64,
    /// ‖E‖_F.
    pub(super) norm: f64,
}

impl Cut {
    /// Nothing could be said about the block: the scale becomes infinite, and so does the gap.
    fn unknown() -> Self {
        let spoke = Spoke {
            value: f64::INFINITY,
            out_left: 0.0,
            out_right: 0.0,
        };
        Self {
            arrow: vec![spoke],
            growth: Vec::new(),
            inner_with_x: 0.0,
            norm: 0.0,
        }
    }

    /// What the cut gradient must be divided by to be dual feasible: at least 1. The norm of a
    /// matrix of blocks is at most the norm of the matrix of their norms, an arrow here.
    pub(super) fn scale(&self, complement: f64) -> f64 {
        let k = self.arrow.len();
        let finite = self.arrow.iter().all(|spoke| spoke.value.is_finite());
        if !finite || !complement.is_finite() {
            return f64::INFINITY;
        }
        let norms = Mat::from_fn(k + 1, k + 1, |i, j| match (i < k, j < k) {
            (true, true) if i == j => self.arrow[i].value,
            (true, true) => 0.0,
            (true, false) => self.arrow[i].out_right,
            (false, true) => self.arrow[j].out_left,
            (false, false) => complement,
        });
        let norm = match norms.singular_values() {
            Ok(values) => values.into_iter().fold(0.0, f64::max),
            Err(_) => return f64::INFINITY,
        };
        (norm / DUAL_LIMIT).max(1.0) * (1.0 + SCALING_ALLOWANCE)
    }
}

/// A part of the subspace: its largest singular value after the cut, and the norms of what leads
/// from it into the complement on either side.
#[derive(Debug, Clone, Copy)]
struct Spoke {
    value: f64,
    out_left: f64,
    out_right: f64,
}

/// One spoke for all singular vectors at the limit, for there it is only their norm together that
/// counts, and one for each of the others: a direction below the limit may be coupled to the
/// complement without the whole coming above it. `values` descend; the couplings come as Gram
/// matrices.
fn arrow(values: &[f64], out_left: MatRef<'_, f64>, out_right: MatRef<'_, f64>) -> Vec<Spoke> {
    let at_limit = values
        .iter()
        .filter(|value| **value >= AT_LIMIT_SHARE * DUAL_LIMIT)
        .count();
    let spoke = |from: usize, to: usize| Spoke {
        value: values[from].min(DUAL_LIMIT),
        out_left: Tall::spectral_norm(out_left, from, to),
        out_right: Tall::spectral_norm(out_right, from, to),
    };
    let first = (at_limit > 0).then(|| spoke(0, at_limit));
    first
        .into_iter()
        .chain((at_limit..values.len()).map(|k| spoke(k, k + 1)))
        .collect()
}

/// ‖Λ_u^{1/2} (Σ e_k a_k b_kᵀ) Λ_i^{1/2}‖_F.
fn weighted_norm(
    operator: &ScaledGradient<'_>,
    lefts: &Tall,
    rights: &Tall,
    excesses: &[f64],
) -> f64 {
    let k = excesses.len();
    let users = Tall::from_rows(lefts.rows(), k, |user, into| {
        let root = operator.lambda_users[user].sqrt();
        for ((value, left), excess) in into.iter_mut().zip(lefts.row(user)).zip(excesses) {
            *value = root * left * excess;
        }
    });
    let items = Tall::from_rows(rights.rows(), k, |item, into| {
        let root = operator.lambda_items[item].sqrt();
        for (value, right) in into.iter_mut().zip(rights.row(item)) {
            *value = root * right;
        }
    });
    let (users, items) = (
        users.transposed_times(&users),
        items.transposed_times(&items),
    );
    let inner: f64 = (0..k)
        .map(|column| users.col(column).transpose() * items.col(column))
        .sum();
    inner.max(0.0).sqrt()
}
