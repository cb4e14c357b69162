//! How accurate trained models are, under two protocols; neural ones along their training too.

use rayon::current_num_threads;
use recant_neural::model_of;
use serde::{Deserialize, Serialize};

use super::data_set::{DataError, DataSet, Source};
use super::deletion::cohort;
use super::recipe::{ModelSpec, Recipe};
use super::unlearner::{MethodError, Precision, Seeds, Subject};
use super::watch::{EpochViewer, Watch};
use recant_eval::{Cohort, HeldOutAccuracy, LeaveOneOut, Scorer, held_out_accuracy, leave_one_out};

/// A model measured in the course of its training, or at its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyPoint {
    /// Epochs of AdamW done.
    pub epochs: usize,
    /// Time of the training so far; measuring is not counted.
    pub seconds: f64,
    /// Against all items the user does not have.
    pub full_ranking: HeldOutAccuracy,
    /// The first held-out item of each user against 99 others.
    pub leave_one_out: LeaveOneOut,
}

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
    /// The way there, the finished model last; empty for iALS, and where the recipe does not ask
    /// for it.
    #[serde(default)]
    pub curve: Vec<AccuracyPoint>,
}

/// What is told while models are trained and measured.
#[derive(Debug, Clone, Copy)]
pub enum AccuracyProgress<'a> {
    /// A point of the curve of a model.
    Point {
        /// Name of the data set.
        data: &'a str,
        /// The model.
        model: &'a ModelSpec,
        /// Seed of split and training.
        seed: u64,
        /// What was measured.
        point: &'a AccuracyPoint,
    },
    /// A model is finished.
    Finished(&'a ModelAccuracy),
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

/// Is told what is found as it comes.
type Observe<'a> = &'a mut dyn FnMut(AccuracyProgress<'_>);

/// Trains every model of the recipe on every data set and seed, and measures it; methods and
/// deletions are left out. `observe` is told of each point and each result as it comes.
pub fn accuracy(
    recipe: &Recipe,
    sources: &[Source],
    observe: Observe<'_>,
) -> Result<Vec<ModelAccuracy>, AccuracyError> {
    let mut found = Vec::new();
    for source in sources {
        for seed in &recipe.seeds {
            let data = source.split(*seed)?;
            for spec in &recipe.model {
                let measured = one(recipe, &data, spec, *seed, observe)?;
                observe(AccuracyProgress::Finished(&measured));
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
    observe: Observe<'_>,
) -> Result<ModelAccuracy, AccuracyError> {
    let protocols = Protocols::new(recipe, data, seed);
    let schedule = Schedule::new(recipe, spec, seed);
    let mut curve = Vec::new();
    let mut keep = |point: AccuracyPoint| {
        observe(AccuracyProgress::Point {
            data: &data.name,
            model: spec,
            seed,
            point: &point,
        });
        curve.push(point);
    };
    let wants = |epochs| schedule.is_some_and(|schedule| schedule.wants(epochs));
    let mut show = |epochs: usize, seconds: f64, scorer: &dyn Scorer| {
        keep(protocols.point(epochs, seconds, scorer));
    };
    let mut watch = Watch::of_epochs(EpochViewer {
        wants: &wants,
        show: &mut show,
    });
    let trained = Subject::new(spec)
        .train(&data.train, Seeds::all(seed), Precision::Usual, &mut watch)
        .map_err(|source| AccuracyError::Training {
            model: spec.label(),
            data: data.name.clone(),
            source,
        })?;
    let epochs = schedule.map_or(0, |schedule| schedule.epochs);
    let end = protocols.point(epochs, watch.seconds(), trained.scorer());
    if schedule.is_some() {
        keep(end);
    }
    Ok(ModelAccuracy {
        data: data.name.clone(),
        model: spec.clone(),
        seed,
        seconds: end.seconds,
        threads: current_num_threads(),
        full_ranking: end.full_ranking,
        leave_one_out: end.leave_one_out,
        curve,
    })
}

/// When a neural model is measured before it is finished.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    /// Epochs between two measurements.
    every: usize,
    /// Epochs of the whole training.
    epochs: usize,
    /// Whether the training goes on after its epochs.
    is_refined: bool,
}

impl Schedule {
    /// `None` where only the finished model is measured.
    fn new(recipe: &Recipe, spec: &ModelSpec, seed: u64) -> Option<Self> {
        let (specification, training) = spec.neural()?;
        Some(Self {
            every: recipe.measure.every_epochs?,
            epochs: training.adamw(model_of(&specification), seed).epochs,
            is_refined: training.polish > 0,
        })
    }

    /// Whether to measure after so many epochs. The finished model is measured anyway, so that one
    /// is not measured here a first time.
    fn wants(&self, epochs: usize) -> bool {
        let is_finished = epochs == self.epochs && !self.is_refined;
        epochs.is_multiple_of(self.every) && !is_finished
    }
}

/// Both protocols on one data set: the same users and negatives for every model and point.
struct Protocols<'a> {
    data: &'a DataSet,
    everybody: Cohort,
    seed: u64,
}

impl<'a> Protocols<'a> {
    fn new(recipe: &Recipe, data: &'a DataSet, seed: u64) -> Self {
        Self {
            data,
            everybody: cohort(&data.train, &[], recipe.measure.users_max, seed),
            seed,
        }
    }

    fn point(&self, epochs: usize, seconds: f64, scorer: &dyn Scorer) -> AccuracyPoint {
        let DataSet {
            train, held_out, ..
        } = self.data;
        AccuracyPoint {
            epochs,
            seconds,
            full_ranking: held_out_accuracy(scorer, train, held_out, &self.everybody).all,
            leave_one_out: leave_one_out(scorer, train, held_out, self.seed),
        }
    }
}
