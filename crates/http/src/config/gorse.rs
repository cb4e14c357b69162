//! The calls that clients of gorse know.

use serde::{Deserialize, Serialize};

/// The REST face of gorse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GorseSettings {
    /// Whether it is served, under `/api`.
    pub enabled: bool,
}
