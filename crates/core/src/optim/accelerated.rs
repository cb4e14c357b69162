//! Alternating least squares as a fixed-point map, accelerated.

use std::ops::ControlFlow;

use crate::control::ShouldStop;
use crate::model::factors::Factors;
use crate::model::gramian::Gramian;
use crate::model::ials::{Ials, Measurement, inner};
use crate::model::interactions::InteractionMatrix;
use crate::model::side::Side;
use crate::optim::anderson::Anderson;
use crate::optim::block::Step;
use crate::optim::half_sweep::{CholeskyCache, Matrices, half_sweep_with};
use crate::optim::report::{SweepReport, TrainingError, TrainingReport};
use crate::simd::dot_f64;

/// Steps that acceleration looks back over. More cost memory (items × d each) and bring little.
const HISTORY: usize = 10;

/// Once a sweep's residual passes and the one measured afterwards does not, the sweep's has to fall by
/// as much as the measured one has to, but to no less than this share at once.
const STRICTER_MAX: f64 = 0.1;

/// What a run works to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub(super) tolerance: f64,
    pub(super) max_sweeps: usize,
}

/// Alternating least squares seen as a fixed-point map of the item factors, Anderson-accelerated.
///
/// `T(Q) = argmin_Q L(P(Q), Q)` with `P(Q) = argmin_P L(P, Q)`. The map alone is plain ALS, which
/// converges linearly and slowly; extrapolating from a few steps converges in a small fraction of
/// the sweeps. Where factors of the block matrices are cached, both minimisations are single Newton
/// steps with those: another map with the same fixed point, at a fraction of the cost.
///
/// Each block's step lowers the objective by a drop that is computed in f64 with the block's true
/// matrix, and the blocks of one side do not depend on each other. So a half sweep cannot raise the
/// objective; only an extrapolation can, and one that did is thrown away for the plain image, which
/// lies below what was accepted before it.
pub(super) struct AcceleratedSweeps<'a> {
    cache: &'a mut CholeskyCache,
    anderson: Anderson,
    /// Sweeps to begin with that are neither extrapolated nor done with cached factors.
    plain: usize,
    /// The objective at the last accepted item factors.
    accepted: f64,
    /// The plain image to return to, while the item factors are extrapolated ones.
    image: Option<Factors>,
    /// The users are those of an extrapolation that was thrown away: the next ones are solved for with
    /// matrices formed anew, since a step with a cached one need not lead all the way back.
    astray: bool,
    /// What the residual is measured against: twice the interactions times the typical weight.
    scale: f64,
    /// The residual of the last accepted factors.
    residual: f64,
}

impl<'a> AcceleratedSweeps<'a> {
    pub(super) fn new(plain: usize, cache: &'a mut CholeskyCache) -> Self {
        Self {
            cache,
            anderson: Anderson::new(HISTORY),
            plain,
            accepted: f64::INFINITY,
            image: None,
            astray: false,
            scale: 1.0,
            residual: f64::INFINITY,
        }
    }

    /// `None` when `should_stop` turned true before the goal was reached. `observe` sees the model
    /// after each sweep, with the items extrapolated.
    pub(super) fn run(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        goal: Goal,
        should_stop: ShouldStop<'_>,
        observe: &mut dyn FnMut(&SweepReport, &Ials) -> ControlFlow<()>,
    ) -> Result<Option<TrainingReport>, TrainingError> {
        self.scale = 2.0 * matrix.interactions() as f64 * matrix.typical_weight();
        let (mut sweep, mut tolerance) = (0, goal.tolerance);
        while sweep < goal.max_sweeps {
            sweep += 1;
            let report = self.sweep(model, matrix, sweep, should_stop);
            if should_stop() {
                return Ok(None);
            }
            if !report.objective.is_finite() {
                return Err(TrainingError::Diverged { sweep });
            }
            if observe(&report, model).is_break() {
                break;
            }
            // The residual came before the items' step, so it can only be pessimistic about the image.
            if report.residual <= tolerance {
                let extrapolated = self.return_to_image(model);
                let Some(measured) = self.measured(model, matrix, should_stop) else {
                    return Ok(None);
                };
                if measured.residual <= goal.tolerance {
                    return Ok(Some(finish(sweep, measured, goal)));
                }
                // Going on from the extrapolated factors keeps the memory of how they came about.
                if let Some(items) = extrapolated {
                    self.image = Some(replace_items(model, items));
                }
                let stricter = goal.tolerance / measured.residual;
                tolerance = report.residual * stricter.clamp(STRICTER_MAX, 0.5);
            }
        }
        self.return_to_image(model);
        let measured = self.measured(model, matrix, should_stop);
        Ok(measured.map(|measured| finish(sweep, measured, goal)))
    }

    /// One step: the users' half at the present items, then either back to the plain image, or the
    /// items' half and an extrapolation.
    fn sweep(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        sweep: usize,
        should_stop: ShouldStop<'_>,
    ) -> SweepReport {
        let matrices = self.matrices(model, sweep);
        let objective = self.users(model, matrix, matrices, should_stop);
        let report = |residual| SweepReport {
            sweep,
            objective,
            residual,
        };
        if should_stop() {
            return report(self.residual);
        }
        // Rounding makes the last digits of the objective rise and fall; they say nothing.
        let fell = objective <= self.accepted + 1e-12 * objective.abs();
        if let Some(items) = self.image.take().filter(|_| !fell) {
            replace_items(model, items);
            self.anderson.reset();
            self.astray = true;
            return report(self.residual);
        }
        self.accepted = objective;
        let before = model.items.clone();
        let step = self.half_sweep(model, matrix, Side::Items, matrices, should_stop);
        self.residual = (step.decrement / self.scale.max(f64::MIN_POSITIVE)).sqrt();
        if sweep > self.plain && !should_stop() {
            let next = self
                .anderson
                .next(before.as_slice(), model.items.as_slice());
            let mut extrapolated = before;
            extrapolated.as_mut_slice().copy_from_slice(&next);
            self.image = Some(replace_items(model, extrapolated));
        }
        report(self.residual)
    }

    /// Whether this sweep forms the matrices of all blocks.
    fn matrices(&mut self, model: &Ials, sweep: usize) -> Matrices {
        let astray = std::mem::take(&mut self.astray);
        if sweep > self.plain && !astray && self.cache.is_fresh(&model.item_gramian) {
            return Matrices::Cached;
        }
        self.cache.form_at(&model.item_gramian);
        Matrices::Formed
    }

    /// Solves the blocks of one side with these matrices.
    fn half_sweep(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        side: Side,
        matrices: Matrices,
        should_stop: ShouldStop<'_>,
    ) -> Step {
        half_sweep_with(model, matrix, side, self.cache, matrices, should_stop)
    }

    /// The users' half; the objective after it.
    fn users(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        matrices: Matrices,
        should_stop: ShouldStop<'_>,
    ) -> f64 {
        let dense = model.hyper.alpha0 * inner(&model.user_gramian, &model.item_gramian);
        let step = self.half_sweep(model, matrix, Side::Users, matrices, should_stop);
        step.data + dense + step.regularisation - step.drop + items_regularisation(model, matrix)
    }

    /// Ends the extrapolation: the items are the plain image again. Returns the extrapolated ones.
    fn return_to_image(&mut self, model: &mut Ials) -> Option<Factors> {
        let image = self.image.take()?;
        Some(replace_items(model, image))
    }

    /// Solves the users for the present items, and measures that.
    fn measured(
        &mut self,
        model: &mut Ials,
        matrix: &InteractionMatrix,
        should_stop: ShouldStop<'_>,
    ) -> Option<Measurement> {
        let matrices = if std::mem::take(&mut self.astray) {
            Matrices::Formed
        } else {
            Matrices::Cached
        };
        self.half_sweep(model, matrix, Side::Users, matrices, should_stop);
        model.measure_unless(matrix, should_stop)
    }
}

/// Puts other item factors into the model, with their Gramian, and returns those that were there.
fn replace_items(model: &mut Ials, items: Factors) -> Factors {
    let before = std::mem::replace(&mut model.items, items);
    model.item_gramian = Gramian::from_factors(&model.items);
    before
}

/// `Σ λ_i‖q_i‖²`. Cost: items × d.
fn items_regularisation(model: &Ials, matrix: &InteractionMatrix) -> f64 {
    let view = model.side(Side::Items, matrix);
    (0..matrix.item_rows())
        .filter(|item| !matrix.item(*item as u32).is_empty())
        .map(|item| {
            let row = model.items.row(item);
            view.regularisation(item as u32) * dot_f64(row, row)
        })
        .sum()
}

fn finish(sweeps: usize, measured: Measurement, goal: Goal) -> TrainingReport {
    TrainingReport {
        sweeps,
        objective: measured.objective,
        residual: measured.residual,
        converged: measured.residual <= goal.tolerance,
    }
}
