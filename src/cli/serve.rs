//! `recant serve`: the service over HTTP.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::control_server::ControlServer;
use super::error::CliError;
use super::ids;
use super::output::print;
use super::renewal;
use super::settings::{StoreArgs, configured_model, flag, serving_options, thread_pool};
use super::train_neural::neural_training;
use super::webhooks;
use recant_core::optim::als::TrainingOptions;
use recant_core::unlearn::Progress;
use recant_http::install_exporter;
use recant_http::{ApiKeys, AppState, Server, router};
use recant_http::{Settings, Traces};
use recant_service::Service;
use recant_service::WorkerOptions;
use recant_service::train_neural;
use recant_service::{ContentOptions, ServiceOptions, WebhookGuard, WorkerGuard};
use recant_service::{TrainError, Trained};
use recant_store::Store;

/// Flags of `recant serve`. An absent flag leaves the configured value.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant serve --data-dir recant-data --listen 127.0.0.1:8080
  curl 'http://127.0.0.1:8080/recommend?user=ada-0001'")]
pub(crate) struct ServeArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Address to serve on [default: as configured, or else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
}

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let listen = args.listen.map(|address| address.to_string());
    let flags = listen
        .iter()
        .map(|value| flag("--listen", "server.listen", value))
        .collect();
    let (settings, traces) = args.store.serving_settings(flags)?;
    serve(&settings, traces, |url| {
        print(&format!("recant listens on {url}\n"))
    })
}

/// Binds, says at which URL with `announce`, opens the store, and serves until a signal or a failure.
pub(super) fn serve(
    settings: &Settings,
    traces: Traces,
    announce: impl FnOnce(&str) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let exporter = install_exporter().map_err(CliError::failed)?;
    let keys = ApiKeys::open(settings).map_err(CliError::failed)?;
    let server = Server::bind(settings, &keys).map_err(CliError::failed)?;
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::failed)?;
    let state = AppState::new(exporter.clone());
    let served = runtime.block_on(async {
        let watching = tokio::spawn(keys.clone().watch());
        let signals = Signals::listen()?;
        let hangup = signal(SignalKind::hangup()).map_err(CliError::failed)?;
        let renewal = tokio::spawn(renewal::follow(hangup, server.tls_identity()));
        let upkeep = tokio::spawn(exporter.run_upkeep());
        announce(&server.url())?;
        let (failed, failure) = oneshot::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let starting = tokio::spawn(start(
            settings.clone(),
            state.clone(),
            Arc::clone(&stopping),
            failed,
        ));
        let shutdown = async {
            tokio::select! {
                () = signals.first() => {}
                // A start that succeeded drops its end without a word.
                () = async {
                    if failure.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                } => {}
            }
        };
        let served = server.run(router(state, settings, &keys), shutdown).await;
        stopping.store(true, Ordering::Relaxed);
        let guard = starting.await.map_err(CliError::failed)?;
        upkeep.abort();
        renewal.abort();
        watching.abort();
        if let Some((started, control)) = guard? {
            drop(control);
            started.stop().await;
        }
        served.map_err(CliError::failed)
    });
    // After everything that makes spans.
    traces.finish();
    served
}

/// Opens the store, trains when there is something to learn and no model, and starts the service;
/// `None` when `stopping` turned true first.
async fn start(
    settings: Settings,
    state: AppState,
    stopping: Arc<AtomicBool>,
    failed: oneshot::Sender<()>,
) -> Result<Option<(Running, Option<ControlServer>)>, CliError> {
    let keep_null_ids = settings.interactions.keep_null_ids;
    match start_service(settings, stopping).await {
        Ok(Some((service, running, control))) => {
            state.provide(service.clone());
            tracing::info!("ready");
            tokio::task::spawn_blocking(move || ids::warn_of(&service, keep_null_ids));
            Ok(Some((running, control)))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            let _ = failed.send(());
            Err(error)
        }
    }
}

/// What runs beside the server.
struct Running {
    worker: WorkerGuard,
    webhooks: WebhookGuard,
}

impl Running {
    async fn stop(self) {
        self.webhooks.stop().await;
        self.worker.stop().await;
    }
}

async fn start_service(
    settings: Settings,
    stopping: Arc<AtomicBool>,
) -> Result<Option<(Service, Running, Option<ControlServer>)>, CliError> {
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
                Ok(webhooks) => Ok(Some((service, Running { worker, webhooks }, control))),
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

fn open_and_train(settings: &Settings, stopping: &AtomicBool) -> Result<Option<Store>, CliError> {
    let store = Store::open(&settings.store.data_dir, &serving_options(settings))
        .map_err(CliError::failed)?;
    if store.model_header().map_err(CliError::failed)?.is_some() {
        return Ok(Some(store));
    }
    let goes_on = || {
        if stopping.load(Ordering::Relaxed) {
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

/// The signals that ask a process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(CliError::failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(CliError::failed)?,
        })
    }

    async fn first(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
