//! `recant serve`: the service over HTTP.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::error::CliError;
use super::output::print;
use super::renewal;
use super::settings::{StoreArgs, flag, serving_options};
use super::start::Starting;
use crate::node::{self, NodeMembership, StartingNode};
use recant_http::{ApiKeys, AppState, Server, install_exporter_with, router};
use recant_http::{Settings, Traces};
use recant_replication::metric_names::METRICS;

/// How long a node that leads may take until another one does, before it ends all the same.
const HAND_OVER: Duration = Duration::from_secs(10);

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
    /// What it does among other nodes: single, candidate or replica [default: as configured, or else single]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Its name among them [default: as configured, or else the machine's]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Servers of the log that nodes share, with commas [default: as configured]
    #[arg(long, value_name = "URLS")]
    pub nats: Option<String>,
}

/// Serves until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), CliError> {
    let listen = args.listen.map(|address| address.to_string());
    let given = [
        ("--listen", "server.listen", &listen),
        ("--role", "cluster.role", &args.role),
        ("--node", "cluster.node", &args.node),
        ("--nats", "cluster.nats_url", &args.nats),
    ];
    let flags = given.into_iter();
    let flags = flags.filter_map(|(name, key, value)| Some(flag(name, key, value.as_ref()?)));
    let flags = flags.collect();
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
    let node = StartingNode::of(settings).map_err(CliError::failed)?;
    let more: &[_] = if node.is_some() { METRICS } else { &[] };
    let exporter = install_exporter_with(more).map_err(CliError::failed)?;
    let keys = ApiKeys::open(settings).map_err(CliError::failed)?;
    let server = Server::bind(settings, &keys).map_err(CliError::failed)?;
    let runtime = tokio::runtime::Runtime::new().map_err(CliError::failed)?;
    let mut state = AppState::new(exporter.clone());
    let membership = node.as_ref().map(|node| node.membership().clone());
    if let Some(membership) = &membership {
        state = state.with_membership(Arc::new(membership.clone()));
    }
    let is_useless = AtomicBool::new(false);
    let served = runtime.block_on(async {
        let watching = tokio::spawn(keys.clone().watch());
        let signals = Signals::listen()?;
        let hangup = signal(SignalKind::hangup()).map_err(CliError::failed)?;
        let identity = node.as_ref().and_then(|node| node.identity().cloned());
        let renewal = tokio::spawn(renewal::follow(hangup, server.tls_identity(), identity));
        let upkeep = tokio::spawn(exporter.run_upkeep());
        announce(&server.url())?;
        let (failed, failure) = oneshot::channel();
        let (stop, stopping) = watch::channel(false);
        let starting = Starting {
            settings: settings.clone(),
            state: state.clone(),
            keys: keys.clone(),
            stopping,
        };
        let starting = tokio::spawn(starting.start(node, failed));
        let shutdown = async {
            tokio::select! {
                () = signals.first() => {}
                () = until_of_no_use(membership.as_ref()) => {
                    is_useless.store(true, Ordering::Relaxed);
                }
                // A start that succeeded drops its end without a word.
                () = async {
                    if failure.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                } => {}
            }
            if let Some(membership) = &membership {
                // Somebody else leads before this one's callers go.
                let _ = timeout(HAND_OVER, membership.hand_over()).await;
            }
        };
        let served = server.run(router(state, settings, &keys), shutdown).await;
        stop.send_replace(true);
        let guard = starting.await.map_err(CliError::failed)?;
        upkeep.abort();
        renewal.abort();
        watching.abort();
        if let Some(running) = guard? {
            running.stop().await;
        }
        served.map_err(CliError::failed)
    });
    // Whoever still holds the store lets go of it.
    drop(runtime);
    if served.is_ok() && is_useless.into_inner() {
        let options = serving_options(settings);
        node::discard(&settings.store.data_dir, &options).map_err(CliError::failed)?;
        tracing::warn!("what this node held is destroyed; it begins anew");
        traces.finish();
        return Err(begin_anew());
    }
    // After everything that makes spans.
    traces.finish();
    served
}

/// Returns when what this node holds is of no use.
async fn until_of_no_use(membership: Option<&NodeMembership>) {
    match membership {
        Some(membership) => node::until_of_no_use(membership).await,
        None => std::future::pending().await,
    }
}

/// Runs this program once more in place of this process, as it was run; why that cannot be. Whoever looks
/// after the process starts it again then.
fn begin_anew() -> CliError {
    match std::env::current_exe() {
        Ok(program) => {
            let arguments = std::env::args_os().skip(1);
            CliError::failed(Command::new(program).args(arguments).exec())
        }
        Err(error) => CliError::failed(error),
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
