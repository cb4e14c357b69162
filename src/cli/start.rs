//! The start of what serves: the store is opened, a first model trained, the service put on it.

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::control_server::ControlServer;
use super::error::CliError;
use super::ids;
use super::settings::{configured_model, serving_options, thread_pool};
use super::train_neural::neural_training;
use super::webhooks;
use crate::node::{RunningNode, StartingNode};
use recant_core::optim::als::TrainingOptions;
use recant_core::unlearn::Progress;
use recant_http::{ApiKeys, AppState, Settings, forwarded_router};
use recant_service::Service;
use recant_service::WorkerOptions;
use recant_service::train_neural;
use recant_service::{ContentOptions, ServiceOptions, WebhookGuard, WorkerGuard};
use recant_service::{TrainError, Trained};
use recant_store::Store;

/// What a start takes.
pub(super) struct Starting {
    pub(super) settings: Settings,
    pub(super) state: AppState,
    pub(super) keys: ApiKeys,
    /// Turns true when it is of no use any more.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Starting {
    /// Opens the store and starts the service, as one machine or as a node among several, and opens the calls
    /// to it; `None` when it was told to stop first. A failure is told through `failed` as well.
    pub(super) async fn start(
        self,
        node: Option<StartingNode>,
        failed: oneshot::Sender<()>,
    ) -> Result<Option<Running>, CliError> {
        let keep_null_ids = self.settings.interactions.keep_null_ids;
        let state = self.state.clone();
        let started = match node {
            None => start_service(self.settings, self.stopping).await,
            Some(node) => self.start_node(node).await,
        };
        match started {
            Ok(Some((service, running))) => {
                state.provide(service.clone());
                tracing::info!("ready");
                tokio::task::spawn_blocking(move || ids::warn_of(&service, keep_null_ids));
                Ok(Some(running))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                let _ = failed.send(());
                Err(error)
            }
        }
    }

    async fn start_node(self, node: StartingNode) -> Result<Option<(Service, Running)>, CliError> {
        let Self {
            settings,
            state,
            keys,
            mut stopping,
        } = self;
        let options = serving_options(&settings);
        let forwarded = forwarded_router(state, &settings, &keys).unwrap_or_default();
        let service = service_options(&settings);
        let starting = node.start(&settings, options, service, forwarded);
        let (service, running) = tokio::select! {
            started = starting => started.map_err(CliError::failed)?,
            // An error says that nobody waits for it any more.
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(None),
        };
        let store = running.store().clone();
        let control = ControlServer::start(&settings.store.data_dir, store);
        let endpoints = settings.webhooks;
        match webhooks::start(&service, endpoints).await {
            Ok(webhooks) => {
                let running = Running {
                    webhooks,
                    work: Work::Node(running),
                    _control: control,
                };
                Ok(Some((service, running)))
            }
            Err(error) => {
                running.stop().await;
                Err(error)
            }
        }
    }
}

/// What runs beside the server.
pub(super) struct Running {
    webhooks: WebhookGuard,
    work: Work,
    /// Answers commands on the open store until it is dropped.
    _control: Option<ControlServer>,
}

/// What learns and forgets.
enum Work {
    Single(WorkerGuard),
    Node(RunningNode),
}

impl Running {
    /// Ends all of it.
    pub(super) async fn stop(self) {
        drop(self._control);
        self.webhooks.stop().await;
        match self.work {
            Work::Single(worker) => worker.stop().await,
            Work::Node(node) => node.stop().await,
        }
    }
}

async fn start_service(
    settings: Settings,
    stopping: watch::Receiver<bool>,
) -> Result<Option<(Service, Running)>, CliError> {
    let options = service_options(&settings);
    let endpoints = settings.webhooks.clone();
    let data_dir = settings.store.data_dir.clone();
    let open = tokio::task::spawn_blocking(move || open_and_train(&settings, &stopping));
    match open.await.map_err(CliError::failed)?? {
        Some(store) => {
            let control = ControlServer::start(&data_dir, store.clone());
            let started = Service::start(store, options).await;
            let (service, worker) = started.map_err(CliError::failed)?;
            match webhooks::start(&service, endpoints).await {
                Ok(webhooks) => {
                    let running = Running {
                        webhooks,
                        work: Work::Single(worker),
                        _control: control,
                    };
                    Ok(Some((service, running)))
                }
                Err(error) => {
                    worker.stop().await;
                    Err(error)
                }
            }
        }
        None => Ok(None),
    }
}

fn service_options(settings: &Settings) -> ServiceOptions {
    ServiceOptions {
        model: configured_model(settings),
        seed: settings.model.seed,
        queue_max: settings.learning.queue_max as usize,
        certificate_wait_max: settings.certificate.wait_max(),
        receipt_issuer: Arc::from(settings.receipts.issuer.as_str()),
        content: (settings.content.enabled).then(|| ContentOptions {
            refresh: settings.content.refresh(),
        }),
        worker: WorkerOptions {
            update_budget: settings.learning.budget(),
            update_tolerance: settings.learning.tolerance,
            tolerance: settings.training.tolerance,
            refinement_rounds: settings.training.rounds as usize,
            certificate_target: settings.certificate.target,
            threads: settings.learning.threads,
            cholesky_cache_bytes_max: settings.learning.cholesky_cache_bytes_max as usize,
        },
    }
}

fn open_and_train(
    settings: &Settings,
    stopping: &watch::Receiver<bool>,
) -> Result<Option<Store>, CliError> {
    let store = Store::open(&settings.store.data_dir, &serving_options(settings))
        .map_err(CliError::failed)?;
    // By itself it would answer readers with what its cluster has forgotten since.
    store.check_single().map_err(CliError::failed)?;
    if store.model_header().map_err(CliError::failed)?.is_some() {
        return Ok(Some(store));
    }
    let goes_on = || {
        if *stopping.borrow() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    if let Some(specification) = settings.model.neural() {
        let options = neural_training(settings, &specification);
        let observe = &mut |progress| {
            tracing::debug!(?progress, "training");
            goes_on()
        };
        let trained = thread_pool(settings)?
            .install(|| train_neural(&store, specification, &options, observe));
        return after_training(store, trained);
    }
    let options = TrainingOptions {
        seed: settings.model.seed,
        tolerance: settings.training.tolerance,
        max_sweeps: settings.training.max_sweeps as usize,
        ..TrainingOptions::default()
    };
    let target = settings.certificate.target;
    let observe = &mut |progress: Progress<'_>| {
        tracing::debug!(?progress, "training");
        goes_on()
    };
    let hyperparameters = settings.model.hyperparameters();
    let trained = thread_pool(settings)?
        .install(|| recant_service::train(&store, hyperparameters, &options, target, observe));
    after_training(store, trained)
}

/// A store without interactions is served as well; one whose training was stopped is not.
fn after_training(
    store: Store,
    trained: Result<Trained, TrainError>,
) -> Result<Option<Store>, CliError> {
    match trained {
        Ok(_) | Err(TrainError::Empty | TrainError::TooSmall { .. }) => Ok(Some(store)),
        Err(TrainError::Interrupted) => Ok(None),
        Err(error) => Err(CliError::failed(error)),
    }
}
