//! The mark of a version 1 store: the file `high-water`, which the key ring took the place of.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::StoreError;
use crate::sync::Syncs;
use crate::zeroing;

const NAME: &str = "high-water";
const MAGIC: [u8; 4] = *b"RHW1";
const SLOT_BYTES: usize = 16;
const SLOT_DISTANCE: u64 = 4096;

/// The number of the last acknowledged commit; `None` when there is no such file.
pub(super) fn read(directory: &Path) -> Result<Option<u64>, StoreError> {
    let path = directory.join(NAME);
    let io = |error| StoreError::io(&path, &error);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    if file.metadata().map_err(io)?.len() == 0 {
        return Ok(Some(0));
    }
    let slots = (0..2).filter_map(|slot| {
        let mut bytes = [0; SLOT_BYTES];
        file.read_exact_at(&mut bytes, slot * SLOT_DISTANCE).ok()?;
        decode(&bytes)
    });
    slots
        .max()
        .map(Some)
        .ok_or_else(|| StoreError::damaged("the high-water mark is unreadable"))
}

/// Removes the file.
pub(super) fn remove(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    if directory.join(NAME).exists() {
        zeroing::remove_file(&directory.join(NAME), syncs)?;
        syncs.directory(directory)?;
    }
    Ok(())
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<u64> {
    let [.., c0, c1, c2, c3] = *bytes;
    let intact = crc32fast::hash(&bytes[..12]) == u32::from_le_bytes([c0, c1, c2, c3]);
    let commit = bytes[4..12].try_into().map(u64::from_le_bytes).ok()?;
    (intact && bytes.starts_with(&MAGIC)).then_some(commit)
}
