//! `recant train`: trains the model to its tolerance and stores it.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::CliError;
use super::output::{print, print_json};
use super::progress::TrainingBar;
use super::settings::{open_single_store, thread_pool};
use super::train_args::TrainArgs;
use recant_core::optim::als::TrainingOptions;
use recant_service::Trained;
use recant_types::Certificate;

/// Trains, stores the model and prints how it went.
pub(super) fn run(args: &TrainArgs) -> Result<(), CliError> {
    args.check_stopping()?;
    let settings = args.store.settings(Vec::new())?;
    if let Some(specification) = args.neural(&settings.model) {
        return super::train_neural::run(args, &settings, specification);
    }
    if args.epochs.is_some() {
        return Err(CliError::usage(
            "--epochs belongs to a neural --model: give --max-sweeps",
        ));
    }
    let hyperparameters = args.hyperparameters(settings.model.hyperparameters())?;
    let options = TrainingOptions {
        seed: args.seed.unwrap_or(settings.model.seed),
        tolerance: args.tol.unwrap_or(settings.training.tolerance),
        max_sweeps: args
            .max_sweeps
            .unwrap_or(settings.training.max_sweeps as usize),
        ..TrainingOptions::default()
    };
    let store = open_single_store(&settings)?;
    let pool = thread_pool(&settings)?;
    let began = Instant::now();
    let target = settings.certificate.target;
    let progress = TrainingBar::new("training", options.tolerance);
    let trained = pool.install(|| {
        recant_service::train(&store, hyperparameters, &options, target, &mut |now| {
            progress.show(now);
            ControlFlow::Continue(())
        })
    });
    progress.end();
    let trained = trained.map_err(CliError::failed)?;
    if !trained.report.converged {
        tracing::warn!(
            residual = trained.report.residual,
            tolerance = options.tolerance,
            "stopped above the tolerance: raise --max-sweeps, or --lambda"
        );
    }
    let summary = Summary::new(&trained, began.elapsed());
    if args.json {
        print_json(&summary)
    } else {
        print(&summary.to_string())
    }
}

/// What a person or a program wants to know after training.
#[derive(Debug, Serialize)]
struct Summary {
    model_version: u64,
    kind: &'static str,
    dim: usize,
    alpha0: f64,
    lambda: f64,
    nu: f64,
    seed: u64,
    users: usize,
    items: usize,
    interactions: usize,
    sweeps: usize,
    objective: f64,
    residual: f64,
    converged: bool,
    certificate: Option<Certificate>,
    /// What would close a certificate that the ceiling of dimensions keeps open.
    remedy: Option<RemedySummary>,
    seconds: f64,
}

/// Two ways to close the certificate, each an estimate.
#[derive(Debug, Serialize)]
struct RemedySummary {
    lambda: f64,
    dim: Option<usize>,
}

impl Summary {
    fn new(trained: &Trained, elapsed: Duration) -> Self {
        let hyper = trained.header.model.ials().unwrap_or_default();
        Self {
            model_version: trained.header.version,
            kind: "ials",
            dim: hyper.dim,
            alpha0: hyper.alpha0,
            lambda: hyper.lambda,
            nu: hyper.nu,
            seed: trained.header.seed,
            users: trained.users,
            items: trained.items,
            interactions: trained.interactions,
            sweeps: trained.report.sweeps,
            objective: trained.report.objective,
            residual: trained.report.residual,
            converged: trained.report.converged,
            certificate: trained.header.certificate.clone(),
            remedy: trained.remedy.map(|remedy| RemedySummary {
                lambda: remedy.lambda,
                dim: remedy.dim,
            }),
            seconds: elapsed.as_secs_f64(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "model {}: {} with d = {}, alpha0 = {}, lambda = {}, nu = {}, seed {}",
            self.model_version, self.kind, self.dim, self.alpha0, self.lambda, self.nu, self.seed
        )?;
        writeln!(
            f,
            "trained on {} interactions of {} users with {} items",
            self.interactions, self.users, self.items
        )?;
        writeln!(
            f,
            "{} sweeps in {:.2} s: objective {:.9e}, residual {:.2e}{}",
            self.sweeps,
            self.seconds,
            self.objective,
            self.residual,
            if self.converged {
                ""
            } else {
                ", above the tolerance"
            }
        )?;
        match &self.certificate {
            Some(certificate) => writeln!(f, "certificate: {certificate}"),
            None => Ok(()),
        }
    }
}
