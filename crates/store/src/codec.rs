//! How a value is sealed: the one place every byte passes on its way to and from the disk.
//!
//! The number of the key's slot (u32, little endian), then the sealed payload. The slot, the
//! record's key and the version of the format are associated data: a value that was damaged, or
//! that sits at a key it was not written for, is refused.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::keyring::{KeyRing, Slot, Special};
use crate::seal::{SEAL_BYTES, SecretKey};

/// Bytes of the slot's number.
const SLOT_NUMBER_BYTES: usize = 4;

/// Longest payload: sled moves longer values to files of their own, which it does not sync.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 32 * 1024 - SLOT_NUMBER_BYTES - SEAL_BYTES;

/// The version of this format, and of every record in it.
const RECORD_VERSION: u32 = 2;

const CHECKSUM_BYTES: usize = 4;

/// Seals and opens the records of one generation.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    ring: Arc<KeyRing>,
    slot: Slot,
    key: SecretKey,
}

fn associated(slot: Slot, record_key: &[u8]) -> Vec<u8> {
    let mut associated = Vec::with_capacity(14 + record_key.len());
    associated.extend_from_slice(b"recant");
    associated.extend_from_slice(&RECORD_VERSION.to_le_bytes());
    associated.extend_from_slice(&slot.0.to_le_bytes());
    associated.extend_from_slice(record_key);
    associated
}

/// The stored form of `payload` at `record_key`, sealed under the key in `slot`.
pub(crate) fn seal_under(
    slot: Slot,
    key: &SecretKey,
    record_key: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    debug_assert!(
        payload.len() <= PAYLOAD_BYTES_MAX,
        "{} bytes in one value",
        payload.len()
    );
    let mut value = Vec::with_capacity(SLOT_NUMBER_BYTES + payload.len() + SEAL_BYTES);
    value.extend_from_slice(&slot.0.to_le_bytes());
    key.seal_into(&associated(slot, record_key), payload, &mut value);
    value
}

/// The payload of a value that [`seal_under`] made under this key.
pub(crate) fn open_under(
    slot: Slot,
    key: &SecretKey,
    record_key: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let sealed = value.get(SLOT_NUMBER_BYTES..).unwrap_or_default();
    key.open(&associated(slot, record_key), sealed)
        .map_err(|_| StoreError::damaged("a value does not open with its key"))
}

/// The slot whose key a value is sealed under.
pub(crate) fn slot_of(value: &[u8]) -> Result<Slot, StoreError> {
    value
        .first_chunk::<SLOT_NUMBER_BYTES>()
        .map(|number| Slot(u32::from_le_bytes(*number)))
        .ok_or_else(|| StoreError::damaged("a value is too short"))
}

impl Codec {
    /// For the generation with this number, whose key the ring holds.
    pub(super) fn new(ring: &Arc<KeyRing>, generation: u64) -> Result<Self, StoreError> {
        let special = Special::Generation(generation);
        Ok(Self {
            ring: Arc::clone(ring),
            slot: special.slot(),
            key: ring.special(special)?,
        })
    }

    /// The key ring.
    pub(crate) fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// The stored form of a record that is no person's.
    pub(crate) fn seal(&self, record_key: &[u8], payload: &[u8]) -> Vec<u8> {
        seal_under(self.slot, &self.key, record_key, payload)
    }

    /// Whether a value is sealed under the key of a person.
    pub(crate) fn is_personal(&self, value: &[u8]) -> Result<bool, StoreError> {
        Ok(slot_of(value)? != self.slot)
    }

    /// The payload of the stored `value`; `None` when the key of its person was destroyed.
    pub(crate) fn open_if_kept(
        &self,
        record_key: &[u8],
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let slot = slot_of(value)?;
        if slot == self.slot {
            return open_under(slot, &self.key, record_key, value).map(Some);
        }
        match self.ring.key(slot)? {
            Some(key) => open_under(slot, &key, record_key, value).map(Some),
            None => Ok(None),
        }
    }

    /// The payload of the stored `value` at `record_key`.
    pub(crate) fn open(&self, record_key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.open_if_kept(record_key, value)?
            .ok_or_else(|| StoreError::damaged("a record whose key is gone"))
    }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

/// A payload with a checksum in front: how version 1 stored everything, and how the schema version
/// is stored still.
pub(crate) fn with_checksum(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(CHECKSUM_BYTES + payload.len());
    value.extend_from_slice(&checksum(key, payload).to_le_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of a value that [`with_checksum`] made.
pub(crate) fn verify_checksum<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let (stored, payload) = value
        .split_first_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| StoreError::damaged("a value is too short"))?;
    if u32::from_le_bytes(*stored) != checksum(key, payload) {
        return Err(StoreError::damaged("a value does not match its checksum"));
    }
    Ok(payload)
}

/// A record as JSON: readable by later versions, which may add fields.
pub(crate) fn to_json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys and finite numbers")
}

/// Reads a JSON record.
pub(crate) fn from_json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(payload).map_err(|_| StoreError::damaged("a record is not readable"))
}

/// A record in the encoding of postcard.
pub(crate) fn to_postcard<T: Serialize>(record: &T) -> Vec<u8> {
    postcard::to_stdvec(record).expect("records are plain data")
}

/// Reads a postcard record.
pub(crate) fn from_postcard<T: DeserializeOwned>(payload: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(payload).map_err(|_| StoreError::damaged("a record is not readable"))
}

/// Reads a value that stands first in a record, and what stands behind it.
pub(crate) fn split_postcard<T: DeserializeOwned>(
    payload: &[u8],
) -> Result<(T, &[u8]), StoreError> {
    postcard::take_from_bytes(payload).map_err(|_| StoreError::damaged("a record is not readable"))
}

/// The eight bytes of a number in a record, little endian.
pub(crate) fn read_u64(payload: &[u8]) -> Result<u64, StoreError> {
    let bytes = payload
        .try_into()
        .map_err(|_| StoreError::damaged("a number is too short"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(
            key in prop::collection::vec(any::<u8>(), 1..20),
            payload in prop::collection::vec(any::<u8>(), 0..200),
            number in any::<u32>(),
            bit in any::<prop::sample::Index>(),
        ) {
            let (slot, secret) = (Slot(number), SecretKey::random());
            let mut value = seal_under(slot, &secret, &key, &payload);
            prop_assert_eq!(slot_of(&value).expect("a slot"), slot);
            let opened = open_under(slot, &secret, &key, &value).expect("intact");
            prop_assert_eq!(opened, payload.clone());
            let mut other = key.clone();
            other.push(0);
            prop_assert!(open_under(slot, &secret, &other, &value).is_err());
            let bit = bit.index(value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            let slot = slot_of(&value).expect("a slot");
            prop_assert!(open_under(slot, &secret, &key, &value).is_err());
            let mut checked = with_checksum(&key, &payload);
            prop_assert_eq!(verify_checksum(&key, &checked).expect("intact"), payload.as_slice());
            let bit = bit % (checked.len() * 8);
            checked[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_checksum(&key, &checked).is_err());
        }
    }

    #[test]
    fn short_values_are_refused() {
        assert!(slot_of(b"abc").is_err());
        assert!(verify_checksum(b"a", b"abc").is_err());
        assert!(open_under(Slot(1), &SecretKey::random(), b"a", b"abcd").is_err());
    }
}
