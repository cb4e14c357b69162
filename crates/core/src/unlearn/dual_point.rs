//! The dual point: the gradient less the dual residual, which the dual limit and the model's own
//! directions do not allow, and what that costs; see [`duality_gap`](super::duality_gap) for the whole.

use faer::linalg::solvers::Svd;
use faer::{Mat, MatRef};

use crate::unlearn::deflation_subspace::{DeflationSubspace, WeightedFactors};
use crate::unlearn::dual_limit::{DUAL_LIMIT, Direction, at_least};
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::tall::{Tall, both};

/// X lacks a direction when it carries less along it than this share of what it carries along its
/// fullest.
const LACKING_SHARE: f64 = 1e-3;

/// A singular value from here on is over the limit by more than rounding and residual.
const OVER_LIMIT: f64 = DUAL_LIMIT * (1.0 + 1e-6);

/// The dual residual `F = G − Y`, when the complement needs no scaling.
///
/// With `B = UᵀG̃V` and the model's own column weights `X_B = Uᵀ Λ_u^{1/2} X Λ_i^{1/2} V`, the dual
/// point within the subspace is `Y_B`, the nearest matrix of norm 2 to `B − ρ X_B`: along what the
/// model carries it is `−2`, elsewhere B cut to the limit. The blocks that couple the subspace
/// with its complement belong to F whole; the model carries nothing along them. So every part
/// of F enters the gap in second order but for what is left of the first-order terms.
pub(super) struct DualResidual {
    /// ⟨X, F⟩.
    pub(super) inner_with_x: f64,
    /// ‖F‖_F, unscaled.
    pub(super) norm: f64,
    /// `Σ_S F² c/(c + α₀)`, once it was asked for: what `‖F‖_F²` counts too much for the observed
    /// pairs, whose curvature is `c + α₀`. 0 is valid, too.
    pub(super) observed: f64,
    /// `B − Y_B`.
    taken: Mat<f64>,
    block: Mat<f64>,
    /// ⟨X, C⟩ for the complement C, next to nothing.
    pub(super) complement_inner_with_x: f64,
    /// A bound on ‖C‖_F, unscaled.
    pub(super) complement_norm: f64,
    /// Directions that X lacks, steepest first.
    pub(super) descent_directions: Vec<Direction>,
}

impl DualResidual {
    /// For `subspace`; `None` when its block cannot be decomposed.
    ///
    /// Cost: some `12(users+items)·k²` multiply-adds for k directions.
    pub(super) fn compute(
        subspace: &DeflationSubspace,
        weighted: &WeightedFactors,
        operator: &ScaledGradient<'_>,
        inner_of_x_and_gradient: f64,
        gradient_norm: f64,
    ) -> Option<Self> {
        if subspace.left.columns() == 0 {
            return Some(Self {
                inner_with_x: 0.0,
                norm: 0.0,
                observed: 0.0,
                taken: Mat::zeros(0, 0),
                block: Mat::zeros(0, 0),
                complement_inner_with_x: inner_of_x_and_gradient,
                complement_norm: gradient_norm,
                descent_directions: Vec::new(),
            });
        }
        let block = subspace.left.transposed_times(&subspace.image);
        let users_along = weighted.users.transposed_times(&subspace.left);
        let items_along = weighted.items.transposed_times(&subspace.right);
        let weights = users_along.transpose() * &items_along;
        let shift = 2.0 * operator.alpha0 / operator.typical_weight();
        let shifted = &block - faer::Scale(shift) * &weights;
        let svd = shifted.svd().ok()?;
        let values: Vec<f64> = svd.S().column_vector().iter().copied().collect();
        if !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let clipped = clip(&svd, &values);
        let taken = &block - &clipped;
        let parts = Parts::compute(subspace, operator, block.as_ref(), taken.as_ref());
        let (users_out, items_out) = both(
            || weighted.users.transposed_times(&parts.out_left),
            || weighted.items.transposed_times(&parts.out_right),
        );
        let inner_with_x = sum_of_products(weights.as_ref(), taken.as_ref())
            + sum_of_products(users_along.as_ref(), items_out.as_ref())
            + sum_of_products(users_out.as_ref(), items_along.as_ref());
        let norm = parts.norm();
        let within = sum_of_products(weights.as_ref(), clipped.as_ref());
        Some(Self {
            inner_with_x,
            norm,
            complement_inner_with_x: inner_of_x_and_gradient - inner_with_x - within,
            complement_norm: gradient_norm + norm + parts.norm_within(clipped.as_ref()),
            descent_directions: find_descent_directions(
                subspace,
                &svd,
                block.as_ref(),
                weights.as_ref(),
            ),
            observed: 0.0,
            taken,
            block,
        })
    }

    /// Finds [`DualResidual::observed`], of the same subspace. Cost: `|S|·2k` multiply-adds for k directions.
    pub(super) fn observe(&mut self, subspace: &DeflationSubspace, operator: &ScaledGradient<'_>) {
        let (users, items) = both(
            || {
                let mut out = subspace.image.clone();
                out.add_product(&subspace.left, self.block.as_ref(), -1.0);
                let within = subspace.left.rows_scaled(&operator.root_lambda_users);
                (within, out.rows_scaled(&operator.root_lambda_users))
            },
            || {
                let mut inner = subspace.back.clone();
                let rest = &self.taken - &self.block;
                inner.add_product(&subspace.right, rest.transpose(), 1.0);
                let within = subspace.right.rows_scaled(&operator.root_lambda_items);
                (inner.rows_scaled(&operator.root_lambda_items), within)
            },
        );
        self.observed = operator.observed_share((&users.0, &items.0), (&users.1, &items.1));
    }
}

/// The shifted block with every singular value cut to the limit.
fn clip(svd: &Svd<f64>, values: &[f64]) -> Mat<f64> {
    let scaled = Mat::from_fn(svd.U().nrows(), values.len(), |row, k| {
        svd.U()[(row, k)] * values[k].min(DUAL_LIMIT)
    });
    scaled * svd.V().get(.., ..values.len()).transpose()
}

/// F in the unscaled coordinates, as `U_w Nᵀ + R' V_wᵀ`: nothing in it cancels.
struct Parts {
    /// `G̃V − UB` and `G̃ᵀU − VBᵀ`: what leads out of the subspace, scaled coordinates.
    out_left: Tall,
    out_right: Tall,
    /// `UwᵀUw` and `VwᵀVw`, with `Uw = Λ_u^{1/2} U` and `Vw = Λ_i^{1/2} V`.
    users_gram: Mat<f64>,
    items_gram: Mat<f64>,
    /// `NᵀN` with `N = Λ_i^{1/2}(V Eᵀ + out_right)`, `R'ᵀR'` with `R' = Λ_u^{1/2} out_left`, and
    /// the two cross products `UwᵀR'` and `NᵀVw`.
    inner_gram: Mat<f64>,
    outer_gram: Mat<f64>,
    users_cross: Mat<f64>,
    items_cross: Mat<f64>,
}

impl Parts {
    fn compute(
        subspace: &DeflationSubspace,
        operator: &ScaledGradient<'_>,
        block: MatRef<'_, f64>,
        taken: MatRef<'_, f64>,
    ) -> Self {
        let users = || {
            let mut out = subspace.image.clone();
            out.add_product(&subspace.left, block, -1.0);
            let weighted = subspace.left.rows_scaled(&operator.root_lambda_users);
            let outer = out.rows_scaled(&operator.root_lambda_users);
            let gram = weighted.transposed_times(&weighted);
            let cross = weighted.transposed_times(&outer);
            (out, gram, outer.transposed_times(&outer), cross)
        };
        let items = || {
            let mut out = subspace.back.clone();
            out.add_product(&subspace.right, block.transpose(), -1.0);
            let weighted = subspace.right.rows_scaled(&operator.root_lambda_items);
            let mut inner = out.clone();
            inner.add_product(&subspace.right, taken.transpose(), 1.0);
            let inner = inner.rows_scaled(&operator.root_lambda_items);
            let gram = weighted.transposed_times(&weighted);
            let cross = inner.transposed_times(&weighted);
            (out, gram, inner.transposed_times(&inner), cross)
        };
        let (users, items) = both(users, items);
        let (out_left, users_gram, outer_gram, users_cross) = users;
        let (out_right, items_gram, inner_gram, items_cross) = items;
        Self {
            out_left,
            out_right,
            users_gram,
            items_gram,
            inner_gram,
            outer_gram,
            users_cross,
            items_cross,
        }
    }

    /// ‖F‖_F.
    fn norm(&self) -> f64 {
        let squared = sum_of_products(self.users_gram.as_ref(), self.inner_gram.as_ref())
            + 2.0 * sum_of_products(self.users_cross.as_ref(), self.items_cross.as_ref())
            + sum_of_products(self.outer_gram.as_ref(), self.items_gram.as_ref());
        at_least(squared, 0.0).sqrt()
    }

    /// ‖Λ_u^{1/2} U M Vᵀ Λ_i^{1/2}‖_F.
    fn norm_within(&self, matrix: MatRef<'_, f64>) -> f64 {
        let turned = matrix * &self.items_gram * matrix.transpose();
        at_least(
            sum_of_products(self.users_gram.as_ref(), turned.as_ref()),
            0.0,
        )
        .sqrt()
    }
}

/// `Σ a_ij b_ij`.
fn sum_of_products(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols())
        .map(|k| a.col(k).transpose() * b.col(k))
        .sum()
}

/// The pairs whose singular value is over the limit although X carries next to nothing along
/// them. Along those that X does carry, an excess is residual, which the block systems see to.
fn find_descent_directions(
    subspace: &DeflationSubspace,
    svd: &Svd<f64>,
    block: MatRef<'_, f64>,
    weights: MatRef<'_, f64>,
) -> Vec<Direction> {
    let most = weights.norm_max();
    let lacking: Vec<(usize, f64)> = (0..block.ncols())
        .filter_map(|k| {
            let (left, right) = (svd.U().col(k).transpose(), svd.V().col(k));
            let (value, carried) = (left * block * right, left * weights * right);
            let lacks = value > OVER_LIMIT && carried.abs() <= LACKING_SHARE * most;
            lacks.then_some((k, value))
        })
        .collect();
    let columns: Vec<usize> = lacking.iter().map(|(k, _)| *k).collect();
    let lefts = subspace.left.times(svd.U()).columns_at(&columns);
    let rights = subspace.right.times(svd.V()).columns_at(&columns);
    let mut directions: Vec<Direction> = lacking
        .iter()
        .enumerate()
        .map(|(column, (_, value))| Direction {
            sigma: value / DUAL_LIMIT,
            users: lefts.column(column),
            items: rights.column(column),
        })
        .collect();
    directions.sort_by(|a, b| b.sigma.total_cmp(&a.sigma));
    directions
}
