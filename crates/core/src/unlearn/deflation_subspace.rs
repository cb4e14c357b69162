//! The directions of the scaled gradient that are treated exactly: those that the model carries,
//! and others near the dual limit; see [`duality_gap`](super::duality_gap) for why.

use faer::Mat;

use crate::model::factors::Factors;
use crate::model::ials::Ials;
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::tall::{Tall, both};

/// Most directions that the subspace is extended by at once.
const EXTENSION_MAX: usize = 48;

/// Largest inner product that columns may have and still count as orthogonal.
const ORTHOGONALITY: f64 = 1e-13;

/// A candidate of which less than this share lies outside the others is left out: what is left of
/// it is mostly rounding.
const OUTSIDE_SHARE: f64 = 0.1;

/// Directions of X below this share of the largest are rounding.
const CARRIED_SHARE: f64 = 1e-9;

/// Directions of X below this share of the largest may be left to the complement.
const WEAK_SHARE: f64 = 1e-3;

/// Orthonormal bases of the directions treated exactly, and what G̃ makes of them.
#[derive(Clone)]
pub(super) struct DeflationSubspace {
    /// U and V, users × k and items × k.
    pub(super) left: Tall,
    pub(super) right: Tall,
    /// `G̃V`, users × k, and `G̃ᵀU`, items × k.
    pub(super) image: Tall,
    pub(super) back: Tall,
    /// How many of the columns are the model's own directions; the others are tracked Ritz vectors.
    pub(super) own: usize,
}

/// `Λ_u^{1/2} P` and `Λ_i^{1/2} Q`: their product is X as the regulariser sees it.
pub(super) struct WeightedFactors {
    pub(super) users: Tall,
    pub(super) items: Tall,
}

impl WeightedFactors {
    pub(super) fn compute(model: &Ials, operator: &ScaledGradient<'_>) -> Self {
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

    /// The singular vectors of the product that carry something, and their values, descending;
    /// `None` when it cannot be decomposed.
    fn directions(&self) -> Option<(Tall, Tall, Vec<f64>)> {
        let ((left, left_r), (right, right_r)) = both(
            || self.users.orthonormalised(),
            || self.items.orthonormalised(),
        );
        let core: Mat<f64> = left_r * right_r.transpose();
        let svd = core.thin_svd().ok()?;
        let values: Vec<f64> = svd.S().column_vector().iter().copied().collect();
        let least = CARRIED_SHARE * values.first().copied().unwrap_or(0.0);
        let carried = values.iter().filter(|value| **value > least).count();
        let (left, right) = both(
            || left.times(svd.U().get(.., ..carried)),
            || right.times(svd.V().get(.., ..carried)),
        );
        Some((left, right, values[..carried].to_vec()))
    }
}

impl DeflationSubspace {
    /// The model's own directions, but for those too weak to be worth it, and then `candidates`
    /// (items × any number), after so many steps of subspace iteration, as far as they lie outside.
    /// `None` when X cannot be decomposed.
    ///
    /// A column that is dying or just born carries next to nothing, and its direction is a singular
    /// vector of G̃ only roughly: it is treated exactly where the coupling that this costs (second
    /// order, weighed by `coupling_price`) is less than what X carries along it costs otherwise
    /// (first order). One that is left out is a candidate, as a direction near the limit.
    pub(super) fn from_model(
        weighted: &WeightedFactors,
        operator: &ScaledGradient<'_>,
        coupling_price: f64,
        candidates: &Tall,
        iterations: usize,
    ) -> Option<Self> {
        let (left, right, values) = weighted.directions()?;
        let (image, back) = both(
            || operator.apply(&right),
            || operator.apply_transposed(&left),
        );
        let block = left.transposed_times(&image);
        let squares = |tall: &Tall| tall.column_squares();
        let (images, backs) = (squares(&image), squares(&back));
        let largest = values.first().copied().unwrap_or(0.0);
        let worth_it = |k: usize| {
            if values[k] > WEAK_SHARE * largest {
                return true;
            }
            let along = |range: &dyn Fn(usize) -> f64| -> f64 {
                (0..values.len()).map(|j| range(j) * range(j)).sum()
            };
            let coupling =
                (images[k] - along(&|j| block[(j, k)])) + (backs[k] - along(&|j| block[(k, j)]));
            let off_the_limit = values[k] * (2.0 + block[(k, k)]).abs();
            coupling_price * coupling.max(0.0) <= off_the_limit.max(LEAST_PRICE)
        };
        let (kept, left_out): (Vec<usize>, Vec<usize>) =
            (0..values.len()).partition(|k| worth_it(*k));
        let left_out = right.columns_at(&left_out);
        let mut subspace = Self {
            left: left.columns_at(&kept),
            right: right.columns_at(&kept),
            image: image.columns_at(&kept),
            back: back.columns_at(&kept),
            own: kept.len(),
        };
        let candidates = left_out.beside(&subspace.iterated(operator, candidates, iterations));
        subspace.extend(operator, &candidates);
        Some(subspace)
    }

    /// Steps of subspace iteration outside the bases: `CᵀC` times `candidates`, with C the operator
    /// there, and again. Candidates that stem from a model a little different lead, after each, less to
    /// directions of small singular values, and so couple less. Cost: two products with each, a step.
    fn iterated(&self, operator: &ScaledGradient<'_>, candidates: &Tall, steps: usize) -> Tall {
        let mut candidates = candidates.leading(candidates.columns().min(EXTENSION_MAX));
        if candidates.columns() == 0 {
            return candidates;
        }
        for _ in 0..steps {
            candidates.remove(&self.right);
            candidates = candidates.orthonormalised().0;
            let mut images = operator.apply(&candidates);
            images.remove(&self.left);
            candidates = operator.apply_transposed(&images);
        }
        candidates
    }

    /// No directions at all.
    pub(super) fn empty(operator: &ScaledGradient<'_>) -> Self {
        let nothing = |rows| Tall::from_rows(rows, 0, |_, _| {});
        let (users, items) = (operator.lambda_users.len(), operator.lambda_items.len());
        Self {
            left: nothing(users),
            right: nothing(items),
            image: nothing(users),
            back: nothing(items),
            own: 0,
        }
    }

    /// Extends the two bases by `candidates` (items × any number), the most important first, and their
    /// images, as far as they lie outside. False, and nothing changes, when there is nothing
    /// outside or it cannot be made orthogonal.
    pub(super) fn extend(&mut self, operator: &ScaledGradient<'_>, candidates: &Tall) -> bool {
        let candidates = candidates.leading(candidates.columns().min(EXTENSION_MAX));
        let Some(rights) = outside(candidates, &self.right) else {
            return false;
        };
        let image = operator.apply(&rights);
        let Some(lefts) = outside(image, &self.left) else {
            return false;
        };
        // As many on either side: a right vector whose image is within has nothing to pair with.
        let columns = lefts.columns().min(rights.columns());
        let (lefts, rights) = (lefts.leading(columns), rights.leading(columns));
        let (image, back) = both(
            || operator.apply(&rights),
            || operator.apply_transposed(&lefts),
        );
        *self = Self {
            left: self.left.beside(&lefts),
            right: self.right.beside(&rights),
            image: self.image.beside(&image),
            back: self.back.beside(&back),
            own: self.own,
        };
        true
    }

    /// What the coupling of each column to the outside costs, weighed by `coupling_price`; nothing for
    /// the model's own directions. Cost: `users·k²` multiply-adds.
    pub(super) fn coupling_costs(&self, coupling_price: f64) -> Vec<f64> {
        let block = self.left.transposed_times(&self.image);
        let (images, backs) = (self.image.column_squares(), self.back.column_squares());
        let columns = self.left.columns();
        let cost = |k: usize| {
            let within =
                |at: &dyn Fn(usize) -> f64| (0..columns).map(|j| at(j) * at(j)).sum::<f64>();
            let out =
                images[k] - within(&|j| block[(j, k)]) + backs[k] - within(&|j| block[(k, j)]);
            coupling_price * out.max(0.0)
        };
        (0..columns)
            .map(|k| if k < self.own { 0.0 } else { cost(k) })
            .collect()
    }

    /// Drops tracked Ritz vectors, back into the complement, where that of `costs`, one a column, is
    /// more than `cost_max`: they are no longer near enough to singular vectors. False when all stay.
    pub(super) fn drop_coupled(&mut self, costs: &[f64], cost_max: f64) -> bool {
        let kept: Vec<usize> = (0..costs.len())
            .filter(|k| *k < self.own || costs[*k] <= cost_max)
            .collect();
        if kept.len() == costs.len() {
            return false;
        }
        *self = Self {
            left: self.left.columns_at(&kept),
            right: self.right.columns_at(&kept),
            image: self.image.columns_at(&kept),
            back: self.back.columns_at(&kept),
            own: self.own,
        };
        true
    }

    /// The right ones of the tracked Ritz vectors, the latest first.
    pub(super) fn tracked(&self) -> Tall {
        let columns: Vec<usize> = (self.own..self.right.columns()).rev().collect();
        self.right.columns_at(&columns)
    }
}

/// What a direction may cost by its coupling whatever it carries: nothing against any target.
const LEAST_PRICE: f64 = 1e-12;

/// An orthonormal basis of what `columns` have outside `basis`, without those that have too little
/// there; `None` when that is none, or when rounding leaves too much of it inside.
fn outside(mut columns: Tall, basis: &Tall) -> Option<Tall> {
    let sizes = columns.column_squares();
    columns.remove(basis);
    let (columns, triangle) = columns.orthonormalised();
    let enough: Vec<usize> = (0..columns.columns())
        .filter(|k| triangle[(*k, *k)].abs() > OUTSIDE_SHARE * sizes[*k].sqrt())
        .collect();
    let mut columns = columns.columns_at(&enough);
    if columns.columns() == 0 {
        return None;
    }
    // What was nearly within the basis was scaled up, its rounding too.
    columns.remove(basis);
    let (columns, _) = columns.orthonormalised();
    let within = basis.transposed_times(&columns).norm_max();
    (within <= ORTHOGONALITY).then_some(columns)
}
