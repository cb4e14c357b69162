//! Logs, the exporter of the metrics, and traces.

mod collector;
mod conventions;
mod logs;
mod metrics;
mod span_queue;
mod subscriber;
mod traces;

pub(crate) use conventions::{REQUEST, STATUS_CODE};
pub use logs::LogError;
pub use metrics::{Exporter, MetricsError, install_exporter, install_exporter_with};
pub use subscriber::{install_logs, install_logs_and_traces};
pub use traces::Traces;
