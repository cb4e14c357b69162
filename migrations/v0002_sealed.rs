//! Version 2: every record is sealed.
//!
//! In a version 1 store values had a checksum and were legible, users and histories lay at their
//! rows, and the log named what it was about. Changes: every user gets keys; users, histories and
//! additions that wait are sealed under them; everything else is sealed under the key of the
//! generation. An erasure that waits is carried out as if it were accepted now: what it names is
//! left out, and its log entry names by hashes. Idempotency keys are hashed once more, under a key.

use std::collections::HashSet;

use crate::batch::WriteBatch;
use crate::codec;
use crate::database::Database;
use crate::error::StoreError;
use crate::generation::NextGeneration;
use crate::index::Index;
use crate::keys::{self, row_of};
use crate::position::LogPosition;
use crate::records::{IdempotencyRecord, StoredInteraction, unpack_history};
use crate::stage::Stage;
use recant_types::{
    ErasureId, ErasureRecord, ErasureTarget, Event, FeedbackType, Interaction, ItemId, UnixMillis,
    UserId,
};
use serde::Deserialize;

/// Users that are sealed as one write.
const USERS_PER_WRITE: usize = 4_096;

/// Seals the records of a version 1 database; there is nothing to do without one.
pub(crate) fn migrate(
    before: Option<&Database>,
    next: &NextGeneration<'_>,
) -> Result<(), StoreError> {
    let Some(before) = before else {
        return Ok(());
    };
    let mut migration = Migration {
        before,
        next,
        index: Index::default(),
    };
    migration.seal_what_is_no_persons()?;
    migration.seal_users()?;
    migration.seal_log()
}

struct Migration<'a> {
    before: &'a Database,
    next: &'a NextGeneration<'a>,
    index: Index,
}

type Payloads = Vec<(Vec<u8>, Vec<u8>)>;

impl Migration<'_> {
    /// The keys and payloads of a kind, ascending.
    fn payloads(&self, kind: u8) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> {
        self.before.scan(&[kind]).map(|record| {
            let (key, value) = record?;
            let payload = codec::verify_checksum(&key, &value)?.to_vec();
            Ok((key.to_vec(), payload))
        })
    }

    fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        match self.before.get(key)? {
            Some(value) => codec::read_u64(codec::verify_checksum(key, &value)?),
            None => Ok(0),
        }
    }

    fn write(
        &mut self,
        erasures: u64,
        fill: impl FnOnce(&mut Stage<'_>) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (database, codec) = (self.next.database(), self.next.codec());
        let hasher = self.next.hasher();
        let first = LogPosition(1);
        let mut stage = Stage::new(database, codec, hasher, &mut self.index, first, erasures);
        fill(&mut stage)?;
        let staged = stage.finish();
        database.apply(staged.batch)?;
        Ok(staged.erasures)
    }

    fn seal_what_is_no_persons(&mut self) -> Result<(), StoreError> {
        for kind in [keys::META, keys::TENSOR, keys::ERASURE] {
            for record in self.payloads(kind) {
                let (key, payload) = record?;
                if key != keys::SCHEMA {
                    self.next.put(key, &payload)?;
                }
            }
        }
        for record in self.payloads(keys::IDEMPOTENCY) {
            let (key, payload) = record?;
            self.seal_idempotency(&key, &payload)?;
        }
        let items: Payloads = self.payloads(keys::ITEM).collect::<Result<_, _>>()?;
        self.write(0, |stage| {
            let mut batch = WriteBatch::default();
            for (key, payload) in items {
                batch.put_item(row_of(&key)?, &codec::from_json(&payload)?);
            }
            stage.add(batch).map(|_| ())
        })
        .map(|_| ())
    }

    fn seal_idempotency(&self, key: &[u8], payload: &[u8]) -> Result<(), StoreError> {
        let digest = key.get(1..).and_then(|digest| digest.try_into().ok());
        let digest = digest.ok_or_else(|| StoreError::damaged("a key is cut off"))?;
        let mut used: IdempotencyRecord = codec::from_json(payload)?;
        used.request = self.next.hasher().digest(&used.request);
        let key = keys::idempotency(&self.next.hasher().digest(&digest));
        self.next.put(key, &codec::to_json(&used))
    }

    fn seal_users(&mut self) -> Result<(), StoreError> {
        let users: Payloads = self.payloads(keys::USER).collect::<Result<_, _>>()?;
        for users in users.chunks(USERS_PER_WRITE) {
            self.next.codec().ring().ready(2 * users.len())?;
            let mut batch = WriteBatch::default();
            for (key, payload) in users {
                let row = row_of(key)?;
                batch.put_user(row, &parse_user(payload)?);
                batch.put_history(row, &self.history(key)?);
            }
            self.write(0, |stage| stage.add(batch).map(|_| ()))?;
        }
        Ok(())
    }

    fn history(&self, user_key: &[u8]) -> Result<Vec<StoredInteraction>, StoreError> {
        let mut prefix = user_key.to_vec();
        prefix[0] = keys::HISTORY;
        let mut held = Vec::new();
        for record in self.before.scan(&prefix) {
            let (key, value) = record?;
            unpack_history(codec::verify_checksum(&key, &value)?, &mut held)?;
        }
        Ok(held)
    }

    fn seal_log(&mut self) -> Result<(), StoreError> {
        let entries = self.entries()?;
        let applied = self.counter(&keys::APPLIED)?;
        let waiting: HashSet<ErasureId> = entries
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Erase { id, .. } => Some(*id),
                Event::Add(_) => None,
            })
            .collect();
        let mut erasures = 0;
        for record in self.payloads(keys::ERASURE) {
            let record: ErasureRecord = codec::from_json(&record?.1)?;
            erasures += u64::from(!waiting.contains(&record.id));
        }
        for (position, event) in entries {
            erasures = self.write(erasures, |stage| {
                stage.take_over_entry(position, event, position.0 <= applied)
            })?;
        }
        self.next
            .put(keys::ERASURES.to_vec(), &erasures.to_le_bytes())
    }

    /// The log: chunks of one position belong together.
    fn entries(&self) -> Result<Vec<(LogPosition, Event)>, StoreError> {
        let mut entries: Vec<(LogPosition, Vec<u8>)> = Vec::new();
        for record in self.payloads(keys::LOG) {
            let (key, payload) = record?;
            let (position, _) =
                keys::log_parts(&key).ok_or_else(|| StoreError::damaged("a key is cut off"))?;
            match entries.last_mut() {
                Some((last, bytes)) if *last == position => bytes.extend(payload),
                _ => entries.push((position, payload)),
            }
        }
        let entries = entries.into_iter();
        entries
            .map(|(position, bytes)| {
                let event: StoredEvent = codec::from_postcard(&bytes)?;
                Ok((position, event.into()))
            })
            .collect()
    }
}

/// A log entry as version 1 wrote it: the fields and variants stand in this order in its bytes.
#[derive(Deserialize)]
enum StoredEvent {
    Add(Vec<StoredAddition>),
    Erase {
        id: ErasureId,
        accepted_at: UnixMillis,
        target: StoredTarget,
    },
}

/// An interaction of an addition as version 1 wrote it.
#[derive(Deserialize)]
struct StoredAddition {
    user: UserId,
    item: ItemId,
    weight: f32,
    timestamp: Option<i64>,
}

/// What an erasure named, as version 1 wrote it.
#[derive(Deserialize)]
enum StoredTarget {
    Pairs(Vec<(UserId, ItemId)>),
    User(UserId),
    Item(ItemId),
}

impl From<StoredEvent> for Event {
    fn from(stored: StoredEvent) -> Self {
        match stored {
            StoredEvent::Add(interactions) => {
                Self::Add(interactions.into_iter().map(Interaction::from).collect())
            }
            StoredEvent::Erase {
                id,
                accepted_at,
                target,
            } => Self::Erase {
                id,
                accepted_at,
                target: target.into(),
            },
        }
    }
}

impl From<StoredAddition> for Interaction {
    fn from(stored: StoredAddition) -> Self {
        Self {
            user: stored.user,
            item: stored.item,
            feedback: FeedbackType::default(),
            weight: stored.weight,
            timestamp: stored.timestamp,
        }
    }
}

impl From<StoredTarget> for ErasureTarget {
    fn from(stored: StoredTarget) -> Self {
        match stored {
            StoredTarget::Pairs(pairs) => Self::Pairs(pairs),
            StoredTarget::User(user) => Self::User(user),
            StoredTarget::Item(item) => Self::Item(item),
        }
    }
}

fn parse_user(payload: &[u8]) -> Result<UserId, StoreError> {
    std::str::from_utf8(payload)
        .ok()
        .and_then(|text| UserId::new(text).ok())
        .ok_or_else(|| StoreError::damaged("a user id is not readable"))
}
