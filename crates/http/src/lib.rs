//! The HTTP interface of `recant`, its configuration, and its logs and metrics.
//!
//! [`Sources::load`] makes the [`Settings`], [`Server::bind`] takes an address, and [`router`] makes
//! what is served there out of an [`AppState`].
#![warn(unreachable_pub)]

mod config;
mod http;
mod telemetry;

pub use config::{
    AccessSettings, CertificateSettings, ConfigError, FlagOverride, InvalidSetting, KeySettings,
    LearningSettings, LogFormat, LogSettings, MasterKeySettings, ModelKind, ModelSettings,
    ReceiptSettings, Role, ServerSettings, Settings, Sources, StoreSettings, TrainingSettings,
};
#[doc(hidden)]
pub use http::fuzzing;
pub use http::{AppState, ServeError, Server, router};
pub use telemetry::{Exporter, LogError, MetricsError, install_exporter, install_logs};
