//! Roles, and the digests of the API keys that hold them.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::invalid::InvalidSetting;

/// Length of a SHA-256 digest in hexadecimal.
const DIGEST_HEX_LENGTH: usize = 64;

/// Most keys: each request is compared with every one of them.
pub(crate) const KEYS_MAX: usize = 256;

/// Highest rate that can be set.
pub(super) const REQUESTS_PER_SECOND_MAX: u64 = 1_000_000;

/// What the holder of an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Ask for recommendations, the model's description and the metrics.
    Read,
    /// Add interactions.
    Write,
    /// Erase, and follow erasures.
    Erase,
    /// Everything, the export of a person's data included.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Erase, Self::Admin];

    /// The name used in the configuration and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Erase => "erase",
            Self::Admin => "admin",
        }
    }
}

/// One API key, known only by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// A name for people, unique.
    pub name: String,
    /// SHA-256 of the key, as 64 hexadecimal digits.
    pub sha256: String,
    /// What the holder may do; `admin` stands for all.
    pub roles: Vec<Role>,
    /// Requests a second, in place of `server.requests_per_second_max`; 0 for as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second_max: Option<u64>,
}

impl KeySettings {
    /// The field that cannot be used as it is, and why. The value is not shown: somebody may have put
    /// the key itself there.
    pub(crate) fn flaw(&self) -> Option<(&'static str, &'static str)> {
        if self.digest().is_none() {
            let problem = "must be 64 hexadecimal digits: the output of \
                           `printf %s \"$KEY\" | sha256sum`, never the key itself";
            return Some(("sha256", problem));
        }
        if self.roles.is_empty() {
            let problem = "is empty: give one or more of read, write, erase, admin";
            return Some(("roles", problem));
        }
        if self.requests_per_second_max > Some(REQUESTS_PER_SECOND_MAX) {
            let problem = "must be a number from 0 to 1000000";
            return Some(("requests_per_second_max", problem));
        }
        None
    }

    /// The digest as bytes; `None` when the text is not 64 hexadecimal digits.
    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let text = self.sha256.as_bytes();
        if text.len() != DIGEST_HEX_LENGTH {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = (high * 16 + low) as u8;
        }
        Some(digest)
    }
}

/// Who may call what. Without any key the service is open, and so confined to loopback.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// The keys that are let in.
    pub keys: Vec<KeySettings>,
}

impl AccessSettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        if self.keys.len() > KEYS_MAX {
            let problem = format!("has more than {KEYS_MAX} entries");
            return Err(InvalidSetting::new("access.keys", problem));
        }
        let mut names = HashSet::new();
        for (index, key) in self.keys.iter().enumerate() {
            let place = |field: &str| format!("access.keys[{index}].{field}");
            if key.name.is_empty() || !names.insert(&key.name) {
                let problem = "must be present and unlike the others";
                return Err(InvalidSetting::new(place("name"), problem));
            }
            if let Some((field, problem)) = key.flaw() {
                return Err(InvalidSetting::new(place(field), problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, sha256: &str, roles: Vec<Role>) -> KeySettings {
        KeySettings {
            name: String::from(name),
            sha256: String::from(sha256),
            roles,
            requests_per_second_max: None,
        }
    }

    #[test]
    fn a_digest_is_read_from_both_cases_of_hexadecimal() {
        let digest = key("k", &"aF".repeat(32), vec![Role::Read]).digest();
        assert_eq!(digest, Some([0xaf; 32]));
        assert_eq!(key("k", &"ag".repeat(32), vec![]).digest(), None);
    }

    #[test]
    fn a_plain_key_in_place_of_a_digest_is_refused_without_being_shown() {
        let keys = vec![key("k", "my-secret-key", vec![Role::Read])];
        let error = AccessSettings { keys }.check().expect_err("not a digest");
        assert_eq!(error.key, "access.keys[0].sha256");
        assert!(!error.to_string().contains("my-secret-key"), "{error}");
    }

    #[test]
    fn keys_need_a_name_of_their_own_and_a_role() {
        let digest = "0".repeat(64);
        let twice = vec![
            key("a", &digest, vec![Role::Read]),
            key("a", &digest, vec![Role::Read]),
        ];
        let error = AccessSettings { keys: twice }.check().expect_err("twice");
        assert_eq!(error.key, "access.keys[1].name");
        let keys = vec![key("a", &digest, vec![])];
        let error = AccessSettings { keys }.check().expect_err("no role");
        assert_eq!(error.key, "access.keys[0].roles");
    }
}
