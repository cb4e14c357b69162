//! The key that receipts are signed with, on the disk, and the public keys beside it.
//!
//! `keys/signing` holds the seed, `keys/receipts.json` the public keys: the current one and those
//! that signed before it, so that old receipts can still be checked.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::receipt::keys::SEED_BYTES;
use crate::receipt::{JwkSet, SigningKey};
use crate::store::StoreError;
use crate::store::database::{make_directory, sync_directory};

const KEYS: &str = "keys";
const SIGNING: &str = "signing";
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
    /// Reads the keys of the store in `directory`, or makes them. They are durable on return.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let folder = directory.join(KEYS);
        make_directory(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))
            .map_err(|error| StoreError::io(&folder, &error))?;
        let signing = SigningKey::from_seed(&*read_or_make_seed(&folder.join(SIGNING))?);
        let mut published = published_receipt_keys(directory)?;
        if published.keys.first() != Some(&signing.public()) {
            published.put_first(signing.public());
            let text = serde_json::to_vec_pretty(&published).expect("texts");
            write_whole(&folder.join(PUBLISHED), &text)?;
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

fn read_or_make_seed(path: &Path) -> Result<Zeroizing<[u8; SEED_BYTES]>, StoreError> {
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => {
            let mut seed = Zeroizing::new([0; SEED_BYTES]);
            if bytes.len() != SEED_BYTES {
                return Err(StoreError::damaged("the file keys/signing is unreadable"));
            }
            seed.copy_from_slice(&bytes);
            Ok(seed)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let seed = SigningKey::generate_seed();
            write_whole(path, seed.as_slice())?;
            Ok(seed)
        }
        Err(error) => Err(StoreError::io(path, &error)),
    }
}

/// Writes a file that only the owner may read, so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new: PathBuf = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file: File = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|error| StoreError::io(path, &error))?;
    sync_directory(path.parent().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_kept_to_the_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(
            published_receipt_keys(folder.path()).expect("none").keys,
            []
        );
        let first = ReceiptKeys::open(folder.path()).expect("made");
        let again = ReceiptKeys::open(folder.path()).expect("read");
        assert_eq!(first.signing.id(), again.signing.id());
        assert_eq!(again.published.keys, [first.signing.public()]);
        let published = published_receipt_keys(folder.path()).expect("there");
        assert_eq!(published, again.published);
        let keys = folder.path().join(KEYS);
        for (path, mode) in [(keys.clone(), 0o700), (keys.join(SIGNING), 0o600)] {
            let found = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(found & 0o777, mode, "{}", path.display());
        }
    }

    #[test]
    fn a_key_that_was_replaced_stays_published() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = ReceiptKeys::open(folder.path()).expect("made");
        fs::remove_file(folder.path().join(KEYS).join(SIGNING)).expect("removed");
        let new = ReceiptKeys::open(folder.path()).expect("made anew");
        let expected = [new.signing.public(), old.signing.public()];
        assert_eq!(new.published.keys, expected);
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        ReceiptKeys::open(folder.path()).expect("made");
        for (name, bytes) in [(SIGNING, &b"short"[..]), (PUBLISHED, b"{")] {
            let path = folder.path().join(KEYS).join(name);
            let whole = fs::read(&path).expect("there");
            fs::write(&path, bytes).expect("damaged");
            assert!(ReceiptKeys::open(folder.path()).is_err(), "{name}");
            fs::write(&path, whole).expect("put back");
        }
    }
}
