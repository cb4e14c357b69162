//! How accurate trained models are, under two protocols.

use rayon::current_num_threads;
use serde::{Deserialize, Serialize};

use super::data_set::{DataError, DataSet, Source};
use super::deletion::cohort;
use super::recipe::{ModelSpec, Recipe};
use super::unlearner::{MethodError, Precision, Seeds, Subject};
use super::watch::Watch;
use crate::eval::held_out::{HeldOutAccuracy, held_out_accuracy};
use crate::eval::leave_one_out::{LeaveOneOut, leave_one_out};
use crate::eval::scorer::Scorer;

/// A trained model measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelAccuracy {
    /// Name of the data set.
    pub data: String,
    /// The model.
    pub model: ModelSpec,
    /// Seed of split and training.
    pub seed: u64,
    /// Time of the training.
    pub seconds: f64,
    /// Threads that computed.
    pub threads: usize,
    /// Against all items the user does not have.
    pub full_ranking: HeldOutAccuracy,
    /// The first held-out item of each user against 99 others.
    pub leave_one_out: LeaveOneOut,
}

/// Why there is no accuracy.
#[derive(Debug, thiserror::Error)]
pub enum AccuracyError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The training went wrong.
    #[error("{model} on {data}: {source}")]
    Training {
        /// Which model.
        model: String,
        /// On which data.
        data: String,
        /// Why.
        source: MethodError,
    },
}

/// Trains every model of the recipe on every data set and seed, and measures it; methods and
/// deletions are left out. `observe` is given each result as it comes.
pub fn accuracy(
    recipe: &Recipe,
    sources: &[Source],
    observe: &mut dyn FnMut(&ModelAccuracy),
) -> Result<Vec<ModelAccuracy>, AccuracyError> {
    let mut found = Vec::new();
    for source in sources {
        for seed in &recipe.seeds {
            let data = source.split(*seed)?;
            for spec in &recipe.model {
                let measured = one(recipe, &data, spec, *seed)?;
                observe(&measured);
                found.push(measured);
            }
        }
    }
    Ok(found)
}

fn one(
    recipe: &Recipe,
    data: &DataSet,
    spec: &ModelSpec,
    seed: u64,
) -> Result<ModelAccuracy, AccuracyError> {
    let mut watch = Watch::new(None);
    let trained = Subject::new(spec)
        .train(&data.train, Seeds::all(seed), Precision::Usual, &mut watch)
        .map_err(|source| AccuracyError::Training {
            model: spec.label(),
            data: data.name.clone(),
            source,
        })?;
    let scorer: &dyn Scorer = trained.scorer();
    let everybody = cohort(&data.train, &[], recipe.measure.users_max, seed);
    Ok(ModelAccuracy {
        data: data.name.clone(),
        model: spec.clone(),
        seed,
        seconds: watch.seconds(),
        threads: current_num_threads(),
        full_ranking: held_out_accuracy(scorer, &data.train, &data.held, &everybody).all,
        leave_one_out: leave_one_out(scorer, &data.train, &data.held, seed),
    })
}
