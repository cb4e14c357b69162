//! The arithmetic of the worker: what is run between one commit and the next.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::dirty::DirtyRows;
use crate::learner::Learner;
use crate::neural_learner::NeuralLearner;
use crate::remedy::Remedy;
use crate::trainer::Trainer;
use recant_core::control::ShouldStop;
use recant_core::model::RowSets;
use recant_core::model::interactions::InteractionMatrix;
use recant_core::optim::als::TrainingReport;
use recant_core::unlearn::converge::{Convergence, Goal, Progress};
use recant_core::unlearn::update::{UpdateOptions, UpdateReport};
use recant_core::unlearn::{converge, update};
use recant_neural::forget::{PolishOptions, PolishReport};
use recant_neural::optimise::Divergence;
use recant_types::{Certificate, GapCertificate, IalsHyperparameters};

/// Most sweeps of one polishing. A model that needs more is far from converged; the measured
/// residual says so, and the next change polishes on.
const POLISH_SWEEPS_MAX: usize = 500;

/// Stage 1: block Newton steps from the touched blocks outwards, within `budget`. With `hold`, a neural
/// model is held while it forgets.
pub(crate) fn update(
    trainer: &mut Trainer,
    touched: &RowSets,
    budget: Duration,
    tolerance: f64,
    hold: bool,
) -> Result<UpdateReport, Divergence> {
    let learner = match &mut trainer.learner {
        Learner::Ials(learner) => learner,
        Learner::Neural(learner) => return learner.update(&trainer.matrix, touched, budget, hold),
    };
    let options = UpdateOptions {
        budget,
        tolerance,
        seed: trainer.seed,
    };
    Ok(update::update(
        &mut learner.model,
        &trainer.matrix,
        &mut learner.warm.kept,
        touched,
        &options,
    ))
}

/// What polishing works to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PolishGoal {
    /// The relative residual.
    pub tolerance: f64,
    /// The certified root mean square.
    pub target: f64,
}

/// How polishing ended.
#[derive(Debug)]
pub(crate) struct Polished {
    /// Rows that changed.
    pub changed: DirtyRows,
    /// The measurement of the model as it is now.
    pub report: TrainingReport,
    /// Its certificate.
    pub certificate: Certificate,
}

/// Stage 2: sweeps over all blocks until the residual is at most the tolerance and the certificate
/// meets its target.
///
/// A neural model gets at most `rounds_max` rounds; with none it is measured only. Works on a copy of the
/// factors. `None` when `should_stop`, asked between blocks, turned true:
/// then the trainer is as it was.
pub(crate) fn polish(
    trainer: &mut Trainer,
    goal: PolishGoal,
    rounds_max: usize,
    should_stop: ShouldStop<'_>,
) -> Option<Polished> {
    let learner = match &mut trainer.learner {
        Learner::Ials(learner) => learner,
        Learner::Neural(learner) => {
            return polish_neural(learner, &trainer.matrix, goal, rounds_max, should_stop);
        }
    };
    let mut model = learner.model.clone();
    let convergence = converge::converge(
        &mut model,
        &trainer.matrix,
        &mut learner.warm,
        &Goal {
            root_mean_square: converge::POLISHED_SHARE * goal.target,
            residual: goal.tolerance,
            max_sweeps: POLISH_SWEEPS_MAX,
            seed: trainer.seed,
        },
        should_stop,
        &mut |progress| {
            if let Progress::Look(look) = progress {
                tracing::debug!(?look, "polishing");
            }
            ControlFlow::Continue(())
        },
    );
    match convergence {
        Ok(Some(convergence)) => {
            let certificate = certificate(&convergence, &learner.model.hyper, goal);
            let mut changed = DirtyRows::default();
            if convergence.changed {
                learner.model = model;
                changed = DirtyRows::everything(&trainer.matrix);
            }
            Some(Polished {
                changed,
                report: convergence.report,
                certificate,
            })
        }
        Ok(None) => None,
        Err(error) => {
            // The live factors stay; their residual is what there is to tell.
            tracing::error!(%error, "polishing failed");
            let measured = learner.model.measure_unless(&trainer.matrix, should_stop)?;
            let report = TrainingReport {
                sweeps: 0,
                objective: measured.objective,
                residual: measured.residual,
                converged: false,
            };
            let certificate = Certificate::residual(measured.residual, goal.tolerance);
            Some(Polished {
                changed: DirtyRows::default(),
                report,
                certificate,
            })
        }
    }
}

/// Stage 2 of a neural model: rounds until the residual is at most the tolerance, or stops falling.
/// What there is to tell is a measured residual, no proof.
fn polish_neural(
    learner: &mut NeuralLearner,
    matrix: &InteractionMatrix,
    goal: PolishGoal,
    rounds_max: usize,
    should_stop: ShouldStop<'_>,
) -> Option<Polished> {
    let options = PolishOptions {
        tolerance: goal.tolerance,
        rounds_max,
    };
    let observe = &mut |report: &PolishReport| tracing::debug!(?report, "polishing");
    let (report, changed) = match learner.polished(&options, should_stop, observe) {
        Ok(polished) => {
            let (parameters, report) = polished?;
            let moved = parameters != learner.parameters;
            learner.parameters = parameters;
            (report, moved)
        }
        Err(error) => {
            // The live parameters stay; their residual is what there is to tell.
            tracing::error!(%error, "polishing failed");
            (learner.measure(&options, should_stop)?, false)
        }
    };
    let certificate = Certificate::residual(report.residual, goal.tolerance);
    Some(Polished {
        changed: if changed {
            DirtyRows::everything(matrix)
        } else {
            DirtyRows::default()
        },
        report: TrainingReport {
            sweeps: report.rounds,
            objective: report.value,
            residual: report.residual,
            converged: report.converged,
        },
        certificate,
    })
}

/// The certificate that a convergence earned.
pub(crate) fn certificate(
    convergence: &Convergence,
    hyper: &IalsHyperparameters,
    goal: PolishGoal,
) -> Certificate {
    let PolishGoal { tolerance, target } = goal;
    let gap = &convergence.gap;
    let numbers = [gap.root_mean_square, gap.frobenius, gap.gap, gap.scale];
    if !numbers.iter().all(|number| number.is_finite()) {
        // Nothing is proven, so nothing but the residual is claimed.
        return Certificate::residual(convergence.report.residual, tolerance);
    }
    let holds = gap.root_mean_square <= target;
    let reason = || match (convergence.pushed_out, Remedy::of(convergence, hyper)) {
        (0, _) => String::from("more sweeps would lower it"),
        (_, Some(remedy)) => remedy.to_string(),
        (_, None) => String::from("the model wants more columns: raise dim, or lambda"),
    };
    Certificate::DualityGap(GapCertificate {
        holds,
        target,
        root_mean_square: gap.root_mean_square,
        frobenius: gap.frobenius,
        gap: gap.gap,
        dual_scale: gap.scale,
        residual: convergence.report.residual,
        failure_probability: gap.failure_probability,
        approximate: (!holds).then(reason),
    })
}
