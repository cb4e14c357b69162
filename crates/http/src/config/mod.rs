//! Settings: built-in defaults, then a file, then the environment, then flags.
//!
//! [`Sources::load`] puts the layers on top of each other one by one and checks the result after
//! each, so an error names the key and the layer that brought it. Unknown keys are errors.

mod access;
mod cluster;
mod content;
mod drp;
mod feedback;
mod gorse;
mod interactions;
mod invalid;
mod learning;
mod load;
mod log;
mod receipts;
mod server;
mod settings;
mod store;
mod telemetry;
mod webhooks;

pub(crate) use access::KEYS_MAX;
pub use access::{AccessSettings, KeySettings, Role};
pub use cluster::{ClusterRole, ClusterSettings, ClusterUrls};
pub use content::ContentSettings;
pub use drp::{DrpAgentSettings, DrpSettings};
pub use feedback::FeedbackSettings;
pub use gorse::GorseSettings;
pub use interactions::InteractionSettings;
pub use invalid::InvalidSetting;
pub use learning::{
    CertificateSettings, LearningSettings, ModelKind, ModelSettings, TrainingSettings,
};
pub use load::{ConfigError, FlagOverride, Sources};
pub use log::{LogFormat, LogSettings};
pub use receipts::ReceiptSettings;
pub use server::ServerSettings;
pub use settings::Settings;
pub use store::{MasterKeySettings, StoreSettings};
pub use telemetry::TelemetrySettings;
pub use webhooks::{WebhookSettings, WebhookUrl};
