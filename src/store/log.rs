//! The durable log: what was accepted, in the one order in which it will be applied.
//!
//! Append: [`WriteBatch::append`](super::batch::WriteBatch::append) within a commit. Read:
//! [`Store::read_from`](super::Store::read_from). Acknowledge:
//! [`WriteBatch::trim_log`](super::batch::WriteBatch::trim_log), in the commit that holds what the
//! entries led to. The rest of the program knows the log by these three.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::store::codec::{self, PAYLOAD_BYTES_MAX};
use crate::store::database::Database;
use crate::store::{StoreError, keys};

/// Where an entry stands in the log. The first entry is at 1; 0 is before all entries.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The position after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The chunks that `event` is stored in; at least one, none longer than a value may be.
pub(super) fn to_chunks(event: &Event) -> Vec<Vec<u8>> {
    let bytes = postcard::to_stdvec(event).expect("events are plain data");
    bytes
        .chunks(PAYLOAD_BYTES_MAX)
        .map(<[u8]>::to_vec)
        .collect()
}

/// Reads what [`to_chunks`] cut.
pub(super) fn from_chunks(bytes: &[u8]) -> Result<Event, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| StoreError::damaged("a log entry is not readable"))
}

/// Up to `limit` entries from `from` on, in order.
pub(super) fn read_from(
    database: &Database,
    from: LogPosition,
    limit: usize,
) -> Result<Vec<(LogPosition, Event)>, StoreError> {
    let mut entries = Vec::new();
    let mut pending: Option<(LogPosition, Vec<u8>)> = None;
    for record in database.scan_from(keys::log(from), keys::LOG) {
        let (key, value) = record?;
        let (position, chunk) =
            keys::log_parts(&key).ok_or_else(|| StoreError::damaged("a log key is cut off"))?;
        let payload = codec::unwrap(&key, &value)?;
        if chunk == 0 {
            if let Some((position, bytes)) = pending.take() {
                entries.push((position, from_chunks(&bytes)?));
            }
            if entries.len() == limit {
                return Ok(entries);
            }
        }
        match &mut pending {
            Some((_, bytes)) => bytes.extend_from_slice(payload),
            None => pending = Some((position, payload.to_vec())),
        }
    }
    if let Some((position, bytes)) = pending {
        entries.push((position, from_chunks(&bytes)?));
    }
    Ok(entries)
}
