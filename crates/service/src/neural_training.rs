//! Training a neural model from scratch on what the store holds.

use recant_neural::forget::{RefinementOptions, RefinementReport, retrain_cold};
use recant_neural::model_of;
use recant_neural::optimise::{AdamWOptions, EpochReport};
use std::ops::ControlFlow;

use crate::load::{load, whole_model};
use crate::neural_learner::NeuralLearner;
use crate::training::{TrainError, Trained};
use recant_core::optim::als::TrainingReport;
use recant_store::LastCertificate;
use recant_store::{ModelHeader, Store};
use recant_types::UnixMillis;
use recant_types::{Certificate, IalsHyperparameters, ModelConfiguration, ModelSpecification};

/// Items below which nobody has a negative worth the name.
const ITEMS_MIN: usize = 2;

/// How a neural model is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeuralTraining {
    /// Mini-batches first; their seed is that of initial parameters and negatives too.
    pub adamw: AdamWOptions,
    /// Then rounds on the fixed examples, so that what forgetting starts from is near a minimum.
    pub refinement: RefinementOptions,
}

/// How far training has come.
#[derive(Debug, Clone, Copy)]
pub enum NeuralProgress {
    /// An epoch is over.
    Epoch(EpochReport),
    /// A round of refining is over.
    Round(RefinementReport),
}

/// Trains on everything the store holds and commits the model: all of it, or nothing. `observe` is
/// called after every epoch and every round, and may end the training, with nothing stored. Blocks
/// the thread; not for an async task.
pub fn train_neural(
    store: &Store,
    specification: ModelSpecification,
    options: &NeuralTraining,
    observe: &mut (dyn FnMut(NeuralProgress) -> ControlFlow<()> + Send),
) -> Result<Trained, TrainError> {
    let previous = store.model_header()?;
    let seed = options.adamw.seed;
    let mut trainer = load(store, IalsHyperparameters::default(), seed)?.trainer;
    let matrix = &trainer.matrix;
    match (matrix.interactions(), matrix.active_items()) {
        (0, _) => return Err(TrainError::Empty),
        (_, items) if items < ITEMS_MIN => return Err(TrainError::TooSmall { items }),
        _ => {}
    }
    let span = tracing::info_span!("train", interactions = matrix.interactions());
    let _entered = span.enter();
    let mut learner = NeuralLearner::new(specification.clone(), matrix, seed);
    let mut interrupted = false;
    let model = model_of(&specification);
    learner.parameters = retrain_cold(
        model,
        learner.graph(),
        seed,
        &options.adamw,
        &mut |now, _| {
            let flow = observe(NeuralProgress::Epoch(*now));
            interrupted = flow.is_break();
            flow
        },
    )?;
    if interrupted {
        return Err(TrainError::Interrupted);
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let should_stop = || stop.load(std::sync::atomic::Ordering::Relaxed);
    let refinement = learner.refined(&options.refinement, &should_stop, &mut |round| {
        if observe(NeuralProgress::Round(*round)).is_break() {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    })?;
    let (parameters, report) = refinement.ok_or(TrainError::Interrupted)?;
    learner.parameters = parameters;
    let version = previous.as_ref().map_or(1, |header| header.version + 1);
    let learnt = previous.map(|header| header.learnt).unwrap_or_default();
    let header = ModelHeader {
        version,
        term: 0,
        learnt,
        model: ModelConfiguration::Neural(specification),
        seed,
        residual: Some(report.residual),
        objective: Some(report.value),
        measured_version: Some(version),
        certificate: Some(Certificate::residual(
            report.residual,
            options.refinement.tolerance,
        )),
        certified: Some(LastCertificate {
            version,
            position: learnt,
            at: UnixMillis::now(),
        }),
    };
    trainer.learner = learner.into();
    trainer.seed = seed;
    store.commit(whole_model(&trainer, &header)).wait()?;
    tracing::info!(version, residual = report.residual, "trained");
    Ok(Trained {
        header,
        report: TrainingReport {
            sweeps: options.adamw.epochs,
            objective: report.value,
            residual: report.residual,
            converged: report.converged,
        },
        users: trainer.matrix.active_users(),
        items: trainer.matrix.active_items(),
        interactions: trainer.matrix.interactions(),
        remedy: None,
    })
}
