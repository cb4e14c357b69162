//! `recant train --model neumf|lightgcn`: what differs from training implicit ALS.

use recant_neural::forget::RefinementOptions;
use recant_neural::model_of;
use recant_neural::optimise::AdamWOptions;
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use super::error::CliError;
use super::output::{print, print_json};
use super::progress::bar;
use super::settings::{open_single_store, thread_pool};
use super::train_args::TrainArgs;
use recant_http::Settings;
use recant_service::Trained;
use recant_service::{NeuralProgress, NeuralTraining, train_neural};
use recant_types::{Certificate, ModelSpecification, NeuMf};

/// How the settings want a neural model trained.
pub(super) fn neural_training(
    settings: &Settings,
    specification: &ModelSpecification,
) -> NeuralTraining {
    let usual = AdamWOptions::for_model(model_of(specification));
    let training = &settings.training;
    NeuralTraining {
        adamw: AdamWOptions {
            epochs: training.epochs as usize,
            batch: match training.batch {
                0 => usual.batch,
                batch => batch as usize,
            },
            learning_rate: match training.learning_rate {
                rate if rate > 0.0 => rate as f32,
                _ => usual.learning_rate,
            },
            seed: settings.model.seed,
            ..usual
        },
        refinement: RefinementOptions {
            tolerance: training.tolerance,
            rounds_max: training.rounds as usize,
        },
    }
}

/// The configured model with the flags in its place.
fn specification(
    args: &TrainArgs,
    configured: ModelSpecification,
) -> Result<ModelSpecification, CliError> {
    for (given, flag) in [(args.alpha0, "--alpha0"), (args.nu, "--nu")] {
        if given.is_some() {
            let problem = format!("{flag} belongs to --model ials: leave it out");
            return Err(CliError::usage(problem));
        }
    }
    let mut specification = configured;
    match &mut specification {
        ModelSpecification::NeuMf(model) => {
            if let Some(dim) = args.dim {
                let shape = NeuMf::with_factors(dim);
                (model.factors, model.layers) = (shape.factors, shape.layers);
            }
            model.lambda = args.lambda.unwrap_or(model.lambda);
        }
        ModelSpecification::LightGcn(model) => {
            model.dim = args.dim.unwrap_or(model.dim);
            model.lambda = args.lambda.unwrap_or(model.lambda);
        }
        ModelSpecification::Factorisation(_) => {}
    }
    specification.checked().map_err(CliError::usage)
}

/// Trains, stores the model and prints how it went.
pub(super) fn run(
    args: &TrainArgs,
    settings: &Settings,
    configured: ModelSpecification,
) -> Result<(), CliError> {
    if args.max_sweeps.is_some() {
        let problem = "--max-sweeps belongs to --model ials: give --epochs";
        return Err(CliError::usage(problem));
    }
    let specification = specification(args, configured)?;
    let mut options = neural_training(settings, &specification);
    options.adamw.seed = args.seed.unwrap_or(options.adamw.seed);
    options.adamw.epochs = args.epochs.unwrap_or(options.adamw.epochs);
    options.refinement.tolerance = args.tol.unwrap_or(options.refinement.tolerance);
    let store = open_single_store(settings)?;
    let began = Instant::now();
    let progress = bar(
        (options.adamw.epochs + options.refinement.rounds_max) as u64,
        "training [{bar:30}] {msg}, {eta} left",
    );
    let trained = thread_pool(settings)?.install(|| {
        train_neural(&store, specification, &options, &mut |now| {
            show(&progress, now);
            ControlFlow::Continue(())
        })
    });
    progress.finish_and_clear();
    let summary = Summary::new(&trained.map_err(CliError::failed)?, began.elapsed());
    if args.json {
        print_json(&summary)
    } else {
        print(&summary.to_string())
    }
}

fn show(bar: &ProgressBar, now: NeuralProgress) {
    match now {
        NeuralProgress::Epoch(epoch) => {
            bar.inc(1);
            bar.set_message(format!("epoch {}, loss {:.5}", epoch.epoch, epoch.loss));
        }
        NeuralProgress::Round(round) => {
            bar.inc(u64::from(round.rounds > 0));
            bar.set_message(format!(
                "round {}, objective {:.6e}, residual {:.1e}",
                round.rounds, round.value, round.residual
            ));
        }
    }
}

/// What is printed in the end.
#[derive(Debug, Serialize)]
struct Summary {
    model_version: u64,
    /// Kind and hyper-parameters.
    #[serde(flatten)]
    specification: Option<ModelSpecification>,
    seed: u64,
    users: usize,
    items: usize,
    interactions: usize,
    epochs: usize,
    objective: f64,
    residual: f64,
    certificate: Option<Certificate>,
    seconds: f64,
}

impl Summary {
    fn new(trained: &Trained, elapsed: Duration) -> Self {
        Self {
            model_version: trained.header.version,
            specification: trained.header.model.neural().cloned(),
            seed: trained.header.seed,
            users: trained.users,
            items: trained.items,
            interactions: trained.interactions,
            epochs: trained.report.sweeps,
            objective: trained.report.objective,
            residual: trained.report.residual,
            certificate: trained.header.certificate.clone(),
            seconds: elapsed.as_secs_f64(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.specification.as_ref().map_or("", |model| model.kind());
        let hyper = serde_json::to_string(&self.specification).unwrap_or_default();
        writeln!(
            f,
            "model {}: {kind} {hyper}, seed {}",
            self.model_version, self.seed
        )?;
        writeln!(
            f,
            "trained on {} interactions of {} users with {} items",
            self.interactions, self.users, self.items
        )?;
        writeln!(
            f,
            "{} epochs in {:.2} s: objective {:.9e}",
            self.epochs, self.seconds, self.objective
        )?;
        match &self.certificate {
            Some(certificate) => writeln!(f, "certificate: {certificate}"),
            None => Ok(()),
        }
    }
}
