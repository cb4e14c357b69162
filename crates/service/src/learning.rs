//! The arithmetic of the worker: what is run between one commit and the next.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::dirty::DirtyRows;
use crate::learner::Learner;
use crate::neural_learner::NeuralLearner;
use crate::remedy::Remedy;
use crate::trainer::Trainer;
use recant_core::model::ials::Measurement;
use recant_core::model::interactions::InteractionMatrix;
use recant_core::optim::als::{ShouldStop, TrainingReport};
use recant_core::unlearn::converge::{self, Convergence, Goal, Progress};
use recant_core::unlearn::update::{self, Touched, UpdateOptions, UpdateReport};
use recant_neural::forget::polish::{PolishOptions, PolishReport};
use recant_neural::optimise::Divergence;
use recant_types::{Certificate, GapCertificate, IalsHyperparameters};

/// Most sweeps of one polishing. A model that needs more is far from converged; the measured
/// residual says so, and the next change polishes on.
const POLISH_SWEEPS_MAX: usize = 500;

/// Stage 1: block Newton steps from the touched blocks outwards, within `budget`. With `hold`, a neural
/// model is held while it forgets.
pub(crate) fn update(
    trainer: &mut Trainer,
    touched: &Touched,
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
    /// Why nothing may be certified by it: the certificate does not hold, or is not of the kind that
    /// the model has.
    pub refusal: Option<String>,
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
            let refusal = refusal(&certificate);
            if refusal.is_some() && convergence.changed {
                let live = learner.model.measure_unless(&trainer.matrix, should_stop)?;
                let worse = convergence.report.objective > live.objective;
                if worse || !convergence.report.objective.is_finite() {
                    learner.warm.kept.clear();
                    return Some(unchanged(live, goal, refusal));
                }
            }
            let mut changed = DirtyRows::default();
            if convergence.changed {
                learner.model = model;
                changed = DirtyRows::everything(&trainer.matrix);
            }
            Some(Polished {
                changed,
                report: convergence.report,
                certificate,
                refusal,
            })
        }
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "refinement failed");
            learner.warm.kept.clear();
            let live = learner.model.measure_unless(&trainer.matrix, should_stop)?;
            Some(unchanged(live, goal, Some(error.to_string())))
        }
    }
}

/// The live factors stay: refinement left nothing better. Their residual is what there is to tell.
fn unchanged(live: Measurement, goal: PolishGoal, refusal: Option<String>) -> Polished {
    Polished {
        changed: DirtyRows::default(),
        report: TrainingReport {
            sweeps: 0,
            objective: live.objective,
            residual: live.residual,
            converged: false,
        },
        certificate: Certificate::residual(live.residual, goal.tolerance),
        refusal,
    }
}

/// Why a certificate of implicit ALS certifies nothing.
fn refusal(certificate: &Certificate) -> Option<String> {
    match certificate {
        Certificate::DualityGap(gap) if gap.holds => None,
        Certificate::DualityGap(gap) => Some(format!(
            "the certificate does not hold: {:.1e} of at most {:.1e} root mean square is proven{}",
            gap.root_mean_square,
            gap.target,
            (gap.approximate.as_ref()).map_or(String::new(), |reason| format!("; {reason}")),
        )),
        Certificate::Residual { .. } => Some(String::from(
            "nothing is proven: the bound on the distance is not finite",
        )),
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
    let mut refusal = None;
    let (report, changed) = match learner.polished(&options, should_stop, observe) {
        Ok(polished) => {
            let (parameters, report) = polished?;
            let moved = parameters != learner.parameters;
            learner.parameters = parameters;
            (report, moved)
        }
        Err(error) => {
            // The live parameters stay; their residual is what there is to tell.
            tracing::error!(%error, "refinement failed");
            refusal = Some(error.to_string());
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
        refusal,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(holds: bool) -> Certificate {
        Certificate::DualityGap(GapCertificate {
            holds,
            target: 1e-4,
            root_mean_square: 2e-4,
            frobenius: 0.1,
            gap: 1e-3,
            dual_scale: 1.0,
            residual: 1e-6,
            failure_probability: 1e-9,
            approximate: Some(String::from("raise dim")),
        })
    }

    #[test]
    fn only_a_bound_that_meets_its_target_certifies() {
        assert_eq!(refusal(&gap(true)), None);
        let reason = refusal(&gap(false)).expect("it does not hold");
        assert!(
            reason.contains("2.0e-4") && reason.contains("raise dim"),
            "{reason}"
        );
        assert!(refusal(&Certificate::residual(1e-9, 1e-5)).is_some());
    }
}
