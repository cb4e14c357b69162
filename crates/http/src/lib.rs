//! The HTTP interface of `recant`, its configuration, and its logs and metrics.
//!
//! ```
//! use std::collections::HashMap;
//!
//! use recant_http::Sources;
//!
//! // Defaults, then a file, then the environment, then flags; whatever is wrong is named by its key.
//! let variables = [("RECANT__MODEL__DIM", "128")];
//! let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
//! let environment: HashMap<_, _> = variables.into_iter().map(own).collect();
//! let sources = Sources { environment: Some(environment), ..Sources::default() };
//! assert_eq!(sources.load()?.model.dim, 128);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Sources::load`] makes the [`Settings`], [`Server::bind`] takes an address, and [`router`] makes
//! what is served there out of an [`AppState`].
#![deny(unreachable_pub)]

mod config;
mod http;
mod telemetry;

pub use config::{
    AccessSettings, CertificateSettings, ConfigError, ContentSettings, DrpAgentSettings,
    DrpSettings, FeedbackSettings, FlagOverride, GorseSettings, InteractionSettings,
    InvalidSetting, KeySettings, LearningSettings, LogFormat, LogSettings, MasterKeySettings,
    ModelKind, ModelSettings, ReceiptSettings, Role, ServerSettings, Settings, Sources,
    StoreSettings, TrainingSettings,
};
#[doc(hidden)]
pub use http::fuzzing;
pub use http::{AppState, ServeError, Server, router};
pub use telemetry::{Exporter, LogError, MetricsError, install_exporter, install_logs};
