//! The end of a whole key ring: everything that was ever sealed under a key of it is noise from then on.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::format::{HEADER_AT, HEADER_BYTES, HEADER_COPY_AT};
use super::leftovers::{RING, RING_NEW, RING_OLD};
use super::master::KEYS;
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::sync::Syncs;
use crate::zeroing;

/// Overwrites the header of the ring of a directory, then everything else in it, and removes what a
/// rotation left beside it. The ring itself stays as zeros ([`remove`]), so that whoever opens the
/// directory before it is [removed](remove) is told why it cannot be read. Durable on return; does nothing
/// when there is no ring.
pub(crate) fn wipe(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let keys = directory.join(KEYS);
    // The others first: without them the ring is the only one whose keys open anything.
    for name in [RING_NEW, RING_OLD, RING] {
        let path = keys.join(name);
        if let Some(file) = open(&path)? {
            destroy_header(&file, &path, syncs)?;
        }
    }
    failpoint("wipe_after_header");
    for name in [RING_NEW, RING_OLD] {
        zeroing::remove_file(&keys.join(name), syncs)?;
    }
    let ring = keys.join(RING);
    if let Some(file) = open(&ring)? {
        zeroing::overwrite(&file, &ring, syncs)?;
        syncs.directory(&keys)?;
    }
    Ok(())
}

/// Removes a ring that was wiped.
pub(crate) fn remove(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let keys = directory.join(KEYS);
    let path: PathBuf = keys.join(RING);
    match std::fs::remove_file(&path) {
        Ok(()) => syncs.directory(&keys),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(&path, &error)),
    }
}

fn open(path: &Path) -> Result<Option<File>, StoreError> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(path, &error)),
    }
}

/// Without the ring's own key, which both copies of the header hold sealed, no slot opens.
fn destroy_header(file: &File, path: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    for at in [HEADER_AT, HEADER_COPY_AT] {
        file.write_all_at(&[0; HEADER_BYTES], at)
            .map_err(|error| StoreError::io(path, &error))?;
    }
    syncs.data(file, path)
}
