//! `recant eval`: offline experiments.

mod accuracy;
mod recipe_args;
mod table;
mod unlearn;

use clap::{Args, Subcommand};

use super::error::CliError;

/// Flags of `recant eval`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant eval unlearn config/eval/synthetic.toml --out results
  recant eval accuracy config/eval/ml-100k.toml --data datasets")]
pub(crate) struct EvalArgs {
    /// Which experiment
    #[command(subcommand)]
    pub experiment: Experiment,
}

/// The experiments.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Experiment {
    /// Unlearning methods side by side against retraining
    Unlearn(unlearn::UnlearnArgs),
    /// What trained models find of held-out interactions
    Accuracy(accuracy::AccuracyArgs),
}

/// Carries out one experiment.
pub(super) fn run(args: &EvalArgs) -> Result<(), CliError> {
    match &args.experiment {
        Experiment::Unlearn(args) => unlearn::run(args),
        Experiment::Accuracy(args) => accuracy::run(args),
    }
}
