//! The key of a shared log: one slot for the key, one for the numbers of its epoch and series, and one for the key
//! that the next series is to begin with.
//!
//! The three lie in one sector of 512 bytes. What changes together is written by one write, so a torn write leaves
//! either all of it as it was or all of it as it is to be.

use std::os::unix::fs::FileExt;

use super::format::{SLOT_BYTES, Slot};
use super::ring::{KeyRing, Special};
use crate::error::StoreError;
use crate::log_key::LogKey;
use crate::seal::{KEY_BYTES, SecretKey};
use zeroize::Zeroizing;

const SLOTS: [Special; 3] = [Special::LogKey, Special::LogEpoch, Special::LogKeyToCome];

impl KeyRing {
    /// The key of the shared log; `None` when there is none.
    pub(crate) fn log_key(&self) -> Result<Option<LogKey>, StoreError> {
        let slots = [Special::LogKey, Special::LogEpoch].map(Special::slot);
        let [key, numbers] = slots.map(|slot| self.key(slot));
        match (key?, numbers?) {
            (None, None) => Ok(None),
            (Some(key), Some(numbers)) => {
                let (series, epoch) = read_numbers(&numbers)?;
                Ok(Some(LogKey::of(series, epoch, key)))
            }
            _ => Err(half()),
        }
    }

    /// The key that the next series is to begin with; `None` when none is kept.
    pub(crate) fn log_key_to_come(&self) -> Result<Option<SecretKey>, StoreError> {
        self.key(Special::LogKeyToCome.slot())
    }

    /// Keeps a key for the next series, in place of one that was kept for it before; durable on return.
    pub(crate) fn keep_log_key_to_come(&self, key: &SecretKey) -> Result<(), StoreError> {
        self.put(Special::LogKeyToCome, key)
    }

    /// Puts this key in place of the one there is; durable on return, and read back.
    pub(crate) fn put_log_key(&self, key: &LogKey) -> Result<(), StoreError> {
        let written = self.write_log_key(key)?;
        self.syncs.data(&self.file, &self.path)?;
        self.check_log_key(&written)
    }

    /// Destroys the key, and the one to come; durable on return. Does nothing when there is none.
    pub(crate) fn destroy_log_key(&self) -> Result<(), StoreError> {
        let mut slots = SLOTS.into_iter().map(Special::slot);
        let is_empty = slots.try_fold(true, |is_empty, slot| {
            Ok::<_, StoreError>(is_empty && self.slot_is_empty(slot)?)
        })?;
        if is_empty {
            return Ok(());
        }
        self.write_bytes(SLOTS[0].slot(), &[0; SLOTS.len() * SLOT_BYTES])?;
        self.syncs.data(&self.file, &self.path)
    }

    /// Writes the key over the one before, not synced; returns what is there then. One that begins a series destroys
    /// what was kept for it as well: later keys are derived from that one.
    pub(super) fn write_log_key(&self, key: &LogKey) -> Result<Vec<u8>, StoreError> {
        let (first, second) = (Special::LogKey.slot(), Special::LogEpoch.slot());
        let mut bytes = self.encode_slot(first, key.secret()).to_vec();
        bytes.extend(self.encode_slot(second, &write_numbers(key)));
        if self.begins_series(key)? {
            bytes.extend([0; SLOT_BYTES]);
        }
        self.write_bytes(first, &bytes)?;
        Ok(bytes)
    }

    /// Whether the ring holds a key of another series. A torn slot holds none that counts.
    fn begins_series(&self, key: &LogKey) -> Result<bool, StoreError> {
        let held = self.log_key()?;
        Ok(held.is_some_and(|held| held.series() != key.series()))
    }

    /// What is sealed under the key before can be read no more: the ring holds what was `written`.
    pub(super) fn check_log_key(&self, written: &[u8]) -> Result<(), StoreError> {
        let mut bytes = vec![0; written.len()];
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

/// Two numbers in the form of a key: epoch and series, eight bytes each, little endian, and zeros.
fn write_numbers(key: &LogKey) -> SecretKey {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    bytes[..8].copy_from_slice(&key.epoch().to_le_bytes());
    bytes[8..16].copy_from_slice(&key.series().to_le_bytes());
    SecretKey::from_bytes(bytes)
}

/// Series and epoch.
fn read_numbers(slot: &SecretKey) -> Result<(u64, u64), StoreError> {
    let (epoch, rest) = slot.expose().split_first_chunk::<8>().ok_or_else(half)?;
    let (series, rest) = rest.split_first_chunk::<8>().ok_or_else(half)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(half());
    }
    Ok((u64::from_le_bytes(*series), u64::from_le_bytes(*epoch)))
}

fn half() -> StoreError {
    StoreError::damaged("the key of the log and its epoch do not belong together")
}
