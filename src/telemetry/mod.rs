//! Logs, and the names of the metrics.
