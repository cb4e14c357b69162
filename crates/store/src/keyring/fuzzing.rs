//! What fuzzing calls of the key ring: a header, a watermark and a slot, one after the other.

use zeroize::Zeroizing;

use super::format::{CommitWatermark, HEADER_BYTES, RingKey, SLOT_BYTES, Slot, WATERMARK_BYTES};
use super::master::MasterKey;
use crate::seal::{KEY_BYTES, SecretKey};

const SLOT: Slot = Slot(17);

fn master() -> MasterKey {
    MasterKey(SecretKey::from_bytes(Zeroizing::new([1; KEY_BYTES])))
}

/// Reads the three; whether all were taken.
pub fn key_ring(bytes: &[u8]) -> bool {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return false;
    };
    let Some((watermark, rest)) = rest.split_first_chunk::<WATERMARK_BYTES>() else {
        return false;
    };
    let watermark = CommitWatermark::decode(watermark);
    if let Some(watermark) = watermark {
        assert_eq!(
            CommitWatermark::decode(&watermark.encode()),
            Some(watermark)
        );
    }
    let Some(Ok((ring, _))) = RingKey::decode(header, &[master()]) else {
        return false;
    };
    let slot = rest.first_chunk::<SLOT_BYTES>();
    let key = slot.map(|slot| ring.decode_slot(SLOT, slot));
    watermark.is_some() && matches!(key, Some(Ok(Some(_))))
}

/// Seeds for [`key_ring`].
pub fn key_ring_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let ring = RingKey::random();
    let watermark = CommitWatermark {
        commit: 7,
        erasures: 2,
    };
    let key = SecretKey::from_bytes(Zeroizing::new([3; KEY_BYTES]));
    let slot = ring.encode_slot(SLOT, &key);
    let other_slot = ring.encode_slot(Slot(18), &key);
    let (header, watermark) = (ring.encode(&master()), watermark.encode());
    let whole = |slot: &[u8]| [&header, &watermark[..], slot].concat();
    vec![
        ("good-whole", whole(&slot)),
        ("bad-empty-slot", whole(&[0; SLOT_BYTES])),
        ("bad-slot-of-another-place", whole(&other_slot)),
        ("bad-short", header.clone()),
    ]
}
