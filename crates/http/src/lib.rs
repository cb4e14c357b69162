//! The HTTP interface of `recant`, its configuration, and its logs, metrics and traces.
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
//! [`Sources::load`] makes the [`Settings`], [`ApiKeys::open`] finds who is let in, [`Server::bind`] takes
//! an address, and [`router`] makes what is served there out of an [`AppState`].
#![deny(unreachable_pub)]

mod api_keys;
mod config;
mod http;
mod outbound;
mod telemetry;

pub use api_keys::{ApiKeys, KeyFile, KeyFileError, KeyRecord, KeyStatus, NewKey, Secret};
pub use config::{
    AccessSettings, CertificateSettings, ClusterRole, ClusterSettings, ClusterUrls, ConfigError,
    ContentSettings, DrpAgentSettings, DrpSettings, FeedbackSettings, FlagOverride, GorseSettings,
    InteractionSettings, InvalidSetting, KeySettings, LearningSettings, LogFormat, LogSettings,
    MasterKeySettings, ModelKind, ModelSettings, ReceiptSettings, Role, ServerSettings, Settings,
    Sources, StoreSettings, TelemetrySettings, TrainingSettings, WebhookSettings, WebhookUrl,
};
#[doc(hidden)]
pub use http::fuzzing;
pub use http::{AppState, ServeError, Server, TlsError, TlsIdentity, forwarded_router, router};
pub use http::{
    ForwardError, Leader, Membership, NodeRole, NodeStanding, NodeState, Standing, Why,
};
pub use outbound::{TrustError, TrustedRoots, WebhookClient, tls_with_anybody};
pub use telemetry::{
    Exporter, LogError, MetricsError, Traces, install_exporter, install_exporter_with,
    install_logs, install_logs_and_traces,
};
