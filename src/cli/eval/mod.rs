//! `recant eval`: offline experiments.

pub mod accuracy;
mod table;
pub mod unlearn;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::CliError;
use recant_lab::experiment::Recipe;
use recant_lab::experiment::Source;

/// Flags of `recant eval`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant eval unlearn config/eval/synthetic.toml --out results
  recant eval accuracy config/eval/ml-100k.toml --data datasets")]
pub struct EvalArgs {
    /// Which experiment
    #[command(subcommand)]
    pub experiment: Experiment,
}

/// The experiments.
#[derive(Debug, Clone, Subcommand)]
pub enum Experiment {
    /// Unlearning methods side by side against retraining
    Unlearn(unlearn::UnlearnArgs),
    /// What trained models find of held-out interactions
    Accuracy(accuracy::AccuracyArgs),
}

/// What every experiment needs.
#[derive(Debug, Clone, Args)]
pub struct RecipeArgs {
    /// The recipe: data sets, models, methods, deletions, seeds
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    /// Folder whose folders are the data sets, by name; or the one data set itself
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Threads; 0 takes one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

impl RecipeArgs {
    /// Reads and checks the recipe, then the data.
    fn load(&self) -> Result<(Recipe, Vec<Source>), CliError> {
        let recipe = Recipe::read(&self.recipe).map_err(CliError::usage)?;
        if let Some(folder) = self.data.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(CliError::Usage(format!(
                "--data {}: there is no such folder",
                folder.display()
            )));
        }
        let load = |spec| Source::load(spec, self.data.as_deref());
        let sources: Result<_, _> = recipe.data.iter().map(load).collect();
        Ok((recipe, sources.map_err(CliError::usage)?))
    }

    fn pool(&self) -> Result<rayon::ThreadPool, CliError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()
            .map_err(CliError::failed)
    }
}

/// Carries out one experiment.
pub fn run(args: &EvalArgs) -> Result<(), CliError> {
    match &args.experiment {
        Experiment::Unlearn(args) => unlearn::run(args),
        Experiment::Accuracy(args) => accuracy::run(args),
    }
}
