//! Training from scratch on what the store holds.

use std::ops::ControlFlow;

use crate::learning::{RefinementGoal, certificate, holds};
use crate::load::{load, whole_model};
use crate::remedy::Remedy;
use recant_core::optim::als::{TrainingError, TrainingOptions, TrainingReport};
use recant_core::unlearn::{Progress, cold};
use recant_neural::optimise::Divergence;
use recant_store::LastCertificate;
use recant_store::{ModelHeader, Store, StoreError};
use recant_types::IalsHyperparameters;
use recant_types::UnixMillis;

/// Share of the certificate's target that training works to.
pub const TRAINING_SHARE: f64 = 0.5;

/// What a training leaves behind, besides the stored model.
#[derive(Debug)]
pub struct Trained {
    /// The header as stored.
    pub header: ModelHeader,
    /// How training went.
    pub report: TrainingReport,
    /// Users with at least one interaction.
    pub users: usize,
    /// Items with at least one interaction.
    pub items: usize,
    /// Pairs trained on.
    pub interactions: usize,
    /// What would close the certificate, where the ceiling of dimensions keeps it open.
    pub remedy: Option<Remedy>,
}

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There is nothing to learn from.
    #[error("there are no interactions to train on: import some first")]
    Empty,
    /// The observer ended it; nothing was stored.
    #[error("training was interrupted; nothing was stored")]
    Interrupted,
    /// There are too few items to tell one from another.
    #[error(
        "there are interactions with {items} item only: a neural model learns from items that a user \
         did not choose, so import more"
    )]
    TooSmall {
        /// Items with interactions.
        items: usize,
    },
    /// A neural model's numbers went wrong.
    #[error("{0}; nothing was stored")]
    Divergence(#[from] Divergence),
    /// The numbers went wrong.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Trains on everything the store holds and commits the model: all of it, or nothing.
///
/// Sweeps go on until the residual is at most the tolerance of `options` and the certified root
/// mean square at most half of `target`, so that there is room for what comes later; or until the
/// sweeps are used up, which the certificate then says. `observe` is called after every sweep and
/// every look at the certificate, and may end the training, with nothing stored. Blocks the
/// thread; not for an async task.
pub fn train(
    store: &Store,
    hyperparameters: IalsHyperparameters,
    options: &TrainingOptions,
    target: f64,
    observe: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let goal = RefinementGoal {
        tolerance: options.tolerance,
        target,
        rounds_max: 0,
    };
    let previous = store.model_header()?;
    let mut trainer = load(store, hyperparameters, options.seed)?.trainer;
    if trainer.matrix.interactions() == 0 {
        return Err(TrainError::Empty);
    }
    let span = tracing::info_span!("train", interactions = trainer.matrix.interactions());
    let _entered = span.enter();
    let goal_share = target * TRAINING_SHARE;
    let (model, convergence) = cold::train(
        &trainer.matrix,
        hyperparameters,
        options,
        goal_share,
        observe,
    )?
    .ok_or(TrainError::Interrupted)?;
    trainer.learner = model.into();
    trainer.seed = options.seed;
    let version = previous.as_ref().map_or(1, |header| header.version + 1);
    let certificate = certificate(&convergence, &hyperparameters, &goal);
    let learnt = previous
        .as_ref()
        .map(|header| header.learnt)
        .unwrap_or_default();
    let certified = holds(&certificate).then(|| LastCertificate {
        version,
        position: learnt,
        at: UnixMillis::now(),
    });
    let header = ModelHeader {
        version,
        term: 0,
        learnt,
        model: hyperparameters.into(),
        seed: options.seed,
        residual: Some(convergence.report.residual),
        objective: Some(convergence.report.objective),
        measured_version: Some(version),
        certificate: Some(certificate),
        certified,
    };
    store.commit(whole_model(&trainer, &header)).wait()?;
    let report = convergence.report;
    tracing::info!(
        version,
        sweeps = report.sweeps,
        residual = report.residual,
        "trained"
    );
    Ok(Trained {
        header,
        report,
        users: trainer.matrix.active_users(),
        items: trainer.matrix.active_items(),
        interactions: trainer.matrix.interactions(),
        remedy: Remedy::of(&convergence, &hyperparameters),
    })
}
