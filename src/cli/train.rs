//! `recant train`: trains the model to its tolerance and stores it.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::progress::TrainingBar;
use super::settings::{StoreArgs, open_store, thread_pool};
use super::{CliError, print, print_json};
use recant_core::optim::als::TrainingOptions;
use recant_http::config::ModelSettings;
use recant_service::Trained;
use recant_types::{Certificate, IalsHyperparameters, ModelSpecification};

/// The kinds of model the command line knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModelKind {
    /// Implicit alternating least squares
    Ials,
    /// Neural matrix factorisation
    Neumf,
    /// Light graph convolution
    Lightgcn,
}

/// Flags of `recant train`. An absent flag leaves the configured value.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant train --data-dir recant-data --dim 64 --alpha0 0.3 --lambda 0.02 --seed 1")]
pub struct TrainArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Kind of model
    #[arg(long, value_name = "KIND")]
    pub model: Option<ModelKind>,
    /// Number of latent dimensions
    #[arg(long, value_name = "D")]
    pub dim: Option<usize>,
    /// Weight of every pair, observed or not
    #[arg(long, value_name = "WEIGHT")]
    pub alpha0: Option<f64>,
    /// Strength of the regularisation
    #[arg(long, value_name = "STRENGTH")]
    pub lambda: Option<f64>,
    /// Exponent of the regularisation's growth with the number of interactions
    #[arg(long, value_name = "EXPONENT")]
    pub nu: Option<f64>,
    /// Seed of the initial factors
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Most sweeps before giving up on the tolerance
    #[arg(long, value_name = "N")]
    pub max_sweeps: Option<usize>,
    /// Epochs of a neural model
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Relative gradient residual to train to
    #[arg(long, value_name = "RESIDUAL")]
    pub tol: Option<f64>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

impl TrainArgs {
    /// `configured` with the flags that were given in its place, checked.
    pub fn hyperparameters(
        &self,
        configured: IalsHyperparameters,
    ) -> Result<IalsHyperparameters, CliError> {
        IalsHyperparameters {
            dim: self.dim.unwrap_or(configured.dim),
            alpha0: self.alpha0.unwrap_or(configured.alpha0),
            lambda: self.lambda.unwrap_or(configured.lambda),
            nu: self.nu.unwrap_or(configured.nu),
        }
        .checked()
        .map_err(CliError::usage)
    }

    /// The configured kind of model with the flag in its place: a neural one, or `None` for ials.
    fn neural(&self, configured: &ModelSettings) -> Option<ModelSpecification> {
        let kind = match self.model {
            None => configured.kind,
            Some(ModelKind::Ials) => recant_http::config::ModelKind::Ials,
            Some(ModelKind::Neumf) => recant_http::config::ModelKind::NeuMf,
            Some(ModelKind::Lightgcn) => recant_http::config::ModelKind::LightGcn,
        };
        let model = ModelSettings {
            kind,
            ..configured.clone()
        };
        model.neural()
    }

    /// Refuses a stopping rule that cannot stop.
    pub fn check_stopping(&self) -> Result<(), CliError> {
        if self.max_sweeps == Some(0) {
            return Err(CliError::usage("--max-sweeps must be at least 1"));
        }
        match self.tol {
            Some(tol) if !(tol > 0.0 && tol < 1.0) => Err(CliError::usage(
                "--tol must be greater than 0 and less than 1",
            )),
            _ => Ok(()),
        }
    }
}

/// Trains, stores the model and prints how it went.
pub fn run(args: &TrainArgs) -> Result<(), CliError> {
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
    let store = open_store(&settings)?;
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
    match args.json {
        true => print_json(&summary),
        false => print(&summary.to_string()),
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    fn parse(flags: &[&str]) -> TrainArgs {
        let arguments = ["recant", "train"].iter().chain(flags);
        match Cli::try_parse_from(arguments).expect("well formed").command {
            Command::Train(args) => args,
            other => panic!("not train: {other:?}"),
        }
    }

    #[test]
    fn flags_take_the_place_of_configured_values_and_are_checked() {
        let configured = IalsHyperparameters::default();
        let hyper = parse(&["--dim", "8", "--lambda", "0.5"])
            .hyperparameters(configured)
            .expect("in range");
        assert_eq!((hyper.dim, hyper.lambda, hyper.nu), (8, 0.5, configured.nu));
        for (flag, value, name) in [("--dim", "0", "dim"), ("--alpha0", "NaN", "alpha0")] {
            let error = parse(&[flag, value])
                .hyperparameters(configured)
                .expect_err("out of range");
            assert!(
                matches!(&error, CliError::Usage(text) if text.starts_with(name)),
                "{error}"
            );
        }
    }

    #[test]
    fn the_flag_names_the_kind_before_the_settings_do() {
        let mut settings = ModelSettings::default();
        let kind = |flags: &[&str], settings: &ModelSettings| {
            parse(flags).neural(settings).map(|model| model.kind())
        };
        assert_eq!(kind(&[], &settings), None);
        assert_eq!(kind(&["--model", "neumf"], &settings), Some("neumf"));
        settings.kind = recant_http::config::ModelKind::LightGcn;
        assert_eq!(kind(&[], &settings), Some("lightgcn"));
        assert_eq!(kind(&["--model", "ials"], &settings), None);
    }

    #[test]
    fn a_stopping_rule_must_be_able_to_stop() {
        assert!(
            parse(&["--tol", "1e-6", "--max-sweeps", "1"])
                .check_stopping()
                .is_ok()
        );
        for flags in [["--tol", "0"], ["--tol", "NaN"], ["--max-sweeps", "0"]] {
            assert!(parse(&flags).check_stopping().is_err(), "{flags:?}");
        }
    }
}
