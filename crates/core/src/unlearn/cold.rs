//! Training from random factors to the certificate.

use std::ops::ControlFlow;

use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::als::{self, SweepReport, TrainingError, TrainingOptions};
use crate::unlearn::converge::{Convergence, Goal, Look, Progress, Warm, converge};
use crate::unlearn::rank::settle_rank;
use recant_types::IalsHyperparameters;

/// The residual that sweeps reach before the certificate is looked at.
const COLD_RESIDUAL: f64 = 1e-4;

/// Trains from random factors until the residual is at most the tolerance of `options` and the
/// certified root mean square at most `target`, or until the sweeps are used up, which the
/// convergence then says. What a retrain costs.
///
/// The result depends on data, hyper-parameters, options and target, not on the number of threads.
/// `observe` is called after every sweep and every look at the certificate; `None` when it ended
/// the training.
pub fn train(
    matrix: &InteractionMatrix,
    hyperparameters: IalsHyperparameters,
    options: &TrainingOptions,
    target: f64,
    observe: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<(Ials, Convergence)>, TrainingError> {
    let cold = TrainingOptions {
        tolerance: options.tolerance.max(COLD_RESIDUAL),
        ..options.clone()
    };
    let mut interrupted = false;
    let mut warm = Warm::new(options.kept_bytes_max);
    let (mut model, report) = als::train_keeping(
        matrix,
        hyperparameters,
        &cold,
        &mut warm.kept,
        &mut |sweep| {
            let flow = observe(Progress::Sweep(sweep));
            interrupted = flow.is_break();
            flow
        },
    )?;
    if interrupted {
        return Ok(None);
    }
    settle_rank(&mut model, matrix, &[]);
    warm.kept.clear();
    let goal = Goal {
        root_mean_square: target,
        residual: options.tolerance,
        max_sweeps: options.max_sweeps.saturating_sub(report.sweeps),
        seed: options.seed,
    };
    let done = report.sweeps;
    let never = || false;
    let observe = &mut |now: Progress<'_>| match now {
        Progress::Sweep(sweep) => observe(Progress::Sweep(&SweepReport {
            sweep: done + sweep.sweep,
            ..*sweep
        })),
        Progress::Look(look) => observe(Progress::Look(&Look {
            sweeps: done + look.sweeps,
            ..*look
        })),
    };
    let convergence = converge(&mut model, matrix, &mut warm, &goal, &never, observe)?;
    Ok(convergence.map(|mut convergence| {
        convergence.report.sweeps += done;
        (model, convergence)
    }))
}
