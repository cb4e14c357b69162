//! One step by influence functions, as SCIF and IFRU take it.
//!
//! Koh & Liang, "Understanding black-box predictions via influence functions" (ICML 2017): taking
//! data away moves the minimum by about `−H⁻¹ g`, g the gradient of the retained objective *less
//! that of the objective before*, both at the old parameters, H the curvature of the retained one.
//! For recommenders: SCIF (Li et al. 2023) moves the embeddings of those concerned only, IFRU (Zhang
//! et al. 2024) those around them too. Here one damped product with the inverse by conjugate
//! gradients, within a selection; without a selection of rows it is the whole step.

use crate::objective::Objective;
use crate::optimise::conjugate_gradients::{Stopping, conjugate_gradients};
use crate::optimise::newton_cg::SolverReport;
use crate::optimise::selection::Selection;
use crate::parameters::{Block, Parameters};
use crate::vectors::norm;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InfluenceOptions {
    /// Most Gauss–Newton products.
    pub products_max: usize,
    /// Residual of the inverse, relative.
    pub tolerance: f64,
    /// Damping μ, per example.
    pub damping: f64,
}

impl Default for InfluenceOptions {
    fn default() -> Self {
        Self {
            products_max: 30,
            tolerance: 1e-2,
            damping: 1e-2,
        }
    }
}

/// Takes the step from `before`, the objective that `at` was trained on, to `retained`. Selected are
/// a block or rows of it. Cost: two gradients and the products. No line search: the step is what the
/// theory says, and may raise the objective. It does so easily where user and item rows move at once,
/// whose product the linear theory does not see; taking one side is safer.
pub fn influence_step(
    before: &Objective<'_>,
    retained: &Objective<'_>,
    at: &mut Parameters,
    selection: &Selection,
    options: &InfluenceOptions,
) -> SolverReport {
    let block = selection.block;
    let mut change = Parameters::zeros(*at.layout());
    let mut old = change.clone();
    before.prepare(at).gradient(Block::All, &mut old);
    let point = retained.prepare(at);
    let value = point.gradient(block, &mut change);
    let pairs = change.block_mut(block).iter_mut().zip(old.block(block));
    pairs.for_each(|(new, old)| *new = old - *new);
    selection.restrict(&mut change);
    let scales = selection.scales(retained, at);
    let stopping = Stopping {
        products_max: options.products_max,
        tolerance: options.tolerance,
    };
    let solution = conjugate_gradients(
        &point,
        selection,
        &scales,
        options.damping,
        &change,
        stopping,
    );
    let gradient = norm(change.block(block));
    drop(point);
    let moved = at.block_mut(block).iter_mut().zip(solution.x.block(block));
    moved.for_each(|(value, step)| *value += step);
    SolverReport {
        steps: 1,
        products: solution.products,
        value,
        gradient,
    }
}
