//! Making a directory's contents unreadable for good, before it takes another store's state.

use std::path::Path;

use crate::directory::Directory;
use crate::error::StoreError;
use crate::options::StoreOptions;
use crate::sync::Syncs;
use crate::{guard, keyring, legacy_watermark};

/// Destroys the store in `directory`, whatever state it is in: first its key ring, so that every record,
/// every copy of one and every backup is noise, then what is left. No key is needed. The master key, the
/// public keys of receipts and the keys of callers stay.
///
/// Blocks until it is durable. When it is interrupted, opening the store is refused with
/// [`StoreError::Wiped`] until it is done again; afterwards the directory is as one that never held a
/// store. The store must not be open.
pub fn wipe(directory: &Path, options: &StoreOptions) -> Result<(), StoreError> {
    let syncs = Syncs::new(options.sync_observer.clone());
    let locked = Directory::open(directory, &syncs)?;
    keyring::wipe(directory, &syncs)?;
    locked.remove_everything()?;
    legacy_watermark::remove(directory, &syncs)?;
    guard::forget_open(directory, &syncs)?;
    // Last: as long as it is there, whoever opens the directory is refused.
    keyring::remove(directory, &syncs)
}
