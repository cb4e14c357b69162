//! The key that receipts are signed with, which lies in the key ring, and the public keys.
//!
//! `keys/receipts.json` has the public keys: the current one and those that signed before it, so
//! that old receipts can still be checked. It is no secret and is read without the master key.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::StoreError;
use crate::files::Files;
use crate::keyring::{KeyRing, Special};
use crate::private;
use crate::seal::SecretKey;
use crate::sync::Syncs;
use recant_receipt::{JwkSet, SigningKey};
use serde::{Deserialize, Serialize};

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
    /// Reads the key from the ring, and publishes it if it is new. Refuses a published set that
    /// somebody else changed: a key that was slipped in would vouch for receipts nobody signed.
    pub(super) fn open(files: &Files) -> Result<Self, StoreError> {
        let seed = files.ring.special(Special::Signing)?;
        let signing = SigningKey::from_seed(seed.expose());
        let directory = files.directory.path();
        let Published { mut set, seal } = Published::read(directory)?;
        let sealing = files.ring.key(Special::Published.slot())?;
        if let Some(sealing) = &sealing {
            check_seal(sealing, &set, seal.as_deref())?;
        }
        if sealing.is_some() && set.keys.first() == Some(&signing.public()) {
            return Ok(Self {
                signing,
                published: set,
            });
        }
        set.put_first(signing.public());
        // Written before the key that it is sealed under: without that key any seal is taken.
        let key = sealing.clone().unwrap_or_else(SecretKey::random);
        let published = Published {
            seal: Some(hex(&key.seal(&associated(&set), &[]))),
            set,
        };
        let text = serde_json::to_vec_pretty(&published).expect("texts");
        write_whole(&directory.join(KEYS), &text, &files.syncs)?;
        if sealing.is_none() {
            files.ring.put(Special::Published, &key)?;
        }
        Ok(Self {
            signing,
            published: published.set,
        })
    }
}

/// The public keys of the store in `directory`, checked as when a server starts; nothing is written.
pub(super) fn checked(directory: &Path, ring: &KeyRing) -> Result<JwkSet, StoreError> {
    let Published { set, seal } = Published::read(directory)?;
    if let Some(sealing) = ring.key(Special::Published.slot())? {
        check_seal(&sealing, &set, seal.as_deref())?;
    }
    Ok(set)
}

/// The file of the public keys.
#[derive(Default, Serialize, Deserialize)]
struct Published {
    #[serde(flatten)]
    set: JwkSet,
    /// An empty text sealed with the keys as associated data, in hexadecimal digits.
    #[serde(default, rename = "recant_seal")]
    seal: Option<String>,
}

impl Published {
    fn read(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(KEYS).join(PUBLISHED);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|_| StoreError::damaged("the file keys/receipts.json is unreadable")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(StoreError::io(&path, &error)),
        }
    }
}

fn associated(set: &JwkSet) -> Vec<u8> {
    let mut associated = b"recant receipt keys".to_vec();
    associated.extend(serde_json::to_vec(set).expect("texts"));
    associated
}

/// A set without keys vouches for nothing, and needs no seal.
fn check_seal(key: &SecretKey, set: &JwkSet, seal: Option<&str>) -> Result<(), StoreError> {
    let sealed = seal.and_then(unhex);
    let holds = sealed.is_some_and(|sealed| key.open(&associated(set), &sealed).is_ok());
    if holds || set.keys.is_empty() {
        return Ok(());
    }
    Err(StoreError::damaged(
        "the file keys/receipts.json was changed: put the right one back, or remove it to publish \
         the key in use alone",
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// The public keys of the store in `directory`, which may be in use; none when it has signed
/// nothing yet. Read without the key ring, so nobody vouches for the file: who may write to it may
/// have changed it.
pub fn published_receipt_keys(directory: &Path) -> Result<JwkSet, StoreError> {
    Published::read(directory).map(|published| published.set)
}

/// Writes the file so that it is there whole or not at all.
fn write_whole(folder: &Path, text: &[u8], syncs: &Syncs) -> Result<(), StoreError> {
    let (path, new) = (folder.join(PUBLISHED), folder.join("receipts.new"));
    let io = |error| StoreError::io(&path, &error);
    let mut file = private::create_file(&new).map_err(io)?;
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
        drop(Store::open(folder.path(), &StoreOptions::default()).expect("made"));
        let old = SigningKey::from_seed(&[7; 32]).public();
        let path = folder.path().join(KEYS).join(PUBLISHED);
        let before = JwkSet {
            keys: vec![old.clone()],
        };
        let text = serde_json::to_vec(&before).expect("texts");
        fs::write(&path, text).expect("written");
        for _ in 0..2 {
            let read = keys(folder.path()).expect("opened");
            assert_eq!(read.published.keys, [read.signing.public(), old.clone()]);
        }
    }

    #[test]
    fn a_key_that_was_slipped_in_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        keys(folder.path()).expect("made");
        let path = folder.path().join(KEYS).join(PUBLISHED);
        let good = fs::read(&path).expect("readable");
        let mut published: Published = serde_json::from_slice(&good).expect("a set");
        let theirs = SigningKey::from_seed(&[7; 32]).public();
        published.set.keys.push(theirs);
        for seal in [published.seal.clone(), None] {
            published.seal = seal;
            let text = serde_json::to_vec(&published).expect("texts");
            fs::write(&path, text).expect("written");
            assert!(keys(folder.path()).is_err());
        }
        fs::write(&path, good).expect("put back");
        assert_eq!(
            keys(folder.path()).expect("as it was").published.keys.len(),
            1
        );
        fs::remove_file(&path).expect("removed");
        assert_eq!(keys(folder.path()).expect("anew").published.keys.len(), 1);
    }

    #[test]
    fn a_damaged_set_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        keys(folder.path()).expect("made");
        fs::write(folder.path().join(KEYS).join(PUBLISHED), "{").expect("damaged");
        assert!(keys(folder.path()).is_err());
    }
}
