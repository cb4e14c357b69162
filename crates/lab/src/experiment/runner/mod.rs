//! Carries a recipe out, run by run.

mod trial;

use std::path::{Path, PathBuf};

use super::data_set::{DataError, DataSet, Source};
use super::deletion::{Deletion, NothingToDelete};
use super::recipe::{DeletionSpec, ModelSpec, Recipe, RecipeError};
use super::results::{DataSummary, Results};
use super::run_record::{Arm, Outcome, RunKey, RunRecord};
use super::unlearner::{Precision, Seeds, Subject};
use super::watch::Watch;
use trial::{Setting, Trial};

/// Folder of the records of finished runs, below that of the results.
const CELLS: &str = "cells";

/// Why an experiment does not begin, or ends early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The recipe cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A deletion cannot be drawn.
    #[error("deletion {deletion} from data {data}: {source}: take a larger share or data set")]
    Deletion {
        /// Which deletion.
        deletion: String,
        /// From which data.
        data: String,
        /// Why.
        source: NothingToDelete,
    },
    /// A result cannot be kept.
    #[error("cannot write below {}: {source}", folder.display())]
    Write {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Something to show while it runs.
#[derive(Debug, Clone, Copy)]
pub enum RunProgress<'a> {
    /// Everything is checked; so many runs will be looked at, and so many are there already.
    Begin {
        /// All runs.
        runs: usize,
        /// Finished ones.
        finished: usize,
    },
    /// A model is being trained, or a method is at work.
    Working(&'a str),
    /// A run is finished.
    Finished(&'a RunRecord),
}

/// Shows how far a run has come.
pub(crate) type Observe<'a> = &'a mut dyn FnMut(RunProgress<'_>);

/// Carries out what `recipe` asks for, leaves the record of every finished run in `folder/cells` and the whole
/// in `folder/results.json`, which is brought up to date now and then.
///
/// Everything is checked before anything is trained. Runs that are there already, for the same
/// data and settings, are not computed again. A method that fails fails its run, not the run.
pub fn run(
    recipe: &Recipe,
    sources: &[Source],
    folder: &Path,
    observe: Observe<'_>,
) -> Result<Results, RunError> {
    recipe.check_for_unlearning()?;
    let records = folder.join(CELLS);
    let write = |source| RunError::Write {
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(&records).map_err(write)?;
    let (data, keys) = plan(recipe, sources)?;
    let mut run = Run {
        recipe,
        records,
        observe,
    };
    let finished = run.finished(&keys).len();
    (run.observe)(RunProgress::Begin {
        runs: keys.len(),
        finished,
    });
    for source in sources {
        for seed in &recipe.seeds {
            let split = source.split(*seed)?;
            for model in &recipe.model {
                run.model(&split, model, *seed).map_err(write)?;
                run.results(&data, &keys).write(folder).map_err(write)?;
            }
        }
    }
    Ok(run.results(&data, &keys))
}

/// Splits every data set and draws every deletion once, to see that it can be done; the sizes and
/// the keys of all runs, in order.
fn plan(recipe: &Recipe, sources: &[Source]) -> Result<(Vec<DataSummary>, Vec<RunKey>), RunError> {
    let (mut data, mut keys) = (Vec::new(), Vec::new());
    for source in sources {
        for seed in &recipe.seeds {
            let split = source.split(*seed)?;
            for spec in &recipe.deletion {
                Deletion::draw(spec, &split.train, *seed).map_err(|source| RunError::Deletion {
                    deletion: spec.label(),
                    data: split.name.clone(),
                    source,
                })?;
            }
            data.push(DataSummary::new(&split, *seed));
            for model in &recipe.model {
                for deletion in &recipe.deletion {
                    keys.extend(keys_of(recipe, &split, model, deletion, *seed));
                }
            }
        }
    }
    Ok((data, keys))
}

/// The runs of one model and deletion: the reference, the noise floor, the ceiling, the methods.
fn keys_of(
    recipe: &Recipe,
    data: &DataSet,
    model: &ModelSpec,
    deletion: &DeletionSpec,
    seed: u64,
) -> Vec<RunKey> {
    let fitting = recipe.method.iter().filter(|method| method.fits(model));
    let methods = fitting.map(|method| Arm::Method(method.clone()));
    let chances = [Arm::RetrainSameStart, Arm::RetrainSameExamples];
    let chances = chances
        .into_iter()
        .filter(|_| model.is_neural() && recipe.partial_floors);
    [Arm::Reference, Arm::Retrain]
        .into_iter()
        .chain(chances)
        .chain([Arm::Nothing])
        .chain(methods)
        .map(|arm| RunKey {
            data: data.name.clone(),
            data_fingerprint: data.fingerprint.clone(),
            model: model.clone(),
            deletion: deletion.clone(),
            arm,
            seed,
            measure: recipe.measure.of_unlearning(),
        })
        .collect()
}

struct Run<'a> {
    recipe: &'a Recipe,
    records: PathBuf,
    observe: Observe<'a>,
}

impl Run<'_> {
    fn finished(&self, keys: &[RunKey]) -> Vec<RunRecord> {
        keys.iter()
            .filter_map(|key| RunRecord::read(&self.records, key))
            .collect()
    }

    fn results(&self, data: &[DataSummary], keys: &[RunKey]) -> Results {
        let records = self.finished(keys);
        Results {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            recipe: self.recipe.clone(),
            threads: rayon::current_num_threads(),
            data: data.to_vec(),
            missing: keys.len() - records.len(),
            records,
        }
    }

    /// All deletions from one model, which is trained when the first run needs it.
    fn model(&mut self, data: &DataSet, spec: &ModelSpec, seed: u64) -> std::io::Result<()> {
        let subject = Subject::new(spec);
        let mut original = None;
        for deletion in &self.recipe.deletion {
            let keys = keys_of(self.recipe, data, spec, deletion, seed);
            let is_missing = |key: &RunKey| RunRecord::read(&self.records, key).is_none();
            let missing: Vec<RunKey> = keys.into_iter().filter(is_missing).collect();
            if missing.is_empty() {
                continue;
            }
            let original = original.get_or_insert_with(|| {
                let what = format!("{}: training {}", data.name, spec.label());
                (self.observe)(RunProgress::Working(&what));
                subject.train(
                    &data.train,
                    Seeds::all(seed),
                    Precision::Usual,
                    &mut Watch::new(None),
                )
            });
            let (model, deleted) = (spec.label(), deletion.label());
            let what = format!("{}: {model}, {deleted}, retraining", data.name);
            (self.observe)(RunProgress::Working(&what));
            let trial = original
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|original| {
                    Trial::new(Setting {
                        data,
                        subject: &subject,
                        original,
                        measure: self.recipe.measure,
                        temperature: spec.temperature(),
                        deletion,
                        seed,
                    })
                });
            for key in missing {
                self.working(&key);
                let outcome = match &trial {
                    Ok(trial) => trial.outcome(&key.arm),
                    Err(error) => Outcome::Failed(error.to_string()),
                };
                self.keep(key, outcome)?;
            }
        }
        Ok(())
    }

    fn working(&mut self, key: &RunKey) {
        let (model, deletion) = (key.model.label(), key.deletion.label());
        let what = format!("{}: {model}, {deletion}, {}", key.data, key.arm.label());
        (self.observe)(RunProgress::Working(&what));
    }

    fn keep(&mut self, key: RunKey, outcome: Outcome) -> std::io::Result<()> {
        let record = RunRecord {
            fingerprint: key.fingerprint().map_err(std::io::Error::other)?,
            key,
            outcome,
        };
        record.write(&self.records)?;
        (self.observe)(RunProgress::Finished(&record));
        Ok(())
    }
}
