//! What fuzzing calls of the key ring: a header, a mark and a slot, one after the other.

use zeroize::Zeroizing;

use super::format::{HEADER_BYTES, MARK_BYTES, Mark, RingKey, SLOT_BYTES, Slot};
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
    let Some((mark, rest)) = rest.split_first_chunk::<MARK_BYTES>() else {
        return false;
    };
    let mark = Mark::decode(mark);
    if let Some(mark) = mark {
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }
    let Some(Ok((ring, _))) = RingKey::decode(header, &[master()]) else {
        return false;
    };
    let slot = rest.first_chunk::<SLOT_BYTES>();
    let key = slot.map(|slot| ring.decode_slot(SLOT, slot));
    mark.is_some() && matches!(key, Some(Ok(Some(_))))
}

/// Seeds for [`key_ring`].
pub fn key_ring_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let ring = RingKey::random();
    let mark = Mark {
        commit: 7,
        erasures: 2,
    };
    let key = SecretKey::from_bytes(Zeroizing::new([3; KEY_BYTES]));
    let slot = ring.encode_slot(SLOT, &key);
    let other_slot = ring.encode_slot(Slot(18), &key);
    let (header, mark) = (ring.encode(&master()), mark.encode());
    let whole = |slot: &[u8]| [&header, &mark[..], slot].concat();
    vec![
        ("good-whole", whole(&slot)),
        ("bad-empty-slot", whole(&[0; SLOT_BYTES])),
        ("bad-slot-of-another-place", whole(&other_slot)),
        ("bad-short", header.clone()),
    ]
}
