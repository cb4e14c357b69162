//! The flags of `recant train`, and what they make of the settings.

use clap::{Args, ValueEnum};

use super::error::CliError;
use super::settings::StoreArgs;
use recant_http::ModelSettings;
use recant_types::{IalsHyperparameters, ModelSpecification};

/// The kinds of model the command line knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelKind {
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
pub(crate) struct TrainArgs {
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
    pub(crate) fn hyperparameters(
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
    pub(super) fn neural(&self, configured: &ModelSettings) -> Option<ModelSpecification> {
        let kind = match self.model {
            None => configured.kind,
            Some(ModelKind::Ials) => recant_http::ModelKind::Ials,
            Some(ModelKind::Neumf) => recant_http::ModelKind::NeuMf,
            Some(ModelKind::Lightgcn) => recant_http::ModelKind::LightGcn,
        };
        let model = ModelSettings {
            kind,
            ..configured.clone()
        };
        model.neural()
    }

    /// Refuses a stopping rule that cannot stop.
    pub(crate) fn check_stopping(&self) -> Result<(), CliError> {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::super::Command;
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
        settings.kind = recant_http::ModelKind::LightGcn;
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
