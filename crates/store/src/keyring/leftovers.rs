//! The files of the key ring, and what an interrupted rotation leaves beside it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::master::{self, KEYS, MASTER, MASTER_NEW, MasterKeySource};
use crate::error::StoreError;
use crate::sync::Syncs;
use crate::zeroing;

pub(super) const RING: &str = "ring";
pub(super) const RING_NEW: &str = "ring.new";
pub(super) const RING_OLD: &str = "ring.old";

/// What only an interrupted rotation, or the making of a ring, leaves in the directory of the keys.
pub(crate) const LEFTOVERS: [&str; 3] = [RING_NEW, RING_OLD, MASTER_NEW];

/// Whether the file at `path`, below a store's directory, holds keys, finished or not.
pub(crate) fn holds_keys(path: &Path) -> bool {
    let keys = Path::new(KEYS);
    let names = [RING, MASTER].into_iter().chain(LEFTOVERS);
    names.into_iter().any(|name| path == keys.join(name))
}

/// Puts right what an interrupted rotation left. `opened_by` is the number of the master key, among
/// the candidates, that opened the ring.
pub(super) fn clean_up(
    directory: &Path,
    source: &MasterKeySource,
    opened_by: usize,
    syncs: &Syncs,
) -> Result<(), StoreError> {
    let keys = directory.join(KEYS);
    zeroing::remove_file(&keys.join(RING_NEW), syncs)?;
    remove_old(&keys, syncs)?;
    if *source != MasterKeySource::Beside {
        return Ok(());
    }
    match opened_by {
        // A ring that the next key opens was switched to before the interruption.
        1.. => master::promote_next(directory, syncs),
        0 => master::drop_next(directory, syncs),
    }
}

/// Removes the second name of a ring: overwritten first, unless it is still the ring itself.
fn remove_old(keys: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let (path, old) = (keys.join(RING), keys.join(RING_OLD));
    let inode = |path: &Path| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let Some(number) = inode(&old) else {
        return Ok(());
    };
    if inode(&path) == Some(number) {
        fs::remove_file(&old).map_err(|error| StoreError::io(&old, &error))?;
    } else {
        zeroing::remove_file(&old, syncs)?;
    }
    syncs.directory(keys)
}
