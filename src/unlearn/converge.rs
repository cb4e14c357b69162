//! Sweeps until the certificate meets its target, or says why it cannot.

use std::ops::ControlFlow;

use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::als::{
    self, KeptFactors, ShouldStop, SweepReport, TrainingError, TrainingReport,
};
use crate::unlearn::duality_gap::{DualityGap, GapOptions, duality_gap_unless};
use crate::unlearn::rank::{RankReport, settle_rank};

/// The residual wanted before the first look at the certificate, and what it is multiplied by
/// before the next: a look costs about as much as a few sweeps.
const FIRST_RESIDUAL: f64 = 1e-4;
const RESIDUAL_SHRINKS_BY: f64 = 0.2;

/// The residual below which f64 sums over a large model say nothing any more.
const RESIDUAL_LEAST: f64 = 1e-12;

/// Times the ceiling of d columns may push a direction out again before it is believed to bind.
const CEILING_PATIENCE: usize = 3;

/// What to reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Bound on the root mean square of `X − X*` over all pairs.
    pub root_mean_square: f64,
    /// The relative residual to reach besides.
    pub residual: f64,
    /// Sweeps after which it ends in any case.
    pub max_sweeps: usize,
    /// Seed of the certificate's random starts.
    pub seed: u64,
}

/// How it ended.
#[derive(Debug, Clone)]
pub struct Convergence {
    /// The last measurement; its sweeps are those of all rounds.
    pub report: TrainingReport,
    /// The certificate of the model as it is now.
    pub gap: DualityGap,
    /// Whether the factors changed at all.
    pub changed: bool,
    /// Times that a column the model wanted found no room within d.
    pub pushed_out: usize,
}

/// One look at the certificate.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Sweeps so far.
    pub sweeps: usize,
    /// The objective.
    pub objective: f64,
    /// The relative residual.
    pub residual: f64,
    /// The bound on the root mean square.
    pub root_mean_square: f64,
    /// What the dual point was divided by; 1 is perfect.
    pub scale: f64,
    /// The largest singular value outside the directions treated exactly, over its limit.
    pub outside: f64,
    /// What became of the columns, when the goal was not reached.
    pub rank: Option<RankReport>,
}

/// Something to show while it runs.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A sweep is done.
    Sweep(&'a SweepReport),
    /// The certificate was computed.
    Look(&'a Look),
}

/// Runs accelerated sweeps, looks at the certificate, lets columns enter and leave, and goes on
/// until the goal is reached. `None` when `should_stop` turned true first or `observe` said so;
/// the model is consistent then.
pub fn converge(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    kept: &mut KeptFactors,
    goal: &Goal,
    should_stop: ShouldStop<'_>,
    observe: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Convergence>, TrainingError> {
    let options = GapOptions {
        target: goal.root_mean_square,
        seed: goal.seed,
        ..GapOptions::default()
    };
    let Some(measured) = model.measure_unless(matrix, should_stop) else {
        return Ok(None);
    };
    let mut tolerance = FIRST_RESIDUAL.max(goal.residual);
    let mut report = TrainingReport {
        sweeps: 0,
        objective: measured.objective,
        residual: measured.residual,
        converged: measured.residual <= tolerance,
    };
    let (mut changed, mut pushed_out) = (false, 0);
    loop {
        if report.residual > tolerance {
            let done = report.sweeps;
            let left = goal.max_sweeps.saturating_sub(done);
            let mut stopped = false;
            let polished =
                als::polish(model, matrix, kept, tolerance, left, should_stop, &mut |sweep| {
                    let sweep = SweepReport {
                        sweep: done + sweep.sweep,
                        ..*sweep
                    };
                    let flow = observe(Progress::Sweep(&sweep));
                    stopped = flow.is_break();
                    flow
                })?;
            let Some(polished) = polished.filter(|_| !stopped) else {
                return Ok(None);
            };
            report = TrainingReport {
                sweeps: done + polished.sweeps,
                ..polished
            };
            changed = true;
        }
        let Some(gap) = duality_gap_unless(model, matrix, &options, should_stop) else {
            return Ok(None);
        };
        let mut look = Look {
            sweeps: report.sweeps,
            objective: report.objective,
            residual: report.residual,
            root_mean_square: gap.root_mean_square,
            scale: gap.scale,
            outside: gap.complement,
            rank: None,
        };
        let certified = gap.root_mean_square <= goal.root_mean_square;
        let spent = report.sweeps >= goal.max_sweeps || report.residual <= RESIDUAL_LEAST;
        if (certified && report.residual <= goal.residual)
            || spent
            || pushed_out >= CEILING_PATIENCE
        {
            report.converged = report.residual <= goal.residual;
            let stopped = observe(Progress::Look(&look)).is_break();
            return Ok((!stopped).then_some(Convergence {
                report,
                gap,
                changed,
                pushed_out,
            }));
        }
        if should_stop() {
            return Ok(None);
        }
        if !certified {
            let settled = settle_rank(model, matrix, &gap.growth);
            kept.clear();
            changed = true;
            pushed_out += usize::from(settled.dropped_share > 0.0);
            look.rank = Some(settled);
            // What entered is not stationary yet, whatever was measured before.
            report.residual = f64::INFINITY;
        }
        if observe(Progress::Look(&look)).is_break() {
            return Ok(None);
        }
        tolerance = (look.residual.min(tolerance) * RESIDUAL_SHRINKS_BY).max(RESIDUAL_LEAST);
    }
}
