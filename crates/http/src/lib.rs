//! The HTTP interface of `recant`, its configuration, and its logs and metrics.

pub mod config;
pub mod http;
pub mod telemetry;
