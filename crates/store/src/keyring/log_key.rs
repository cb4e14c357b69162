//! The key of a shared log: one slot for the key and the one beside it for the number of its epoch.
//!
//! The two lie in one sector of 512 bytes and are written by one write, so a torn write leaves either
//! both as they were or both as they are to be.

use std::os::unix::fs::FileExt;

use super::format::{SLOT_BYTES, Slot};
use super::ring::{KeyRing, Special};
use crate::error::StoreError;
use crate::log_key::LogKey;
use crate::seal::{KEY_BYTES, SecretKey};
use zeroize::Zeroizing;

/// The bytes of both slots.
type Slots = [u8; 2 * SLOT_BYTES];

impl KeyRing {
    /// The key of the shared log; `None` when there is none.
    pub(crate) fn log_key(&self) -> Result<Option<LogKey>, StoreError> {
        let slots = [Special::LogKey, Special::LogEpoch].map(Special::slot);
        let [key, epoch] = slots.map(|slot| self.key(slot));
        match (key?, epoch?) {
            (None, None) => Ok(None),
            (Some(key), Some(epoch)) => Ok(Some(LogKey::of(read_epoch(&epoch)?, key))),
            _ => Err(half()),
        }
    }

    /// Puts this key in place of the one there is; durable on return, and read back.
    pub(crate) fn put_log_key(&self, key: &LogKey) -> Result<(), StoreError> {
        let written = self.write_log_key(key)?;
        self.syncs.data(&self.file, &self.path)?;
        self.check_log_key(&written)
    }

    /// Destroys the key; durable on return. Does nothing when there is none.
    pub(crate) fn destroy_log_key(&self) -> Result<(), StoreError> {
        let slots = [Special::LogKey, Special::LogEpoch].map(Special::slot);
        if self.slot_is_empty(slots[0])? && self.slot_is_empty(slots[1])? {
            return Ok(());
        }
        self.write_bytes(slots[0], &[0; 2 * SLOT_BYTES])?;
        self.syncs.data(&self.file, &self.path)
    }

    /// Writes the key over the one before, not synced; returns what is there then.
    pub(super) fn write_log_key(&self, key: &LogKey) -> Result<Slots, StoreError> {
        let (first, second) = (Special::LogKey.slot(), Special::LogEpoch.slot());
        let mut bytes = [0; 2 * SLOT_BYTES];
        bytes[..SLOT_BYTES].copy_from_slice(&self.encode_slot(first, key.secret()));
        let epoch = write_epoch(key.epoch());
        bytes[SLOT_BYTES..].copy_from_slice(&self.encode_slot(second, &epoch));
        self.write_bytes(first, &bytes)?;
        Ok(bytes)
    }

    /// What is sealed under the key before can be read no more: the ring holds what was `written`.
    pub(super) fn check_log_key(&self, written: &Slots) -> Result<(), StoreError> {
        let mut bytes = [0; 2 * SLOT_BYTES];
        let at: Slot = Special::LogKey.slot();
        let read = self.file.read_exact_at(&mut bytes, at.offset());
        read.map_err(|error| self.io(&error))?;
        if bytes != *written {
            return Err(StoreError::damaged(
                "the log's key before is still in the key ring",
            ));
        }
        Ok(())
    }
}

/// A number in the form of a key: eight bytes, little endian, and zeros.
fn write_epoch(epoch: u64) -> SecretKey {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    bytes[..8].copy_from_slice(&epoch.to_le_bytes());
    SecretKey::from_bytes(bytes)
}

fn read_epoch(slot: &SecretKey) -> Result<u64, StoreError> {
    let (number, rest) = slot.expose().split_first_chunk::<8>().ok_or_else(half)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(half());
    }
    Ok(u64::from_le_bytes(*number))
}

fn half() -> StoreError {
    StoreError::damaged("the key of the log and its epoch do not belong together")
}
