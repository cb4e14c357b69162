//! Training from scratch on what the store holds.

use std::ops::ControlFlow;

use crate::model::certificate::Certificate;
use crate::model::hyper::IalsHyperparameters;
use crate::optim::als::{self, SweepReport, TrainingError, TrainingOptions, TrainingReport};
use crate::service::load::{load, whole_model};
use crate::store::records::ModelHeader;
use crate::store::{Store, StoreError};

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
    /// The numbers went wrong.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Trains on everything the store holds and commits the model: all of it, or nothing.
///
/// `observe` is called after every sweep and may end the training, with nothing stored. Blocks the
/// thread; not for an async task.
pub fn train(
    store: &Store,
    hyperparameters: IalsHyperparameters,
    options: &TrainingOptions,
    observe: &mut dyn FnMut(&SweepReport) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let previous = store.model_header()?;
    let mut trainer = load(store, hyperparameters, options.seed)?.trainer;
    if trainer.matrix.interactions() == 0 {
        return Err(TrainError::Empty);
    }
    let span = tracing::info_span!("train", interactions = trainer.matrix.interactions());
    let _entered = span.enter();
    let mut interrupted = false;
    let (model, report) = als::train(&trainer.matrix, hyperparameters, options, &mut |sweep| {
        let flow = observe(sweep);
        interrupted = flow.is_break();
        flow
    })?;
    if interrupted {
        return Err(TrainError::Interrupted);
    }
    trainer.model = model;
    trainer.seed = options.seed;
    let version = previous.as_ref().map_or(1, |header| header.version + 1);
    let header = ModelHeader {
        version,
        learnt: previous.map(|header| header.learnt).unwrap_or_default(),
        hyperparameters,
        seed: options.seed,
        residual: Some(report.residual),
        objective: Some(report.objective),
        measured_version: Some(version),
        certificate: Some(Certificate::residual(report.residual, options.tolerance)),
    };
    store.commit(whole_model(&trainer, &header)).wait()?;
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
    })
}
