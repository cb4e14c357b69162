//! A fresh key.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What every key begins with, so that people and scanners for secrets know one when they see it.
const PREFIX: &str = "recant_";

/// Random bytes of a key: as many as SHA-256 has, so that none is found by trying.
const RANDOM_BYTES: usize = 32;

/// A key that was just made: `recant_` and 256 random bits in base64url. It is wiped when dropped, and
/// `Debug` does not show it.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A key from the system's source of randomness.
    pub(super) fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
        OsRng
            .try_fill_bytes(&mut *bytes)
            .expect("the system has randomness");
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes));
        Self(Zeroizing::new([PREFIX, encoded.as_str()].concat()))
    }

    /// The key itself, to be shown once to whoever will use it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its SHA-256 as hexadecimal digits, which is all that is kept.
    pub(super) fn sha256(&self) -> String {
        format!("{:x}", Sha256::digest(self.expose()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_new_each_time_and_do_not_print() {
        let keys: Vec<Secret> = (0..64).map(|_| Secret::generate()).collect();
        let texts: HashSet<&str> = keys.iter().map(Secret::expose).collect();
        assert_eq!(texts.len(), keys.len());
        for key in &keys {
            let random = key.expose().strip_prefix(PREFIX).expect("the prefix");
            let bytes = URL_SAFE_NO_PAD.decode(random).expect("base64url");
            assert_eq!(bytes.len(), RANDOM_BYTES);
            assert!(!format!("{key:?}").contains(random));
        }
    }
}
