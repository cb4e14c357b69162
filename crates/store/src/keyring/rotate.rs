//! Rotation: every key wrapped anew under another master key.
//!
//! The next ring is written beside the current one, under a ring key of its own, and takes its
//! place by a rename. The one before keeps a second name until it is overwritten with zeros, so
//! that a crash at any moment leaves one ring that counts and nothing that is forgotten.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::format::{Mark, SLOT_BYTES, Slot};
use super::master::{self, KEYS, MasterKey, MasterKeySource};
use super::{KeyRing, RING, RING_NEW, RING_OLD, SPECIAL_SLOTS};
use crate::StoreError;
use crate::crash_point::crash_point;
use crate::sync::Syncs;
use crate::zeroing;

/// Wraps the key ring of `directory` anew: under a fresh key beside the data when `to` is
/// [`MasterKeySource::Beside`], else under the key that `to` names. The directory must be locked
/// and its store closed.
pub fn rotate(
    directory: &Path,
    from: &MasterKeySource,
    to: &MasterKeySource,
    syncs: &Syncs,
) -> Result<(), StoreError> {
    let ring = KeyRing::open(directory, from, syncs)?;
    let next_master = match to {
        MasterKeySource::Beside => {
            let key = MasterKey::random();
            master::write_next(directory, &key, syncs)?;
            key
        }
        source => master::read(source)?,
    };
    let keys = directory.join(KEYS);
    let (path, new, old) = (keys.join(RING), keys.join(RING_NEW), keys.join(RING_OLD));
    zeroing::remove_file(&new, syncs)?;
    let next = KeyRing::write_new(&new, &path, &next_master, syncs)?;
    copy(&ring, &next)?;
    syncs.data(&next.file, &new)?;
    let io = |error| StoreError::io(&path, &error);
    fs::hard_link(&path, &old).map_err(io)?;
    syncs.directory(&keys)?;
    crash_point("rotate_before_rename");
    fs::rename(&new, &path).map_err(io)?;
    syncs.directory(&keys)?;
    crash_point("rotate_after_rename");
    zeroing::remove_file(&old, syncs)?;
    crash_point("rotate_after_zeroing");
    syncs.directory(&keys)?;
    match to {
        MasterKeySource::Beside => master::promote_next(directory, syncs),
        _ => master::drop_beside(directory, syncs),
    }
}

/// Every key and the mark, from one ring to the next.
fn copy(from: &KeyRing, to: &KeyRing) -> Result<(), StoreError> {
    let mut last = Slot(SPECIAL_SLOTS - 1);
    let mut copy_slot = |slot: Slot| -> Result<(), StoreError> {
        if let Some(key) = from.key(slot)? {
            to.write_slot(slot, &key)?;
        }
        last = last.max(slot);
        Ok(())
    };
    (0..SPECIAL_SLOTS).map(Slot).try_for_each(&mut copy_slot)?;
    from.visit_slots(|slot, _| copy_slot(slot))?;
    let length = Slot(last.0 + 1).offset();
    to.file.set_len(length).map_err(|error| to.io(&error))?;
    let mark = from.mark()?;
    to.write_mark(Mark {
        commit: mark.commit.saturating_sub(1),
        ..mark
    })?;
    to.write_mark(mark)
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

impl KeyRing {
    /// The bytes of a slot as they are on the disk; for whoever wants to see that it is empty.
    pub fn slot_is_empty(&self, slot: Slot) -> Result<bool, StoreError> {
        let mut bytes = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, slot.offset());
        read.map_err(|error| self.io(&error))?;
        Ok(super::format::is_empty(&bytes))
    }
}
