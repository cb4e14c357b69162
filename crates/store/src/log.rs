//! The durable log: what was accepted, in the one order in which it will be applied.
//!
//! Append: [`WriteBatch::append`](super::batch::WriteBatch::append) within a commit. Read:
//! [`Store::read_from`](super::Store::read_from). Acknowledge:
//! [`WriteBatch::trim_log`](super::batch::WriteBatch::trim_log), in the commit that holds what the
//! entries led to. The rest of the program knows the log by these three.
//!
//! An addition lies in parts, one or more a user, each under that user's key; so an erasure takes
//! what it names out of the log, too. An erasure names by keyed hashes alone.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Codec, PAYLOAD_BYTES_MAX};
use crate::current::open_current;
use crate::database::Database;
use crate::error::StoreError;
use crate::hash::Named;
use crate::keys;
use crate::position::LogPosition;
use crate::records::{QueuedRecord, QueuedRow};
use recant_types::{ErasureId, FeedbackType, Interaction, UnixMillis, UserId};

/// Bytes of a queued row besides its item and of a queued record besides its rows, at most.
const ROW_BYTES_MAX: usize = 3 + 5 + 4 + 11 + 1;
const RECORD_BYTES_MAX: usize = 300;

/// An entry as it is read: what is left of what was appended.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Interactions to learn; those that were erased since are gone from it.
    Add(Vec<Interaction>),
    /// An erasure, by the hashes of what it names.
    Erase(ErasureEntry),
}

/// An erasure in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErasureEntry {
    /// The id the caller was given.
    pub id: ErasureId,
    /// When the request was accepted.
    pub accepted_at: UnixMillis,
    /// What it names.
    pub named: Named,
}

impl ErasureEntry {
    /// The payloads that the entry is stored in; at least one, none longer than a value may be.
    pub(super) fn to_parts(&self) -> Vec<Vec<u8>> {
        let bytes = codec::to_postcard(self);
        bytes
            .chunks(PAYLOAD_BYTES_MAX)
            .map(<[u8]>::to_vec)
            .collect()
    }
}

/// What one user did in an addition, cut so that every record fits into a value.
pub(super) fn queued_records(
    user: &UserId,
    backup: u32,
    rows: Vec<QueuedRow>,
) -> Vec<QueuedRecord> {
    let mut records = Vec::new();
    let mut room = 0;
    for row in rows {
        let bytes = row.item.expose().len() + ROW_BYTES_MAX;
        if bytes > room {
            room = PAYLOAD_BYTES_MAX - RECORD_BYTES_MAX;
            records.push(QueuedRecord {
                user: user.clone(),
                backup,
                rows: Vec::new(),
            });
        }
        room -= bytes;
        if let Some(record) = records.last_mut() {
            record.rows.push(row);
        }
    }
    records
}

/// The parts of the entry that is being read.
#[derive(Default)]
struct Parts {
    queued: Vec<(u16, QueuedRow, UserId)>,
    erasure: Vec<u8>,
}

impl Parts {
    /// The entry that they are; `types` are the types of feedback by number.
    fn finish(mut self, types: &[FeedbackType]) -> Result<Entry, StoreError> {
        if !self.erasure.is_empty() {
            return codec::from_postcard(&self.erasure).map(Entry::Erase);
        }
        self.queued.sort_by_key(|(index, ..)| *index);
        let interactions = self.queued.into_iter().map(|(_, row, user)| {
            let feedback = types.get(usize::from(row.feedback.0)).cloned();
            let unknown = || StoreError::damaged("there is no such type of feedback");
            Ok(Interaction {
                user,
                item: row.item,
                feedback: feedback.ok_or_else(unknown)?,
                weight: row.weight,
                timestamp: row.timestamp,
            })
        });
        interactions.collect::<Result<_, _>>().map(Entry::Add)
    }

    fn take(&mut self, personal: bool, payload: &[u8]) -> Result<(), StoreError> {
        if !personal {
            self.erasure.extend_from_slice(payload);
            return Ok(());
        }
        let record = QueuedRecord::unpack(payload)?;
        let user = record.user;
        let rows = record.rows.into_iter();
        self.queued
            .extend(rows.map(|row| (row.index, row, user.clone())));
        Ok(())
    }
}

/// Up to `limit` entries at positions in `range`, in order. A position whose entry lost everything to
/// erasures is passed over. `types` are the types of feedback by number.
pub(super) fn read_from(
    database: &Database,
    codec: &Codec,
    types: &[FeedbackType],
    range: RangeInclusive<LogPosition>,
    limit: usize,
) -> Result<Vec<(LogPosition, Entry)>, StoreError> {
    let mut entries = Vec::new();
    let mut reading: Option<(LogPosition, Parts)> = None;
    for record in database.scan_from(keys::log(*range.start()), keys::LOG) {
        let (key, value) = record?;
        let (position, _) =
            keys::log_parts(&key).ok_or_else(|| StoreError::damaged("a log key is cut off"))?;
        if position > *range.end() {
            break;
        }
        if let Some((finished, parts)) = reading.take_if(|(current, _)| *current != position) {
            entries.push((finished, parts.finish(types)?));
        }
        if entries.len() == limit {
            return Ok(entries);
        }
        let Some((value, payload)) = open_current(database, codec, &key, &value)? else {
            continue;
        };
        let (_, parts) = reading.get_or_insert_with(|| (position, Parts::default()));
        parts.take(codec.is_personal(&value)?, &payload)?;
    }
    if let Some((position, parts)) = reading {
        entries.push((position, parts.finish(types)?));
    }
    entries.truncate(limit);
    Ok(entries)
}
