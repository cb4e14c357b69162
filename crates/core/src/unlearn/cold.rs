//! Training from random factors to the certificate.

use std::ops::ControlFlow;

use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::als::{self, SweepReport, TrainingError, TrainingOptions, TrainingReport};
use crate::unlearn::converge::{
    CEILING_DIRECTIONS, CertificateEvaluation, Convergence, Goal, Progress, Warm, converge,
};
use crate::unlearn::duality_gap::{GapOptions, count_descent_directions, duality_gap};
use crate::unlearn::rank::rebalance;
use recant_types::IalsHyperparameters;

/// The residual that sweeps reach before the certificate is evaluated.
const COLD_RESIDUAL: f64 = 1e-4;

/// Sweeps after which training finds out whether the data want more columns than there are, twice: what
/// will not close is not swept to the end.
const CEILING_EVALUATIONS: [usize; 2] = [24, 36];

/// Trains from random factors until the residual is at most the tolerance of `options` and the
/// certified root mean square at most `target`, or until the sweeps are used up, which the
/// convergence then says. What a retrain costs. Where the d columns are too few it ends after some
/// dozens of sweeps, with what there is; and where the minimiser is zero, at once.
///
/// The result depends on data, hyper-parameters, options and target, not on the number of threads.
/// `observe` is called after every sweep and every evaluation of the certificate; `None` when it ended
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
    if let Some(zero) = zero_minimiser(matrix, hyperparameters, options.seed, target) {
        return Ok(Some(zero));
    }
    let (mut interrupted, mut bound_evaluations) = (false, 0);
    let mut warm = Warm::new(options.cache_bytes_max);
    let (mut model, report) = als::train_observed(
        matrix,
        hyperparameters,
        &cold,
        &mut warm.cache,
        &mut |sweep, model| {
            let flow = observe(Progress::Sweep(sweep));
            interrupted = flow.is_break();
            if CEILING_EVALUATIONS.contains(&sweep.sweep) {
                let over_limit = count_descent_directions(model, matrix, options.seed);
                bound_evaluations += usize::from(over_limit >= CEILING_DIRECTIONS);
            }
            if bound_evaluations == CEILING_EVALUATIONS.len() {
                ControlFlow::Break(())
            } else {
                flow
            }
        },
    )?;
    if interrupted {
        return Ok(None);
    }
    let ceiling_binds = bound_evaluations == CEILING_EVALUATIONS.len();
    rebalance(&mut model, matrix, &[]);
    warm.cache.clear();
    let goal = Goal {
        root_mean_square: target,
        residual: options.tolerance,
        max_sweeps: if ceiling_binds {
            0
        } else {
            options.max_sweeps.saturating_sub(report.sweeps)
        },
        seed: options.seed,
    };
    let done = report.sweeps;
    let never = || false;
    let observe = &mut |now: Progress<'_>| match now {
        Progress::Sweep(sweep) => observe(Progress::Sweep(&SweepReport {
            sweep: done + sweep.sweep,
            ..*sweep
        })),
        Progress::Evaluation(evaluation) => observe(Progress::Evaluation(&CertificateEvaluation {
            sweeps: done + evaluation.sweeps,
            ..*evaluation
        })),
    };
    let convergence = converge(&mut model, matrix, &mut warm, &goal, &never, observe)?;
    Ok(convergence.map(|mut convergence| {
        convergence.report.sweeps += done;
        convergence.rank_overflows += usize::from(ceiling_binds);
        (model, convergence)
    }))
}

/// The model of zeros and its certificate, where that is the minimiser: where even the first column
/// would cost more than it explains. Cost where it is not: a few products with the sparse matrix.
fn zero_minimiser(
    matrix: &InteractionMatrix,
    hyperparameters: IalsHyperparameters,
    seed: u64,
    target: f64,
) -> Option<(Ials, Convergence)> {
    let zero = Ials::zeros(hyperparameters, matrix.user_rows(), matrix.item_rows());
    if count_descent_directions(&zero, matrix, seed) > 0 {
        return None;
    }
    let options = GapOptions {
        target,
        seed,
        ..GapOptions::default()
    };
    let gap = duality_gap(&zero, matrix, &options);
    if gap.root_mean_square > target {
        return None;
    }
    let measured = zero.measure(matrix);
    let report = TrainingReport {
        sweeps: 0,
        objective: measured.objective,
        residual: measured.residual,
        converged: true,
    };
    let convergence = Convergence {
        report,
        gap,
        changed: true,
        rank_overflows: 0,
    };
    Some((zero, convergence))
}
