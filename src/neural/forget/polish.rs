//! Polishing: rounds over all blocks until the gradient stops falling.

use crate::neural::forget::Touched;
use crate::neural::forget::alteraser::{AltEraserOptions, BlockSolver, Reach, alt_eraser};
use crate::neural::objective::Objective;
use crate::neural::optimise::Divergence;
use crate::neural::optimise::lbfgs::{LbfgsOptions, lbfgs};
use crate::neural::optimise::rows::is_separable;
use crate::neural::optimise::selection::Selection;
use crate::neural::parameters::{Block, Parameters};

/// A round that leaves more than this share of the residual is the last.
const STOPS_AT: f64 = 0.95;

/// Steps of L-BFGS that count as a round, where rows depend on one another.
const STEPS_PER_ROUND: usize = 20;

/// How far to polish.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolishOptions {
    /// Ends when the residual is at most this.
    pub tolerance: f64,
    /// Most rounds.
    pub rounds_max: usize,
}

/// How polishing went so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolishReport {
    /// Rounds done.
    pub rounds: usize,
    /// Value of the objective.
    pub value: f64,
    /// [`Point::residual`](crate::neural::objective::Point::residual).
    pub residual: f64,
    /// Whether the residual is at most the tolerance.
    pub converged: bool,
}

/// Brings the residual down: by AltEraser's rounds where rows are separate, by L-BFGS on the whole
/// problem where they are not. Ends at the tolerance, after the last round, or when a round no
/// longer helps; what a round that raised the residual did is taken back. `None` when `should_stop`,
/// asked between turns, said so; then `at` is somewhere on the way. `observe` follows the rounds,
/// the start as round 0.
pub fn polish(
    objective: &Objective<'_>,
    at: &mut Parameters,
    options: &PolishOptions,
    should_stop: &(dyn Fn() -> bool + Sync),
    observe: &mut dyn FnMut(&PolishReport),
) -> Result<Option<PolishReport>, Divergence> {
    let mut report = measure(objective, at, 0, options);
    observe(&report);
    while !report.converged && report.rounds < options.rounds_max {
        let before = at.clone();
        round(objective, at, should_stop)?;
        if should_stop() {
            return Ok(None);
        }
        let next = measure(objective, at, report.rounds + 1, options);
        if next.residual >= report.residual {
            *at = before;
            report.rounds = next.rounds;
            break;
        }
        let helps = next.residual <= STOPS_AT * report.residual;
        report = next;
        observe(&report);
        if !helps {
            break;
        }
    }
    Ok(Some(report))
}

/// Value and residual after so many rounds.
pub fn measure(
    objective: &Objective<'_>,
    at: &Parameters,
    rounds: usize,
    options: &PolishOptions,
) -> PolishReport {
    let point = objective.at(at);
    let residual = point.residual();
    PolishReport {
        rounds,
        value: point.value(),
        residual,
        converged: residual <= options.tolerance,
    }
}

fn round(
    objective: &Objective<'_>,
    at: &mut Parameters,
    should_stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), Divergence> {
    if is_separable(objective) {
        let options = AltEraserOptions {
            solver: BlockSolver::NewtonCg,
            reach: Reach::Everything,
            rounds_max: 1,
            ..AltEraserOptions::default()
        };
        let everything = Touched::everything(objective.graph);
        let go_on = &mut |_: &_, _: &_| true;
        alt_eraser(objective, at, &everything, &options, should_stop, go_on)?;
    } else {
        let options = LbfgsOptions {
            steps_max: STEPS_PER_ROUND,
            tolerance: 0.0,
            ..LbfgsOptions::default()
        };
        let all = Selection::from(Block::All);
        lbfgs(objective, at, &all, &options, &mut |_, _| !should_stop())?;
    }
    Ok(())
}
