//! Refinement: rounds over all blocks until the gradient stops falling.

use crate::forget::alteraser::{
    AltEraserControl, AltEraserOptions, AltEraserReport, BlockSolver, Reach, alt_eraser,
};
use std::ops::ControlFlow;

use recant_core::{Control, ShouldStop, continue_while};

use crate::objective::Objective;
use crate::optimise::divergence::Divergence;
use crate::optimise::lbfgs::{LbfgsOptions, lbfgs};
use crate::optimise::rows::is_separable;
use crate::optimise::selection::Selection;
use crate::parameters::{Block, Parameters};

/// A round that leaves more than this share of the residual is the last.
const STOPS_AT: f64 = 0.95;

/// Steps of L-BFGS that count as a round, where rows depend on one another.
const STEPS_PER_ROUND: usize = 20;

/// How far to refine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RefinementOptions {
    /// Ends when the residual is at most this.
    pub tolerance: f64,
    /// Most rounds.
    pub rounds_max: usize,
}

/// How refinement went so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RefinementReport {
    /// Rounds done.
    pub rounds: usize,
    /// Value of the objective.
    pub value: f64,
    /// [`Point::residual`](crate::objective::Point::residual).
    pub residual: f64,
    /// Whether the residual is at most the tolerance.
    pub converged: bool,
}

/// How refinement is stopped, and shown the residual after every round.
pub type RefinementControl<'a> = Control<'a, dyn FnMut(&RefinementReport) -> ControlFlow<()> + 'a>;

/// Brings the residual down: by AltEraser's rounds where rows are separate, by L-BFGS on the whole
/// problem where they are not. Ends at the tolerance, after the last round, or when a round no
/// longer helps; what a round that raised the residual did is taken back. `None` when it was cancelled,
/// between turns, or the observer broke off; `at` is between start and end then. The observer follows
/// the rounds, the start as round 0.
pub fn refine(
    objective: &Objective<'_>,
    at: &mut Parameters,
    options: &RefinementOptions,
    control: RefinementControl<'_>,
) -> Result<Option<RefinementReport>, Divergence> {
    let Control { cancelled, observe } = control;
    let Some(report) = measure(objective, at, 0, options, cancelled) else {
        return Ok(None);
    };
    let flow = observe(&report);
    if flow.is_break() {
        return Ok(None);
    }
    if report.converged || options.rounds_max == 0 {
        return Ok(Some(report));
    }
    let mut best = Best {
        parameters: at.clone(),
        report,
        rounds: 0,
    };
    let mut broke_off = false;
    let mut goes_on = |at: &Parameters| {
        let Some(next) = measure(objective, at, best.rounds + 1, options, cancelled) else {
            return false;
        };
        let helps = best.take(next, at);
        if best.report == next {
            broke_off |= observe(&next).is_break();
        }
        helps && !next.converged && !broke_off
    };
    if is_separable(objective) {
        sweep(objective, at, options, cancelled, &mut goes_on)?;
    } else {
        descend(objective, at, options, cancelled, &mut goes_on)?;
    }
    if cancelled() || broke_off {
        return Ok(None);
    }
    *at = best.parameters;
    Ok(Some(RefinementReport {
        rounds: best.rounds,
        ..best.report
    }))
}

/// The parameters with the least residual so far.
struct Best {
    parameters: Parameters,
    report: RefinementReport,
    /// Rounds done, those that did not help too.
    rounds: usize,
}

impl Best {
    /// Takes in what a round led to; whether it helped enough to go on.
    fn take(&mut self, next: RefinementReport, at: &Parameters) -> bool {
        self.rounds = next.rounds;
        let helps = next.residual <= STOPS_AT * self.report.residual;
        if next.residual < self.report.residual {
            self.report = next;
            self.parameters.clone_from(at);
        }
        helps
    }
}

/// Value and residual after so many rounds; `None` when cancelled meanwhile.
pub fn measure(
    objective: &Objective<'_>,
    at: &Parameters,
    rounds: usize,
    options: &RefinementOptions,
    cancelled: ShouldStop<'_>,
) -> Option<RefinementReport> {
    let measured = objective.prepare(at).measure(cancelled)?;
    Some(RefinementReport {
        rounds,
        value: measured.value,
        residual: measured.residual,
        converged: measured.residual <= options.tolerance,
    })
}

/// Rounds of AltEraser over everything.
fn sweep(
    objective: &Objective<'_>,
    at: &mut Parameters,
    options: &RefinementOptions,
    cancelled: ShouldStop<'_>,
    goes_on: &mut dyn FnMut(&Parameters) -> bool,
) -> Result<(), Divergence> {
    let options = AltEraserOptions {
        solver: BlockSolver::NewtonCg,
        reach: Reach::Everything,
        rounds_max: options.rounds_max,
        ..AltEraserOptions::default()
    };
    let everything = objective.graph.all_rows();
    let control = AltEraserControl {
        cancelled,
        observe: &mut |_: &AltEraserReport, at: &Parameters| continue_while(goes_on(at)),
    };
    alt_eraser(objective, at, &everything, &options, control)?;
    Ok(())
}

/// L-BFGS on everything; so many of its steps are a round, the last perhaps fewer.
fn descend(
    objective: &Objective<'_>,
    at: &mut Parameters,
    options: &RefinementOptions,
    cancelled: ShouldStop<'_>,
    goes_on: &mut dyn FnMut(&Parameters) -> bool,
) -> Result<(), Divergence> {
    let options = LbfgsOptions {
        steps_max: STEPS_PER_ROUND * options.rounds_max,
        tolerance: 0.0,
        ..LbfgsOptions::default()
    };
    let all = Selection::from(Block::All);
    let mut steps = 0;
    lbfgs(objective, at, &all, &options, &mut |report, at| {
        steps = report.steps;
        let is_round = steps % STEPS_PER_ROUND == 0;
        continue_while(!cancelled() && (!is_round || goes_on(at)))
    })?;
    if steps % STEPS_PER_ROUND != 0 && !cancelled() {
        goes_on(at);
    }
    Ok(())
}
