//! What fuzzing calls of this crate: payloads as they come out of their seals, the key ring, and the bytes of a
//! transfer.

use crate::codec;
use crate::error::StoreError;
use crate::hash::{KeyedHash, Named};
pub use crate::keyring::{key_ring, key_ring_seeds};
use crate::log::ErasureEntry;
use crate::records::{QueuedRecord, QueuedRow, StoredInteraction, pack_history, unpack_history};
pub use crate::transfer::{transfer, transfer_seeds};
use recant_types::{ErasureId, FeedbackNumber, ItemId, UnixMillis, UserId};

/// Reads the log entry of an erasure; whether it was taken.
pub fn log_erasure(bytes: &[u8]) -> bool {
    reads_back(
        bytes,
        codec::from_postcard,
        codec::to_postcard::<ErasureEntry>,
    )
}

/// Reads the log record of what one user did; whether it was taken.
pub fn log_addition(bytes: &[u8]) -> bool {
    reads_back(bytes, QueuedRecord::unpack, QueuedRecord::pack)
}

/// What is taken survives being written again.
fn reads_back<T>(
    bytes: &[u8],
    read: fn(&[u8]) -> Result<T, StoreError>,
    write: fn(&T) -> Vec<u8>,
) -> bool {
    let Ok(value) = read(bytes) else {
        return false;
    };
    let written = write(&value);
    let again = read(&written).expect("just written");
    // A weight that is no number differs from itself, its bytes do not.
    assert_eq!(write(&again), written);
    true
}

/// Reads a part of a history; whether it was taken.
pub fn history(bytes: &[u8]) -> bool {
    let mut held: Vec<StoredInteraction> = Vec::new();
    if unpack_history(bytes, &mut held).is_err() {
        return false;
    }
    let mut again = Vec::new();
    unpack_history(&pack_history(&held), &mut again).expect("just written");
    assert_eq!(again.len(), held.len());
    !held.is_empty()
}

/// Seeds for [`log_erasure`].
pub fn erasure_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let hash = |number| KeyedHash([number; 16]);
    let seed = |named| {
        codec::to_postcard(&ErasureEntry {
            id: ErasureId::from_bytes([7; 16]),
            accepted_at: UnixMillis(1_700_000_000_000),
            named,
        })
    };
    vec![
        ("good-pairs", seed(Named::Pairs(vec![(hash(1), hash(2))]))),
        ("good-user", seed(Named::User(hash(3)))),
        ("good-item", seed(Named::Item(hash(4)))),
        ("bad-length", vec![9; 9]),
    ]
}

/// Seeds for [`log_addition`].
pub fn addition_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let row = QueuedRow {
        index: 0,
        item: ItemId::new("dune").expect("an id"),
        weight: 1.5,
        timestamp: Some(-1),
        feedback: FeedbackNumber(3),
    };
    let record = QueuedRecord {
        user: UserId::new("ada").expect("an id"),
        backup: 17,
        rows: vec![row],
    };
    vec![("good-row", record.pack()), ("bad-empty-id", vec![0, 0, 0])]
}

/// Seeds for [`history`].
pub fn history_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let held = |item, timestamp| StoredInteraction {
        item,
        feedback: FeedbackNumber(item as u8),
        weight: 2.0,
        timestamp,
    };
    vec![
        (
            "good-two",
            pack_history(&[held(0, None), held(7, Some(-1))]),
        ),
        ("bad-cut", vec![1; 16]),
    ]
}
