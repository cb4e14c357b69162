//! The settings of receipts.

use serde::{Deserialize, Serialize};

use super::invalid::InvalidSetting;

/// Longest name of an issuer, in bytes.
const ISSUER_BYTES_MAX: usize = 256;

/// Receipts of erasures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptSettings {
    /// Whose name receipts carry, as the claim `iss`: a name or a URL.
    pub issuer: String,
}

impl Default for ReceiptSettings {
    fn default() -> Self {
        Self {
            issuer: String::from("recant"),
        }
    }
}

impl ReceiptSettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let length = self.issuer.len();
        if length == 0 || length > ISSUER_BYTES_MAX || self.issuer.chars().any(char::is_control) {
            let problem = "must have 1 to 256 bytes and no control characters";
            return Err(InvalidSetting::new("receipts.issuer", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_a_name() {
        for (issuer, good) in [("https://shop.example", true), ("", false), ("a\n", false)] {
            let settings = ReceiptSettings {
                issuer: String::from(issuer),
            };
            assert_eq!(settings.check().is_ok(), good, "{issuer:?}");
        }
    }
}
