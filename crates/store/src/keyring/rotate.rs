//! Rotation: every key wrapped anew under another master key.
//!
//! The next ring is written beside the current one, under a ring key of its own, and takes its
//! place by a rename. The one before keeps a second name until it is overwritten with zeros, so
//! that a crash at any moment leaves one ring that counts and nothing that is forgotten.

use std::fs;
use std::path::Path;

use super::format::{Mark, SPECIAL_SLOTS, Slot};
use super::leftovers::{RING, RING_NEW, RING_OLD};
use super::master::{self, KEYS, MasterKey, MasterKeySource};
use super::ring::KeyRing;
use crate::crash_point::crash_point;
use crate::error::StoreError;
use crate::sync::Syncs;
use crate::zeroing;

/// Wraps the key ring of `directory` anew: under a fresh key beside the data when `to` is
/// [`MasterKeySource::Beside`], else under the key that `to` names. The directory must be locked
/// and its store closed.
pub(crate) fn rotate(
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
