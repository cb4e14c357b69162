//! Logs, and the exporter of the metrics.

mod logs;
mod metrics;

pub use logs::{LogError, install_logs};
pub use metrics::{Exporter, MetricsError, install_exporter};
