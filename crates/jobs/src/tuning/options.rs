//! What a search is given and what comes of it.

use std::time::Duration;

use super::choice::Choice;
use super::grid::Grid;
use super::trial::Trial;
use recant_core::optim::als::TrainingOptions;
use recant_store::StoreError;
use recant_types::IalsHyperparameters;

/// Length of the lists that accuracy is measured on.
pub const LIST_LENGTH: usize = 20;

/// Share of every history that is held out.
pub const HELD_OUT_SHARE: f64 = 0.2;

/// Least users of whom something must be held out: the mean over fewer says little.
pub const USERS_MIN: usize = 20;

/// What to search, and how hard.
#[derive(Debug, Clone)]
pub struct TuningOptions {
    /// Where values that are not searched come from; its dimension is the ceiling.
    pub start: IalsHyperparameters,
    /// These settings and no others, each trained to the end.
    pub grid: Option<Grid>,
    /// Settings that may be tried in all.
    pub trials_max: usize,
    /// No new setting is tried after this time, but for a first one that is trained to the end.
    pub budget: Option<Duration>,
    /// How settings are trained to the end. The seed decides the split too.
    pub training: TrainingOptions,
    /// The certified root mean square at which the certificate counts as closed.
    pub target: f64,
}

/// Everything tried, and what came of it.
#[derive(Debug)]
pub struct Tuned {
    /// In the order they were tried.
    pub trials: Vec<Trial>,
    /// Which of them is to be used, and why.
    pub choice: Choice,
    /// What to train with: the chosen trial's settings, with as many dimensions as its rank needs.
    pub recommended: IalsHyperparameters,
    /// Settings whose training diverged.
    pub diverged: usize,
    /// Users of whom something was held out.
    pub users: usize,
    /// Interactions trained on.
    pub trained: usize,
    /// Interactions held out.
    pub held_out: usize,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy)]
pub struct TuningProgress {
    /// Settings tried.
    pub tried: usize,
    /// Settings that will be tried at most.
    pub trials_max: usize,
    /// The best accuracy so far.
    pub best_ndcg: f64,
}

/// Why nothing was chosen.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// There is nothing to learn from.
    #[error("there are no interactions to tune on: import some first")]
    Empty,
    /// Too few users have a history that something can be held out from.
    #[error(
        "the data are too small to hold anything out: {users} users have at least {} interactions, \
         {USERS_MIN} are needed; import more, or train with the defaults",
        recant_eval::HISTORY_MIN
    )]
    TooSmall {
        /// Users with such a history.
        users: usize,
    },
    /// No setting could be trained to the end.
    #[error("training diverged for every setting: the weights are too large, divide them")]
    AllDiverged,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
