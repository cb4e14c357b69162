//! Removing files so that what they held does not stay on the device.
//!
//! An unlinked file leaves its bytes where they were. Here a file is overwritten with zeros and
//! synced before it is unlinked. That reaches the bytes on file systems that write in place; see
//! docs/threat-model.md for those that do not.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::sync::Syncs;

/// Zeros written at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Bytes written between two syncs, so that commits do not wait for a large file.
const SYNC_BYTES: u64 = 8 << 20;

/// Overwrites a file with zeros, syncs it and unlinks it. A missing file is done with already. The
/// removal itself is durable once the directory is synced.
pub(super) fn remove_file(path: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let io = |error| StoreError::io(path, &error);
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if overwrite(&file, path, syncs)? > 0 {
        failpoint("generation_old_zeroed");
    }
    drop(file);
    failpoint("generation_old_zeroed");
    fs::remove_file(path).map_err(io)
}

/// Overwrites a file with zeros and syncs it; returns how long it is.
pub(super) fn overwrite(file: &File, path: &Path, syncs: &Syncs) -> Result<u64, StoreError> {
    let io = |error| StoreError::io(path, &error);
    let length = file.metadata().map_err(io)?.len();
    let zeros = vec![0; BLOCK_BYTES.min(length as usize)];
    let mut at = 0;
    while at < length {
        let count = (length - at).min(BLOCK_BYTES as u64);
        file.write_all_at(&zeros[..count as usize], at)
            .map_err(io)?;
        at += count;
        if at.is_multiple_of(SYNC_BYTES) && at < length {
            syncs.data(file, path)?;
        }
    }
    if length > 0 {
        syncs.data(file, path)?;
    }
    Ok(length)
}

/// Removes a directory with everything in it, each file as [`remove_file`] does.
pub(super) fn remove_directory(path: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let io = |error| StoreError::io(path, &error);
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        if entry.file_type().map_err(io)?.is_dir() {
            remove_directory(&entry.path(), syncs)?;
        } else {
            remove_file(&entry.path(), syncs)?;
        }
    }
    fs::remove_dir(path).map_err(io)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_removed_file_is_zeroed_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("inside");
        fs::create_dir_all(inside.join("deeper")).expect("made");
        let path = inside.join("deeper").join("file");
        fs::write(&path, vec![7; 3 * BLOCK_BYTES + 5]).expect("written");
        // An open handle still shows what the blocks hold after the file is gone.
        let mut kept = fs::File::open(&path).expect("opened");
        let syncs = Syncs::new(None);
        remove_directory(&inside, &syncs).expect("removed");
        assert!(!inside.exists());
        let mut left = Vec::new();
        kept.read_to_end(&mut left).expect("readable");
        assert_eq!(left.len(), 3 * BLOCK_BYTES + 5);
        assert!(left.iter().all(|byte| *byte == 0));
        remove_directory(&inside, &syncs).expect("gone already");
        remove_file(&path, &syncs).expect("gone already");
    }
}
