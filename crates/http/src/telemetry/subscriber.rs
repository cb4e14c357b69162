//! What listens to the events and spans of the process: the log, and whoever sends traces.

use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::logs::{LogError, lines};
use super::traces::Traces;
use crate::config::{LogSettings, TelemetrySettings};

/// Sends the log of the whole process to standard error.
pub fn install_logs(settings: &LogSettings) -> Result<(), LogError> {
    install(settings, &Traces::default())
}

/// The same, and sends the spans of the whole process to the collector, if one is configured.
pub fn install_logs_and_traces(
    logs: &LogSettings,
    telemetry: &TelemetrySettings,
) -> Result<Traces, LogError> {
    let traces = Traces::of(telemetry)?;
    install(logs, &traces)?;
    Ok(traces)
}

fn install(settings: &LogSettings, traces: &Traces) -> Result<(), LogError> {
    let subscriber = Registry::default()
        .with(lines(settings)?)
        .with(traces.layer());
    let installed = subscriber.try_init();
    installed.map_err(|_| LogError::AlreadyInstalled)
}
