//! The key that receipts are signed with, which lies in the key ring, and the public keys.
//!
//! `keys/receipts.json` has the public keys: the current one and those that signed before it, so
//! that old receipts can still be checked. It is no secret and is read without the master key.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::StoreError;
use crate::files::Files;
use crate::keyring::Special;
use crate::sync::Syncs;
use recant_receipt::{JwkSet, SigningKey};

const KEYS: &str = "keys";
const PUBLISHED: &str = "receipts.json";

/// The signing key of a store, and the public keys that its receipts are checked with.
#[derive(Debug)]
pub struct ReceiptKeys {
    /// Signs new receipts.
    pub signing: SigningKey,
    /// What `/.well-known/jwks.json` shows; the key in use is the first.
    pub published: JwkSet,
}

impl ReceiptKeys {
    /// Reads the key from the ring, and publishes it if it is new.
    pub(super) fn open(files: &Files) -> Result<Self, StoreError> {
        let seed = files.ring.special(Special::Signing)?;
        let signing = SigningKey::from_seed(seed.expose());
        let directory = files.directory.path();
        let mut published = published_receipt_keys(directory)?;
        if published.keys.first() != Some(&signing.public()) {
            published.put_first(signing.public());
            let text = serde_json::to_vec_pretty(&published).expect("texts");
            write_whole(&directory.join(KEYS), &text, &files.syncs)?;
        }
        Ok(Self { signing, published })
    }
}

/// The public keys of the store in `directory`, which may be in use; none when it has signed
/// nothing yet.
pub fn published_receipt_keys(directory: &Path) -> Result<JwkSet, StoreError> {
    let path = directory.join(KEYS).join(PUBLISHED);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|_| StoreError::damaged("the file keys/receipts.json is unreadable")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(JwkSet::default()),
        Err(error) => Err(StoreError::io(&path, &error)),
    }
}

/// Writes the file so that it is there whole or not at all.
fn write_whole(folder: &Path, text: &[u8], syncs: &Syncs) -> Result<(), StoreError> {
    let (path, new) = (folder.join(PUBLISHED), folder.join("receipts.new"));
    let io = |error| StoreError::io(&path, &error);
    let mut file = File::create(&new).map_err(io)?;
    file.write_all(text).map_err(io)?;
    syncs.data(&file, &new)?;
    fs::rename(&new, &path).map_err(io)?;
    syncs.directory(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, StoreOptions};

    fn keys(directory: &Path) -> Result<ReceiptKeys, StoreError> {
        Store::open(directory, &StoreOptions::default())?.receipt_keys()
    }

    #[test]
    fn a_store_keeps_its_key_and_shows_the_public_half() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = published_receipt_keys(folder.path()).expect("none yet");
        assert_eq!(none.keys, []);
        let first = keys(folder.path()).expect("made");
        let again = keys(folder.path()).expect("read");
        assert_eq!(first.signing.id(), again.signing.id());
        assert_eq!(again.published.keys, [first.signing.public()]);
        let published = published_receipt_keys(folder.path()).expect("there");
        assert_eq!(published, again.published);
    }

    #[test]
    fn a_key_that_signed_before_stays_published() {
        let folder = tempfile::tempdir().expect("a folder");
        let current = keys(folder.path()).expect("made").signing.public();
        let old = SigningKey::from_seed(&[7; 32]).public();
        let path = folder.path().join(KEYS).join(PUBLISHED);
        let before = JwkSet {
            keys: vec![old.clone()],
        };
        let text = serde_json::to_vec(&before).expect("texts");
        fs::write(&path, text).expect("written");
        let published = keys(folder.path()).expect("opened").published;
        assert_eq!(published.keys, [current, old]);
    }

    #[test]
    fn a_damaged_set_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        keys(folder.path()).expect("made");
        fs::write(folder.path().join(KEYS).join(PUBLISHED), "{").expect("damaged");
        assert!(keys(folder.path()).is_err());
    }
}
