//! How a value is wrapped: the one place every byte passes on its way to and from the disk.
//!
//! `crc32(key ‖ payload)` in four bytes, little endian, then the payload. A value that was
//! damaged, or that sits at a key it was not written for, is refused. Sealing under keys will
//! happen here too.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// Longest payload: sled moves longer values to files of their own, which it does not sync.
pub const PAYLOAD_BYTES_MAX: usize = 32 * 1024 - CHECKSUM_BYTES;

const CHECKSUM_BYTES: usize = 4;

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

/// The stored form of `payload` at `key`.
pub fn wrap(key: &[u8], payload: &[u8]) -> Vec<u8> {
    debug_assert!(
        payload.len() <= PAYLOAD_BYTES_MAX,
        "{} bytes in one value",
        payload.len()
    );
    let mut value = Vec::with_capacity(CHECKSUM_BYTES + payload.len());
    value.extend_from_slice(&checksum(key, payload).to_le_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of the stored `value` at `key`.
pub fn unwrap<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let (stored, payload) = value
        .split_first_chunk::<CHECKSUM_BYTES>()
        .ok_or_else(|| StoreError::damaged("a value is too short"))?;
    if u32::from_le_bytes(*stored) != checksum(key, payload) {
        return Err(StoreError::damaged("a value does not match its checksum"));
    }
    Ok(payload)
}

/// A record as JSON: readable by later versions, which may add fields.
pub fn to_json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys and finite numbers")
}

/// Reads a JSON record.
pub fn from_json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(payload).map_err(|_| StoreError::damaged("a record is not readable"))
}

/// The eight bytes of a number in a record, little endian.
pub fn read_u64(payload: &[u8]) -> Result<u64, StoreError> {
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
            bit in any::<prop::sample::Index>(),
        ) {
            let mut value = wrap(&key, &payload);
            prop_assert_eq!(unwrap(&key, &value).expect("intact"), payload.as_slice());
            let bit = bit.index(value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(unwrap(&key, &value).is_err());
        }
    }

    #[test]
    fn a_value_at_another_key_is_refused() {
        assert!(unwrap(b"b", &wrap(b"a", b"payload")).is_err());
        assert!(unwrap(b"a", b"abc").is_err());
    }
}
