//! One key that was made while running, as the file says it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{KeySettings, Role};

/// Longest name.
const NAME_BYTES_MAX: usize = 64;

/// A key that was made while running, known by its digest alone. It stays in the file when it has
/// expired or was revoked, so that nobody gets its name, and with it a view of what it requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// A name for people; never given to another key.
    pub name: String,
    /// SHA-256 of the key, as 64 hexadecimal digits.
    pub sha256: String,
    /// What the holder may do; `admin` stands for all.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Requests a second, in place of `server.requests_per_second_max`; 0 for as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second_max: Option<u64>,
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl KeyStatus {
    /// The name used in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl KeyRecord {
    /// Whether it opens anything now.
    pub fn status(&self) -> KeyStatus {
        if self.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if is_over(self.expires_at) {
            KeyStatus::Expired
        } else {
            KeyStatus::Active
        }
    }

    /// The same key as the configuration would say it.
    pub(super) fn as_settings(&self) -> KeySettings {
        KeySettings {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            roles: self.roles.clone(),
            requests_per_second_max: self.requests_per_second_max,
        }
    }

    /// What is wrong with it, if anything is; without anything that it holds.
    pub(super) fn flaw(&self) -> Option<String> {
        if !is_name(&self.name) {
            return Some(format!("name {NAME_RULE}"));
        }
        let flaw = self.as_settings().flaw();
        flaw.map(|(field, problem)| format!("{field} {problem}"))
    }
}

/// Whether a moment lies in the past; one that is not given never does.
pub(super) fn is_over(moment: Option<Timestamp>) -> bool {
    moment.is_some_and(|moment| moment <= Timestamp::now())
}

/// What a name may be.
pub(super) const NAME_RULE: &str =
    "must be of 1 to 64 letters, digits, dots, hyphens and underscores";

/// Whether a key may have this name: it goes into logs, receipts' records and commands.
pub(super) fn is_name(text: &str) -> bool {
    let may_have = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(may_have)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_that_need_no_quotes() {
        for good in ["shop", "shop-2.eu_west", &"a".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a b", "shöp", "a/b", "a\n", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
