//! What is on the disk, and when it is safe.
//!
//! A store is a directory. Reads go to the database at once; every change is a
//! [`WriteBatch`] handed to [`Store::commit`], which answers when the change
//! survives a power cut. docs/store.md draws files and records.

pub mod batch;
mod codec;
mod database;
mod directory;
mod error;
pub(crate) mod fuzzing;
mod generation;
mod high_water;
pub mod import;
mod keys;
pub mod log;
mod migrations;
mod receipt_keys;
pub mod records;
mod shared;
mod stage;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::erasure::{ErasureRecord, ErasureStatus};
use crate::event::Event;
use crate::ids::{ErasureId, UserId};
use crate::receipt::ChainHead;

pub use error::StoreError;
pub use receipt_keys::{ReceiptKeys, published_receipt_keys};
pub use shared::StoreOptions;
pub use writer::Commit;

use batch::{Tensor, WriteBatch};
use database::Database;
use directory::Directory;
use high_water::HighWater;
use log::LogPosition;
use migrations::{MIGRATIONS, bring_up_to_date};
use records::{HeldInteraction, ItemRecord, ModelHeader, unpack_history, unpack_row};
use shared::Shared;
use writer::WriterHandle;

/// An open store; cloning shares it. The last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Arc<WriterHandle>,
}

impl Store {
    /// Opens the store in `path`, made or brought up to date if need be.
    ///
    /// Refuses a directory that another process uses, a store from the future, and a database
    /// that lacks commits that were acknowledged.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let directory = Directory::open(path)?;
        bring_up_to_date(&directory, options.cache_bytes, &MIGRATIONS)?;
        let high_water = HighWater::open(path, false)?;
        let shared = Arc::new(Shared::open(directory, options.clone())?);
        let writer = Arc::new(WriterHandle::start(Arc::clone(&shared), high_water)?);
        Ok(Self { shared, writer })
    }

    /// Commits a batch: whole and durable when the answer is good, or refused.
    pub fn commit(&self, batch: WriteBatch) -> Commit {
        self.writer.commit(batch)
    }

    /// Up to `limit` log entries from `from` on, in order.
    pub fn read_from(
        &self,
        from: LogPosition,
        limit: usize,
    ) -> Result<Vec<(LogPosition, Event)>, StoreError> {
        self.shared
            .read(|database| log::read_from(database, from, limit))
    }

    /// Follows the position of the last durable log entry.
    pub fn watch_log(&self) -> watch::Receiver<LogPosition> {
        self.shared.log.subscribe()
    }

    /// The log position that the stored interactions stand for.
    pub fn applied(&self) -> Result<LogPosition, StoreError> {
        let applied = self.get(&keys::APPLIED)?;
        applied.map_or(Ok(LogPosition::default()), |bytes| {
            codec::read_u64(&bytes).map(LogPosition)
        })
    }

    /// The header of the stored model, if there is one.
    pub fn model_header(&self) -> Result<Option<ModelHeader>, StoreError> {
        self.get(&keys::MODEL)?
            .map(|payload| codec::from_json(&payload))
            .transpose()
    }

    /// The user at `row`.
    pub fn user(&self, row: u32) -> Result<Option<UserId>, StoreError> {
        self.get(&keys::user(row))?
            .map(|payload| parse_user(&payload))
            .transpose()
    }

    /// Every user with their row, by row.
    pub fn users(&self) -> Result<Vec<(u32, UserId)>, StoreError> {
        let mut users = Vec::new();
        self.visit(&[keys::USER], |key, payload| {
            users.push((row_of(key)?, parse_user(payload)?));
            Ok(())
        })?;
        Ok(users)
    }

    /// The item at `row`.
    pub fn item(&self, row: u32) -> Result<Option<ItemRecord>, StoreError> {
        self.get(&keys::item(row))?
            .map(|payload| codec::from_json(&payload))
            .transpose()
    }

    /// Every item with its row, by row.
    pub fn items(&self) -> Result<Vec<(u32, ItemRecord)>, StoreError> {
        let mut items = Vec::new();
        self.visit(&[keys::ITEM], |key, payload| {
            items.push((row_of(key)?, codec::from_json(payload)?));
            Ok(())
        })?;
        Ok(items)
    }

    /// The history of the user at `row`, items ascending; empty when nothing is held.
    pub fn history(&self, row: u32) -> Result<Vec<HeldInteraction>, StoreError> {
        let mut held = Vec::new();
        self.visit(&keys::history(row), |_, payload| {
            unpack_history(payload, &mut held)
        })?;
        Ok(held)
    }

    /// Calls `visit` with every stored history and its row, by row.
    pub fn visit_histories(
        &self,
        mut visit: impl FnMut(u32, &[HeldInteraction]),
    ) -> Result<(), StoreError> {
        let mut held: Vec<HeldInteraction> = Vec::new();
        let mut current = None;
        self.visit(&[keys::HISTORY], |key, payload| {
            let (row, _) = keys::history_parts(key).ok_or_else(cut_key)?;
            if let Some(finished) = current.replace(row).filter(|current| *current != row) {
                visit(finished, &held);
                held.clear();
            }
            unpack_history(payload, &mut held)
        })?;
        if let Some(last) = current {
            visit(last, &held);
        }
        Ok(())
    }

    /// Calls `visit` with every stored row of a tensor, by row.
    pub fn visit_tensor(
        &self,
        tensor: Tensor,
        mut visit: impl FnMut(u32, Vec<f64>),
    ) -> Result<(), StoreError> {
        self.visit(&keys::tensor(tensor), |key, payload| {
            visit(row_of(key)?, unpack_row(payload)?);
            Ok(())
        })
    }

    /// The record of an erasure.
    pub fn erasure(&self, id: ErasureId) -> Result<Option<ErasureRecord>, StoreError> {
        self.get(&keys::erasure(id))?
            .map(|payload| codec::from_json(&payload))
            .transpose()
    }

    /// Up to `limit` erasures older than `before`, newest first, those with `status` alone when
    /// one is given.
    pub fn erasures(
        &self,
        status: Option<ErasureStatus>,
        before: Option<ErasureId>,
        limit: usize,
    ) -> Result<Vec<ErasureRecord>, StoreError> {
        let end = before.map_or_else(|| vec![keys::ERASURE + 1], keys::erasure);
        self.shared.read(|database| {
            let mut records = Vec::new();
            for entry in database.scan_back(end, keys::ERASURE) {
                if records.len() == limit {
                    break;
                }
                let (key, value) = entry?;
                let record: ErasureRecord = codec::from_json(codec::unwrap(&key, &value)?)?;
                if status.is_none_or(|status| record.status == status) {
                    records.push(record);
                }
            }
            Ok(records)
        })
    }

    /// The receipt of an erasure, in compact form.
    pub fn receipt(&self, id: ErasureId) -> Result<Option<String>, StoreError> {
        let compact = self.get(&keys::receipt(id))?.map(String::from_utf8);
        compact
            .transpose()
            .map_err(|_| StoreError::damaged("a receipt is not readable"))
    }

    /// The end of the chain of receipts.
    pub fn receipt_head(&self) -> Result<ChainHead, StoreError> {
        self.get(&keys::RECEIPT_HEAD)?
            .map_or(Ok(ChainHead::default()), |head| codec::from_json(&head))
    }

    /// The key that receipts are signed with, made when there is none yet, and the keys that are
    /// published for them.
    pub fn receipt_keys(&self) -> Result<ReceiptKeys, StoreError> {
        ReceiptKeys::open(self.shared.directory.path())
    }

    /// The number of the generation that is open.
    pub fn generation(&self) -> Result<u64, StoreError> {
        let current = self.shared.directory.current()?;
        current.ok_or_else(|| StoreError::damaged("there is no CURRENT"))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read(|database| {
            let value = database.get(key)?;
            value
                .map(|value| codec::unwrap(key, &value).map(<[u8]>::to_vec))
                .transpose()
        })
    }

    fn visit(
        &self,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.shared
            .read(|database| visit_records(database, prefix, visit))
    }
}

fn visit_records(
    database: &Database,
    prefix: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for record in database.scan(prefix) {
        let (key, value) = record?;
        visit(&key, codec::unwrap(&key, &value)?)?;
    }
    Ok(())
}

fn row_of(key: &[u8]) -> Result<u32, StoreError> {
    keys::row_at_end(key).ok_or_else(cut_key)
}

fn cut_key() -> StoreError {
    StoreError::damaged("a key is cut off")
}

fn parse_user(payload: &[u8]) -> Result<UserId, StoreError> {
    std::str::from_utf8(payload)
        .ok()
        .and_then(|text| UserId::new(text).ok())
        .ok_or_else(|| StoreError::damaged("a user id is not readable"))
}
