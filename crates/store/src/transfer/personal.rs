//! What in a record of a person is a node's own: the slot of the key for backups, and the pseudonym.

use crate::codec;
use crate::error::StoreError;
use crate::keyring::Slot;
use crate::keys;
use crate::records::{PropertiesRecord, QueuedRecord, UserRecord};

/// Where the pseudonym is in the key of a record that has one.
pub(super) fn pseudonym_of(key: &mut [u8]) -> Option<&mut [u8]> {
    const WITH_PSEUDONYM: [u8; 5] = [
        keys::USER,
        keys::PROPERTIES,
        keys::HISTORY,
        keys::KEPT,
        keys::USER_FACTORS,
    ];
    let kind = key.first()?;
    if !WITH_PSEUDONYM.contains(kind) {
        return None;
    }
    key.get_mut(1..17)
}

/// A record of a person, as far as it tells a slot.
enum Telling {
    User(UserRecord),
    Properties(PropertiesRecord),
    Queued(QueuedRecord),
    Nothing,
}

fn read(key: &[u8], payload: &[u8]) -> Result<Telling, StoreError> {
    Ok(match key.first() {
        Some(&keys::USER) => Telling::User(codec::from_postcard(payload)?),
        Some(&keys::PROPERTIES) => Telling::Properties(codec::from_json(payload)?),
        Some(&keys::LOG | &keys::KEPT) => Telling::Queued(QueuedRecord::unpack(payload)?),
        Some(&keys::HISTORY | &keys::USER_FACTORS) => Telling::Nothing,
        _ => return Err(StoreError::damaged("a record that should be nobody's")),
    })
}

/// The slot of the key for backups that a record tells.
pub(super) fn backup_of(key: &[u8], payload: &[u8]) -> Result<Option<Slot>, StoreError> {
    Ok(match read(key, payload)? {
        Telling::User(record) => Some(Slot(record.backup)),
        Telling::Properties(record) => Some(Slot(record.backup)),
        Telling::Queued(record) => Some(Slot(record.backup)),
        Telling::Nothing => None,
    })
}

/// The record with another slot in its place.
pub(super) fn with_backup(key: &[u8], payload: &[u8], slot: Slot) -> Result<Vec<u8>, StoreError> {
    let backup = slot.0;
    Ok(match read(key, payload)? {
        Telling::User(record) => codec::to_postcard(&UserRecord { backup, ..record }),
        Telling::Properties(record) => codec::to_json(&PropertiesRecord { backup, ..record }),
        Telling::Queued(record) => QueuedRecord { backup, ..record }.pack(),
        Telling::Nothing => payload.to_vec(),
    })
}
