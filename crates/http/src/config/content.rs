//! The settings of rows for items that nobody touched.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invalid::{InvalidSetting, check_range};

/// Rows for described items that nobody interacted with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentSettings {
    /// Whether lists of recommendations have such items.
    pub enabled: bool,
    /// Shortest time between two looks whether their rows have to be made anew.
    pub refresh_seconds: u64,
}

impl Default for ContentSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            refresh_seconds: 5,
        }
    }
}

impl ContentSettings {
    /// Shortest time between two looks whether rows have to be made anew.
    pub fn refresh(&self) -> Duration {
        Duration::from_secs(self.refresh_seconds)
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        check_range("content.refresh_seconds", self.refresh_seconds, 1..=86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_pause_of_at_least_a_second() {
        for (refresh_seconds, good) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
            let settings = ContentSettings {
                refresh_seconds,
                ..ContentSettings::default()
            };
            assert_eq!(settings.check().is_ok(), good, "{refresh_seconds}");
        }
    }
}
