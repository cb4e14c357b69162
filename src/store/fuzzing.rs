//! What fuzzing calls of this room: values as they come from the disk.

use super::log;
use crate::event::{ErasureTarget, Event, Interaction, UnixMillis};
use crate::ids::{ErasureId, ItemId, UserId};

/// Reads a log entry; whether it was taken. What is taken survives being written again.
pub(crate) fn log_entry(bytes: &[u8]) -> bool {
    let Ok(event) = log::from_chunks(bytes) else {
        return false;
    };
    let again = log::from_chunks(&log::to_chunks(&event).concat());
    // NaN weights do not equal themselves, so texts are compared.
    assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>(event)));
    true
}

/// Log entries of every kind.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let user = || UserId::new("ada").expect("an id");
    let item = || ItemId::new("dune").expect("an id");
    let addition = Event::Add(vec![Interaction {
        user: user(),
        item: item(),
        weight: 1.5,
        timestamp: Some(-1),
    }]);
    let erasure = |target| Event::Erase {
        id: ErasureId::from_bytes([7; 16]),
        accepted_at: UnixMillis(1_700_000_000_000),
        target,
    };
    let entries = [
        ("good-addition", addition),
        (
            "good-pairs",
            erasure(ErasureTarget::Pairs(vec![(user(), item())])),
        ),
        ("good-user", erasure(ErasureTarget::User(user()))),
        ("good-item", erasure(ErasureTarget::Item(item()))),
    ];
    let mut seeds: Vec<_> = entries
        .into_iter()
        .map(|(name, event)| (name, log::to_chunks(&event).concat()))
        .collect();
    seeds.push(("bad-variant", vec![9, 9, 9]));
    seeds
}
