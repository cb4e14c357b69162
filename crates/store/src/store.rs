//! The open store: reads, commits, and what is done with the whole of it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use recant_receipt::{ChainHead, Node, WebhookKey};
use recant_types::{
    ErasureFilter, ErasureId, ErasureRecord, ErasureStatus, FeedbackType, FeedbackTypes,
    ItemDescription, ItemId, PersonProperties, PersonSummary, UserId,
};

use crate::backup::{self, BackupSummary};
use crate::batch::WriteBatch;
use crate::codec;
use crate::compaction::{self, Compaction, CompactionState, CompactorHandle};
use crate::directory::Directory;
use crate::disk::free_bytes;
use crate::error::StoreError;
use crate::files::{Files, Generation};
use crate::hash::IdHasher;
use crate::index::Person;
use crate::keyring::{self, MasterKeySource};
use crate::keys::{self, row_of};
use crate::log::{self, Entry};
use crate::migrations::{MIGRATIONS, bring_up_to_date};
use crate::options::StoreOptions;
use crate::outbox::{self, OutboxEndpoint, OutboxRecord};
use crate::persons;
use crate::position::LogPosition;
use crate::receipt_keys::ReceiptKeys;
use crate::records::{
    ItemRecord, ModelHeader, StoredInteraction, UserRecord, unpack_history, unpack_row,
    unpack_values,
};
use crate::shared::Shared;
use crate::sync::Syncs;
use crate::tensor::Tensor;
use crate::writer::{Commit, WriterHandle};

/// An open store; cloning shares it. The last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    /// Ends before the writer does.
    _compactor: Option<Arc<CompactorHandle>>,
    writer: Arc<WriterHandle>,
    shared: Arc<Shared>,
}

impl Store {
    /// Opens the store in `path`, made or brought up to date if need be.
    ///
    /// Refuses a directory that another process uses, a store from the future, a database that
    /// lacks commits that were acknowledged, and a master key that does not open the key ring.
    pub fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let files = Files::open(path, options)?;
        bring_up_to_date(&files, &MIGRATIONS).map_err(|error| files.opened_badly(error))?;
        let shared = Arc::new(Shared::open(files)?);
        let writer = Arc::new(WriterHandle::start(Arc::clone(&shared))?);
        shared.files.opened_well()?;
        let compactor = options.compaction.map(|schedule| {
            CompactorHandle::start(Arc::clone(&shared), Arc::clone(&writer), schedule)
        });
        Ok(Self {
            _compactor: compactor.transpose()?.map(Arc::new),
            writer,
            shared,
        })
    }

    /// Rewrites the live records into a new generation and removes the one before, overwritten with
    /// zeros. Blocks until then; commits and reads go on meanwhile.
    pub fn compact(&self) -> Result<Compaction, StoreError> {
        compaction::compact(&self.shared, &self.writer)
    }

    /// Writes a backup to `to`, which must not exist. Blocks until it is durable; commits and reads
    /// go on meanwhile.
    pub fn backup(&self, to: &Path) -> Result<BackupSummary, StoreError> {
        backup::backup(&self.shared, to)
    }

    /// When the last compaction was, and what awaits the next.
    pub fn compaction_state(&self) -> Result<CompactionState, StoreError> {
        compaction::state(&self.shared)
    }

    /// Refuses while the disk does not come back from a sync.
    pub fn check_syncs(&self) -> Result<(), StoreError> {
        self.shared.check_syncs()
    }

    /// How long a commit may take before its caller should give up waiting.
    pub fn sync_longest(&self) -> std::time::Duration {
        self.shared.files.options.sync_longest
    }

    /// Hashes ids as the log names them.
    pub fn hasher(&self) -> &IdHasher {
        &self.shared.files.hasher
    }

    /// Commits a batch: whole and durable when the answer is good, or refused.
    pub fn commit(&self, batch: WriteBatch) -> Commit {
        self.writer.commit(batch)
    }

    /// Up to `limit` durable log entries from `from` on, in order.
    pub fn read_from(
        &self,
        from: LogPosition,
        limit: usize,
    ) -> Result<Vec<(LogPosition, Entry)>, StoreError> {
        // The database shows entries of a commit that is under way, and may fail yet: its position
        // would be given to another one.
        let durable = *self.shared.log.borrow();
        self.shared.read(|open| {
            let types = self.feedback_types();
            log::read_from(&open.database, &open.codec, &types, from..=durable, limit)
        })
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
        self.read_person(row, |open, person| {
            let key = keys::user(person.pseudonym);
            let value = open
                .database
                .get(&key)?
                .ok_or_else(StoreError::missing_person)?;
            let record: UserRecord = codec::from_postcard(&open.codec.open(&key, &value)?)?;
            Ok(record.id)
        })
    }

    /// Every user with their row, by row.
    pub fn users(&self) -> Result<Vec<(u32, UserId)>, StoreError> {
        let mut users = Vec::new();
        self.shared.read(|open| {
            let _index = self.shared.index();
            visit_records(open, &[keys::USER], |_, payload| {
                let record: UserRecord = codec::from_postcard(payload)?;
                users.push((record.row, record.id));
                Ok(())
            })
        })?;
        users.sort_unstable_by_key(|(row, _)| *row);
        Ok(users)
    }

    /// What is held of a person, interactions or not; `None` when nothing is. What an accepted erasure
    /// names does not count. Reads the person's whole history.
    pub fn person(&self, id: &UserId) -> Result<Option<PersonSummary>, StoreError> {
        persons::person(&self.shared, id)
    }

    /// What is said about a person; empty when nothing is.
    pub fn properties(&self, id: &UserId) -> Result<PersonProperties, StoreError> {
        persons::properties_of(&self.shared, id)
    }

    /// Up to `limit` of the people of whom something is held, after `after` in the order of the bytes
    /// of their ids. Reads the histories of those it returns.
    pub fn persons(
        &self,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<PersonSummary>, StoreError> {
        persons::persons(&self.shared, after, limit)
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

    /// What a catalogue says about an item; `None` when it says nothing.
    pub fn description(&self, id: &ItemId) -> Result<Option<ItemDescription>, StoreError> {
        let hash = self.hasher().item(id);
        if let Some(payload) = self.get(&keys::description(hash))? {
            return codec::from_json(&payload).map(Some);
        }
        let row = self.shared.index().item(hash);
        let record = row.map_or(Ok(None), |row| self.item(row))?;
        Ok(record.and_then(|record| record.description()))
    }

    /// Everything that a catalogue says about items, in no order.
    pub fn descriptions(&self) -> Result<Vec<ItemDescription>, StoreError> {
        let mut descriptions: HashMap<ItemId, ItemDescription> = HashMap::new();
        self.visit(&[keys::DESCRIPTION], |_, payload| {
            let description: ItemDescription = codec::from_json(payload)?;
            descriptions.insert(description.id.clone(), description);
            Ok(())
        })?;
        // As earlier versions wrote them; a record of its own is newer.
        self.visit(&[keys::ITEM], |_, payload| {
            let record: ItemRecord = codec::from_json(payload)?;
            if let Some(description) = record.description() {
                descriptions.entry(record.id).or_insert(description);
            }
            Ok(())
        })?;
        Ok(descriptions.into_values().collect())
    }

    /// The types of feedback that this store has heard of, in the order of their numbers.
    pub fn feedback_types(&self) -> Vec<FeedbackType> {
        self.shared.index().feedback_types.clone()
    }

    /// The types of feedback that this store has heard of, with the rules that it was opened with.
    pub fn feedback(&self) -> Result<FeedbackTypes, StoreError> {
        let rules = &self.shared.files.options.feedback;
        Ok(FeedbackTypes::new(&self.feedback_types(), rules)?)
    }

    /// The history of the user at `row`, items and types of feedback ascending; empty when nothing is held.
    pub fn history(&self, row: u32) -> Result<Vec<StoredInteraction>, StoreError> {
        let held = self.read_person(row, |open, person| open.history(person.pseudonym))?;
        Ok(held.unwrap_or_default())
    }

    /// Calls `visit` with every stored history and its row, in no order. No commit goes on
    /// meanwhile.
    pub fn visit_histories(
        &self,
        mut visit: impl FnMut(u32, &[StoredInteraction]),
    ) -> Result<(), StoreError> {
        self.shared.read(|open| {
            // Kept meanwhile, so that no history is erased while it is read.
            let index = self.shared.index();
            let persons = index.persons.values();
            let rows: HashMap<_, _> = persons.map(|p| (p.pseudonym, p.row)).collect();
            let mut held: Vec<StoredInteraction> = Vec::new();
            let mut current = None;
            visit_records(open, &[keys::HISTORY], |key, payload| {
                let pseudonym = keys::pseudonym(key).ok_or_else(StoreError::cut_key)?;
                let row = rows.get(&pseudonym).copied().flatten();
                let row = row.ok_or_else(|| StoreError::damaged("a history without a user"))?;
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
        })
    }

    /// Calls `visit` with every stored row of the model that is a user's, and the user's row, in no
    /// order. No commit goes on meanwhile.
    pub fn visit_user_factors(
        &self,
        mut visit: impl FnMut(u32, Vec<f32>),
    ) -> Result<(), StoreError> {
        self.shared.read(|open| {
            let index = self.shared.index();
            let persons = index.persons.values();
            let rows: HashMap<_, _> = persons.map(|p| (p.pseudonym, p.row)).collect();
            visit_records(open, &[keys::USER_FACTORS], |key, payload| {
                let pseudonym = keys::pseudonym(key).ok_or_else(StoreError::cut_key)?;
                let row = rows.get(&pseudonym).copied().flatten();
                let row = row.ok_or_else(|| StoreError::damaged("a model row without a user"))?;
                visit(row, unpack_values(payload)?);
                Ok(())
            })
        })
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

    /// Up to `limit` of the erasures that `filter` means and that are older than `before`, newest
    /// first.
    pub fn erasures(
        &self,
        filter: &ErasureFilter,
        before: Option<ErasureId>,
        limit: usize,
    ) -> Result<Vec<ErasureRecord>, StoreError> {
        let end = before.map_or_else(|| vec![keys::ERASURE + 1], keys::erasure);
        self.shared.read(|open| {
            let mut records = Vec::new();
            for entry in open.database.scan_back(end, keys::ERASURE) {
                if records.len() == limit {
                    break;
                }
                let (key, value) = entry?;
                let record: ErasureRecord = codec::from_json(&open.codec.open(&key, &value)?)?;
                if filter.matches(&record) {
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

    /// All receipts, in compact form, in no order.
    pub fn visit_receipts(&self, mut visit: impl FnMut(&str)) -> Result<(), StoreError> {
        self.visit(&[keys::RECEIPT], |_, compact| {
            let compact = std::str::from_utf8(compact);
            visit(compact.map_err(|_| StoreError::damaged("a receipt is not readable"))?);
            Ok(())
        })
    }

    /// A node of the tree over receipts; `None` when it is not there.
    pub fn receipt_node(&self, number: u64) -> Result<Option<Node>, StoreError> {
        let node = self.get(&keys::receipt_node(number))?;
        let node = node.map(|node| Node::try_from(node.as_slice()));
        node.transpose()
            .map_err(|_| StoreError::damaged("a node of the tree over receipts has another length"))
    }

    /// The key that receipts are signed with, made when there is none yet, and the keys that are
    /// published for them.
    pub fn receipt_keys(&self) -> Result<ReceiptKeys, StoreError> {
        ReceiptKeys::open(&self.shared.files)
    }

    /// What an endpoint has still to be told: erasures, oldest first, each with the last of its states that
    /// the endpoint needs to be told no more.
    pub fn outbox(
        &self,
        endpoint: OutboxEndpoint,
    ) -> Result<Vec<(ErasureId, Option<ErasureStatus>)>, StoreError> {
        let mut waiting = Vec::new();
        self.visit(&keys::outbox(endpoint), |key, payload| {
            let (_, id) = keys::outbox_parts(key).ok_or_else(StoreError::cut_key)?;
            let record: OutboxRecord = codec::from_json(payload)?;
            waiting.push((id, record.done));
            Ok(())
        })?;
        Ok(waiting)
    }

    /// Every endpoint that has still to be told something, and of how many erasures.
    pub fn outbox_endpoints(&self) -> Result<BTreeMap<OutboxEndpoint, u64>, StoreError> {
        let mut endpoints = BTreeMap::new();
        self.visit(&[keys::OUTBOX], |key, _| {
            let (endpoint, _) = keys::outbox_parts(key).ok_or_else(StoreError::cut_key)?;
            *endpoints.entry(endpoint).or_default() += 1;
            Ok(())
        })?;
        Ok(endpoints)
    }

    /// The key that webhooks to the endpoint of this name are signed with, always the same.
    pub fn webhook_key(&self, name: &str) -> Result<WebhookKey, StoreError> {
        let root = outbox::root_key(&self.shared.files.ring)?;
        Ok(WebhookKey::of_endpoint(root.expose(), name))
    }

    /// Room left on the disk of the data directory, in bytes.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        free_bytes(&self.shared.path())
    }

    /// The number of the generation that is open.
    pub fn generation(&self) -> Result<u64, StoreError> {
        self.shared.files.current()
    }

    /// Reads records of the person at `row`, who stays the same meanwhile; `None` when there is
    /// nobody.
    fn read_person<T>(
        &self,
        row: u32,
        read: impl FnOnce(&Generation, &Person) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.shared.read(|open| {
            let index = self.shared.index();
            let person = index.at_row(row);
            person.map(|(_, person)| read(open, person)).transpose()
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read(|open| {
            let value = open.database.get(key)?;
            value.map(|value| open.codec.open(key, &value)).transpose()
        })
    }

    fn visit(
        &self,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.shared.read(|open| visit_records(open, prefix, visit))
    }
}

/// Wraps every key of the store in `path` anew under another master key. The store must not be open.
pub fn rotate_master_key(
    path: &Path,
    options: &StoreOptions,
    to: &MasterKeySource,
) -> Result<(), StoreError> {
    let syncs = Syncs::new(options.sync_observer.clone());
    let _locked = Directory::open(path, &syncs)?;
    keyring::rotate(path, &options.master_key, to, &syncs)
}

fn visit_records(
    open: &Generation,
    prefix: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for record in open.database.scan(prefix) {
        let (key, value) = record?;
        visit(&key, &open.codec.open(&key, &value)?)?;
    }
    Ok(())
}
