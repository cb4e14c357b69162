//! Texts that somebody else keeps for this store: sealed, so that they show nothing and come back as they
//! were or not at all.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::seal::SecretKey;

/// What sets these keys apart from others of the same root.
const DOMAIN: &[u8] = b"recant sealed text key 1";

/// Seals texts for one purpose and opens them, after a restart and a restore, too.
///
/// What is sealed lies with others, so an erasure does not reach it: it stays readable for this store.
#[derive(Debug, Clone)]
pub struct Sealer {
    key: SecretKey,
    purpose: &'static str,
}

impl Sealer {
    /// The one for `purpose`, under a key of its own: HMAC-SHA-256 with `root` as key, over a fixed text and
    /// the purpose.
    pub(crate) fn new(root: &SecretKey, purpose: &'static str) -> Self {
        let hmac = Hmac::<Sha256>::new_from_slice(root.expose());
        let mut hmac = hmac.expect("HMAC takes keys of any length");
        hmac.update(DOMAIN);
        hmac.update(purpose.as_bytes());
        let key = Zeroizing::new(hmac.finalize().into_bytes().into());
        Self {
            key: SecretKey::from_bytes(key),
            purpose,
        }
    }

    /// `text`, sealed: 40 bytes longer, and different each time.
    pub fn seal(&self, text: &[u8]) -> Vec<u8> {
        self.key.seal(self.purpose.as_bytes(), text)
    }

    /// What was sealed by this store for this purpose; `None` for anything else.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        self.key.open(self.purpose.as_bytes(), sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Store, StoreOptions};

    fn sealer(directory: &Path) -> Sealer {
        let store = Store::open(directory, &StoreOptions::default());
        store.and_then(|store| store.sealer("a")).expect("a key")
    }

    #[test]
    fn a_store_opens_what_it_sealed_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let sealed = sealer(folder.path()).seal(b"text");
        let opened = sealer(folder.path()).open(&sealed);
        assert_eq!(opened.as_deref(), Some(&b"text"[..]));
    }

    #[test]
    fn what_was_sealed_opens_for_its_root_and_purpose_alone() {
        let (root, other) = (SecretKey::random(), SecretKey::random());
        let sealed = Sealer::new(&root, "a").seal(b"text");
        let opened = Sealer::new(&root, "a").open(&sealed);
        assert_eq!(opened.as_deref(), Some(&b"text"[..]));
        assert_eq!(Sealer::new(&root, "b").open(&sealed), None);
        assert_eq!(Sealer::new(&other, "a").open(&sealed), None);
        assert_eq!(Sealer::new(&root, "a").open(&[]), None);
    }
}
