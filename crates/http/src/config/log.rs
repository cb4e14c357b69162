//! The settings of logs.

use serde::{Deserialize, Serialize};

use super::invalid::InvalidSetting;

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
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        match self.level.parse::<tracing_subscriber::filter::Targets>() {
            Ok(_) => Ok(()),
            Err(_) => Err(InvalidSetting::new(
                "log.level",
                "is no filter: take error, warn, info, debug, trace or target=level pairs",
            )),
        }
    }
}
