//! The arithmetic of the worker: what is run between one commit and the next.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::learner::Learner;
use crate::neural_learner::NeuralLearner;
use crate::remedy::Remedy;
use crate::trainer::Trainer;
use recant_core::ShouldStop;
use recant_core::model::{InteractionMatrix, RowSets};
use recant_core::optim::als::{self, TrainingReport};
use recant_core::unlearn::{
    self, Convergence, Goal, Progress, REFINED_SHARE, UpdateOptions, UpdateReport, converge,
};
use recant_neural::forget::{RefinementOptions, RefinementReport};
use recant_neural::optimise::Divergence;
use recant_types::{Certificate, GapCertificate, IalsHyperparameters};

/// Most sweeps of one refining. A model that needs more is far from converged; the measured
/// residual says so, and the next change refines on.
const REFINEMENT_SWEEPS_MAX: usize = 500;

/// Sweeps of a refinement end at this multiple of what training ends at: it is there to prove how far
/// the model is from its minimum, and the bound on that decides.
const REFINED_RESIDUAL: f64 = 4.0;

/// How far a local update goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalUpdate {
    /// Time it may take once the touched blocks are solved.
    pub(crate) budget: Duration,
    /// It ends earlier when the affected blocks are solved to this.
    pub(crate) tolerance: f64,
    /// A neural model is held while it forgets.
    pub(crate) hold: bool,
}

/// The local update: block Newton steps from the touched blocks outwards.
pub(crate) fn update(
    trainer: &mut Trainer,
    touched: &RowSets,
    options: LocalUpdate,
) -> Result<UpdateReport, Divergence> {
    let (matrix, seed) = (&trainer.matrix, trainer.seed);
    update_learner(&mut trainer.learner, matrix, seed, touched, options)
}

/// [`update`] of a learner, to a matrix that is not beside it yet.
pub(crate) fn update_learner(
    learner: &mut Learner,
    matrix: &InteractionMatrix,
    seed: u64,
    touched: &RowSets,
    options: LocalUpdate,
) -> Result<UpdateReport, Divergence> {
    let LocalUpdate {
        budget,
        tolerance,
        hold,
    } = options;
    match learner {
        Learner::Neural(learner) => learner.update(matrix, touched, budget, hold),
        Learner::Ials(learner) => Ok(unlearn::update(
            &mut learner.model,
            matrix,
            &mut learner.warm.cache,
            touched,
            &UpdateOptions {
                budget,
                tolerance,
                seed,
            },
        )),
    }
}

/// What a refinement works to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefinementGoal {
    /// The relative residual.
    pub(crate) tolerance: f64,
    /// The certified root mean square.
    pub(crate) target: f64,
    /// Most rounds of a neural model; with none it is measured only.
    pub(crate) rounds_max: usize,
}

/// How a refinement ended.
#[derive(Debug)]
pub(crate) struct Refinement {
    /// Whether the parameters changed, and for the better.
    pub(crate) changed: bool,
    /// The measurement of the model as it is now; none when it came to nothing.
    pub(crate) report: Option<TrainingReport>,
    /// Its certificate, whether it holds or not.
    pub(crate) certificate: Option<Certificate>,
    /// Why the certificate must not be claimed.
    pub(crate) refusal: Option<String>,
}

impl Refinement {
    /// A refinement that came to nothing.
    pub(crate) fn failed(reason: String) -> Self {
        Self {
            changed: false,
            report: None,
            certificate: None,
            refusal: Some(reason),
        }
    }
}

/// Refinement: sweeps over all blocks until the residual is at most the tolerance and the certificate
/// meets its target.
///
/// Works on the parameters of `trainer`, a fork of the live one. `None` when `should_stop`, asked between blocks,
/// turned true: then the fork is good for nothing.
pub(crate) fn refine(
    trainer: &mut Trainer,
    goal: &RefinementGoal,
    should_stop: ShouldStop<'_>,
) -> Option<Refinement> {
    let learner = match &mut trainer.learner {
        Learner::Ials(learner) => learner,
        Learner::Neural(learner) => {
            return refine_neural(learner, goal, should_stop);
        }
    };
    let mut objective_before = f64::INFINITY;
    let convergence = converge(
        &mut learner.model,
        &trainer.matrix,
        &mut learner.warm,
        &Goal {
            root_mean_square: REFINED_SHARE * goal.target,
            residual: REFINED_RESIDUAL * goal.tolerance,
            max_sweeps: REFINEMENT_SWEEPS_MAX,
            seed: trainer.seed,
        },
        should_stop,
        &mut |progress| {
            match progress {
                Progress::Sweep(sweep) if sweep.sweep == 1 => objective_before = sweep.objective,
                Progress::Sweep(_) => {}
                Progress::Evaluation(evaluation) => tracing::debug!(?evaluation, "refining"),
            }
            ControlFlow::Continue(())
        },
    );
    match convergence {
        Ok(Some(convergence)) => {
            let (model, cache) = (&learner.model, &mut learner.warm.cache);
            if !cache.is_fresh(&model.item_gramian) {
                // Where no sweep was needed, as after a start, local updates have nothing to step with yet.
                als::cache_factors(model, &trainer.matrix, cache, should_stop);
            }
            Some(judge(convergence, &model.hyper, goal, objective_before))
        }
        Ok(None) => None,
        Err(error) => {
            tracing::error!(%error, "the refinement failed");
            Some(Refinement::failed(error.to_string()))
        }
    }
}

/// Whether a certificate of implicit ALS is a bound that meets its target.
pub(crate) fn holds(certificate: &Certificate) -> bool {
    matches!(certificate, Certificate::DualityGap(gap) if gap.holds)
}

/// A certificate is claimed only where it holds and is a bound; without one, the factors are kept
/// where they are no worse than before.
fn judge(
    convergence: Convergence,
    hyper: &IalsHyperparameters,
    goal: &RefinementGoal,
    objective_before: f64,
) -> Refinement {
    let certificate = certificate(&convergence, hyper, goal);
    let refusal = match &certificate {
        _ if holds(&certificate) => None,
        Certificate::DualityGap(gap) => Some(gap.approximate.clone().unwrap_or_default()),
        Certificate::Residual { .. } => Some(String::from("the duality gap is not finite")),
    };
    let objective = convergence.report.objective;
    let no_worse = objective <= objective_before + 1e-9 * objective_before.abs();
    Refinement {
        changed: convergence.changed && (refusal.is_none() || no_worse),
        report: Some(convergence.report),
        certificate: Some(certificate),
        refusal,
    }
}

/// Refinement of a neural model: rounds until the residual is at most the tolerance, or stops
/// falling. What there is to tell is a measured residual, no proof.
fn refine_neural(
    learner: &mut NeuralLearner,
    goal: &RefinementGoal,
    should_stop: ShouldStop<'_>,
) -> Option<Refinement> {
    let options = RefinementOptions {
        tolerance: goal.tolerance,
        rounds_max: goal.rounds_max,
    };
    let observe = &mut |report: &RefinementReport| tracing::debug!(?report, "refining");
    let (report, changed) = match learner.refined(&options, should_stop, observe) {
        Ok(refinement) => {
            let (parameters, report) = refinement?;
            let moved = parameters != learner.parameters;
            learner.parameters = parameters;
            (report, moved)
        }
        Err(error) => {
            tracing::error!(%error, "the refinement failed");
            return Some(Refinement::failed(error.to_string()));
        }
    };
    if !report.residual.is_finite() {
        return Some(Refinement::failed(String::from(
            "the residual is not finite",
        )));
    }
    Some(Refinement {
        changed,
        report: Some(TrainingReport {
            sweeps: report.rounds,
            objective: report.value,
            residual: report.residual,
            converged: report.converged,
        }),
        certificate: Some(Certificate::residual(report.residual, goal.tolerance)),
        refusal: None,
    })
}

/// The certificate that a convergence earned.
pub(crate) fn certificate(
    convergence: &Convergence,
    hyper: &IalsHyperparameters,
    goal: &RefinementGoal,
) -> Certificate {
    let (tolerance, target) = (goal.tolerance, goal.target);
    let gap = &convergence.gap;
    let numbers = [gap.root_mean_square, gap.frobenius, gap.gap, gap.scale];
    if !numbers.iter().all(|number| number.is_finite()) {
        // Nothing is proven, so nothing but the residual is claimed.
        return Certificate::residual(convergence.report.residual, tolerance);
    }
    let holds = gap.root_mean_square <= target;
    let reason = || match (convergence.rank_overflows, Remedy::of(convergence, hyper)) {
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
