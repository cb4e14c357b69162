//! Settings: built-in defaults, then a file, then the environment, then flags.
//!
//! [`Sources::load`] puts the layers on top of each other one by one and checks the result after
//! each, so an error names the key and the layer that brought it. Unknown keys are errors.

mod access;
mod interactions;
mod learning;
mod load;
mod receipts;
mod server;
mod store;

use serde::{Deserialize, Serialize};

pub use access::{AccessSettings, KeySettings, Role};
pub use interactions::InteractionSettings;
pub use learning::{
    CertificateSettings, LearningSettings, ModelKind, ModelSettings, TrainingSettings,
};
pub use load::{ConfigError, FlagOverride, Sources};
pub use receipts::ReceiptSettings;
pub use server::ServerSettings;
pub use store::{MasterKeySettings, StoreSettings};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server.
    pub server: ServerSettings,
    /// The data on the disk.
    pub store: StoreSettings,
    /// Where the master key is.
    pub keys: MasterKeySettings,
    /// Interactions that arrive over HTTP.
    pub interactions: InteractionSettings,
    /// The model and its hyper-parameters.
    pub model: ModelSettings,
    /// Training from scratch.
    pub training: TrainingSettings,
    /// Learning and forgetting while serving.
    pub learning: LearningSettings,
    /// The certificate.
    pub certificate: CertificateSettings,
    /// Receipts of erasures.
    pub receipts: ReceiptSettings,
    /// Logs.
    pub log: LogSettings,
    /// Who may call what.
    pub access: AccessSettings,
}

/// A value that its type allows and its meaning does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {problem}")]
pub struct InvalidSetting {
    /// The key, dotted.
    pub key: String,
    /// What is wrong with it and what would be right; never a secret.
    pub problem: String,
}

impl InvalidSetting {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

/// Refuses `value` unless it lies within `range`.
fn check_range(
    key: &str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(), InvalidSetting> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let problem = format!("is {value}: take a number from {least} to {most}");
    Err(InvalidSetting::new(key, problem))
}

impl Settings {
    /// Checks what the types cannot: ranges, digests, names.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.server.check()?;
        self.store.check()?;
        self.keys.check()?;
        self.model.check()?;
        self.training.check()?;
        self.learning.check()?;
        self.certificate.check()?;
        self.receipts.check()?;
        self.log.check()?;
        self.access.check()
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One line of text an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Text or JSON, on standard error.
    pub format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or filter directives like
    /// `info,recant_service=debug`. The variable `RECANT_LOG` goes before it.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: String::from("info"),
        }
    }
}

impl LogSettings {
    fn check(&self) -> Result<(), InvalidSetting> {
        match tracing_subscriber::EnvFilter::try_new(&self.level) {
            Ok(_) => Ok(()),
            Err(_) => Err(InvalidSetting::new(
                "log.level",
                "is no filter: take error, warn, info, debug, trace or target=level pairs",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_their_own_check() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let mut settings = Settings::default();
        settings.store.cache_bytes = 3;
        let error = settings.check().expect_err("far too small");
        assert_eq!(error.key, "store.cache_bytes");
        assert!(error.problem.contains("from 1048576"), "{error}");
        settings = Settings::default();
        settings.log.level = String::from("recant=shouting");
        assert_eq!(settings.check().expect_err("no level").key, "log.level");
    }
}
