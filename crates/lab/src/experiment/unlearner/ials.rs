//! iALS: training to the certificate, sweeps, and the two stages of `recant`.

use std::ops::ControlFlow;
use std::time::Duration;

use super::method::{Change, MethodError, Precision, Unlearner};
use crate::experiment::recipe::{IalsSpec, MethodSpec};
use crate::experiment::watch::Watch;
use recant_core::model::{Ials, InteractionMatrix};
use recant_core::optim::als;
use recant_core::optim::als::{CACHE_BYTES_MAX, TrainingError, TrainingOptions};
use recant_core::unlearn::{Goal, UpdateOptions, Warm, cold, converge, update};
use recant_eval::Scorer;
use recant_types::IalsHyperparameters;

/// What a service works to by default: the certified root mean square, of which a training takes
/// half, and the relative gradient residual.
const TARGET: f64 = 1e-4;
const TRAINING_TARGET: f64 = 5e-5;
const RESIDUAL: f64 = 1e-5;

/// What a reference is certified and converged to.
const REFERENCE_TARGET: f64 = 4e-6;
const REFERENCE_RESIDUAL: f64 = 1e-7;

const SWEEPS_MAX: usize = 500;

/// iALS with its hyper-parameters.
pub(in crate::experiment) struct IalsSubject {
    hyper: IalsHyperparameters,
}

impl IalsSubject {
    pub(super) fn new(spec: &IalsSpec) -> Self {
        Self {
            hyper: spec.hyperparameters(),
        }
    }

    pub(super) fn train(
        &self,
        matrix: &InteractionMatrix,
        seed: u64,
        precision: Precision,
        watch: &mut Watch<'_>,
    ) -> Result<Ials, MethodError> {
        let (target, tolerance) = match precision {
            Precision::Usual => (TRAINING_TARGET, RESIDUAL),
            Precision::Reference => (REFERENCE_TARGET, REFERENCE_RESIDUAL),
        };
        let options = TrainingOptions {
            seed,
            tolerance,
            max_sweeps: SWEEPS_MAX,
            ..TrainingOptions::default()
        };
        let trained = watch.time(|_| {
            let go_on = &mut |_: recant_core::unlearn::Progress<'_>| ControlFlow::Continue(());
            cold::train(matrix, self.hyper, &options, target, go_on)
        });
        let (model, _) = trained.map_err(diverged)?.expect("nothing ends it early");
        Ok(model)
    }
}

fn diverged(error: TrainingError) -> MethodError {
    MethodError::Diverged {
        what: "iALS",
        reason: error.to_string(),
    }
}

/// A method for iALS at work on `original`.
pub(super) fn unlearner<'a>(
    method: &MethodSpec,
    original: &Ials,
    matrix: &InteractionMatrix,
    seed: u64,
) -> Result<Box<dyn Unlearner + 'a>, MethodError> {
    let stages = |budget_milliseconds, polish_every| -> Result<Box<dyn Unlearner>, MethodError> {
        let budget = Duration::from_millis(budget_milliseconds);
        Ok(Box::new(Stages::new(
            original,
            matrix,
            budget,
            polish_every,
            seed,
        )?))
    };
    match method {
        MethodSpec::WarmSweeps { sweeps } => Ok(Box::new(WarmSweeps {
            model: original.clone(),
            sweeps: *sweeps,
        })),
        MethodSpec::Stage1 {
            budget_milliseconds,
        } => stages(*budget_milliseconds, None),
        MethodSpec::Stages {
            budget_milliseconds,
            polish_every,
        } => stages(*budget_milliseconds, Some(*polish_every)),
        other => Err(MethodError::DoesNotFit(other.label())),
    }
}

/// Plain sweeps over all blocks.
struct WarmSweeps {
    model: Ials,
    sweeps: usize,
}

impl Unlearner for WarmSweeps {
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError> {
        watch.time(|watch| {
            self.model.clear_inactive(change.retained);
            for _ in 0..self.sweeps {
                als::sweep(&mut self.model, change.retained, &|| false);
                watch.look(&self.model);
            }
        });
        Ok(())
    }

    fn model(&self) -> &dyn Scorer {
        &self.model
    }
}

/// What a service does: blocks near the deletion first, then sweeps to the certificate.
struct Stages {
    model: Ials,
    warm: Warm,
    options: UpdateOptions,
    /// Deletions between two runs of the second stage; `None` for the first stage alone.
    polish_every: Option<usize>,
    /// Deletions since the last run of the second stage.
    unrefined: usize,
    seed: u64,
}

impl Stages {
    /// As a service stands that has refined its model: with kept matrices. Not timed.
    fn new(
        original: &Ials,
        matrix: &InteractionMatrix,
        budget: Duration,
        polish_every: Option<usize>,
        seed: u64,
    ) -> Result<Self, MethodError> {
        let mut stages = Self {
            model: original.clone(),
            warm: Warm::new(CACHE_BYTES_MAX),
            options: UpdateOptions {
                budget,
                tolerance: RESIDUAL,
                seed,
            },
            polish_every,
            unrefined: 0,
            seed,
        };
        let go_on = &mut |_: &als::SweepReport| ControlFlow::Continue(());
        let kept = &mut stages.warm.cache;
        als::refine(&mut stages.model, matrix, kept, 0.0, 1, &|| false, go_on).map_err(diverged)?;
        stages.refine(matrix)?;
        Ok(stages)
    }

    /// The second stage.
    fn refine(&mut self, matrix: &InteractionMatrix) -> Result<(), MethodError> {
        let goal = Goal {
            root_mean_square: TARGET,
            residual: RESIDUAL,
            max_sweeps: SWEEPS_MAX,
            seed: self.seed,
        };
        let (model, warm) = (&mut self.model, &mut self.warm);
        converge(model, matrix, warm, &goal, &|| false, &mut |_| {
            ControlFlow::Continue(())
        })
        .map_err(diverged)?;
        Ok(())
    }
}

impl Unlearner for Stages {
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError> {
        watch.time(|watch| {
            let (model, kept) = (&mut self.model, &mut self.warm.cache);
            update(model, change.retained, kept, &change.touched, &self.options);
            watch.look(&self.model);
            self.unrefined += 1;
            if self
                .polish_every
                .is_some_and(|every| self.unrefined >= every)
            {
                self.unrefined = 0;
                self.refine(change.retained)?;
            }
            Ok(())
        })
    }

    fn model(&self) -> &dyn Scorer {
        &self.model
    }
}
