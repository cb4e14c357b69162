//! The flags that every experiment shares.

use std::path::PathBuf;

use clap::Args;

use super::super::error::CliError;
use recant_lab::experiment::{Recipe, Source};

/// What every experiment needs.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecipeArgs {
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
    pub(super) fn load(&self) -> Result<(Recipe, Vec<Source>), CliError> {
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

    /// Threads for arithmetic.
    pub(super) fn pool(&self) -> Result<rayon::ThreadPool, CliError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()
            .map_err(CliError::failed)
    }
}
