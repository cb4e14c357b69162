//! The open store: reads, commits, and what is done with the whole of it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use recant_receipt::{ChainHead, Node, WebhookKey};
use recant_types::{
    ErasureFilter, ErasureId, ErasureRecord, ErasureStatus, FeedbackType, FeedbackTypes,
    Interaction, ItemDescription, ItemId, PersonProperties, PersonSummary, UserId,
};

use crate::backup::{self, BackupSummary};
use crate::batch::WriteBatch;
use crate::codec;
use crate::compaction::{self, Compaction, CompactionState, CompactorHandle};
use crate::content_digest::{self, ContentDigest, ContentSlice};
use crate::directory::Directory;
use crate::disk::free_bytes;
use crate::error::StoreError;
use crate::fact::Settlement;
use crate::files::{Files, Generation};
use crate::group::{Commit, Deciding, EntryCommit};
use crate::hash::IdHasher;
use crate::index::Person;
use crate::keyring::{self, MasterKeySource};
use crate::keys::{self, row_of};
use crate::log::{self, Entry};
use crate::log_entry::LogEntry;
use crate::log_key::LogKey;
use crate::migrations::{MIGRATIONS, bring_up_to_date};
use crate::observer::EntryObserver;
use crate::options::StoreOptions;
use crate::outbox::{self, OutboxEndpoint, OutboxRecord};
use crate::persons;
use crate::position::LogPosition;
use crate::receipt_keys::ReceiptKeys;
use crate::records::{
    ItemRecord, ModelHeader, StoredInteraction, UserRecord, unpack_history, unpack_row,
    unpack_values,
};
use crate::request::RequestBatch;
use crate::seal::SecretKey;
use crate::sealer::Sealer;
use crate::shared::Shared;
use crate::sync::Syncs;
use crate::tensor::Tensor;
use crate::transfer::{self, Exported};
use crate::writer::WriterHandle;
use zeroize::Zeroizing;

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

    /// An error once nothing can be committed any more, because the thread that writes has ended: only a new
    /// process opens the store again.
    pub fn check_open(&self) -> Result<(), StoreError> {
        if self.writer.is_running() {
            Ok(())
        } else {
            Err(StoreError::Closed)
        }
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
    ///
    /// A store that follows a log which stores share refuses what callers ask for
    /// ([`StoreError::BelongsToCluster`]): that comes with an entry ([`Self::commit_entry`]). What the
    /// worker writes, histories and the model, it takes.
    pub fn commit(&self, batch: impl Into<WriteBatch>) -> Commit {
        self.writer.commit(batch.into())
    }

    /// What each of these requests comes to, in this order and after everything that was committed so far.
    /// Nothing is changed: a request is accepted once what was decided is committed, here or elsewhere.
    /// When anything else that takes a position is committed first, it has to be decided anew.
    pub fn decide(&self, requests: Vec<RequestBatch>) -> Deciding {
        self.writer.decide(requests)
    }

    /// Does what an entry of a shared log says, all of it at once and as it was decided, whatever this store
    /// would have decided itself: its tombstones, its clock and the room on its disk do not count. The
    /// answer has one for each request.
    ///
    /// With it the entry's mark is durable, and then, together with the end of the keys of whom it erases,
    /// its key in place of the one before. An entry that was applied already, by its mark, is answered as
    /// it was then, and its key put into the ring if it is not there yet; so whoever got an error may
    /// hand the same entry over again. Refused as a whole is one whose positions are not those that come
    /// next here, or whose key is of an epoch before that of the ring.
    pub fn commit_entry(&self, entry: LogEntry) -> EntryCommit {
        self.writer.commit_entry(entry)
    }

    /// Whether there is nothing in it: no data, no model, and no trace of a request. Cost: a look at every item.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        let has_persons = !self.shared.index().persons.is_empty();
        let has_log = *self.shared.log.borrow() != LogPosition::default();
        Ok(!has_persons
            && !has_log
            && self.model_header()?.is_none()
            && self.items()?.is_empty()
            && self.descriptions()?.is_empty())
    }

    /// Begins another life of this directory, and says which: a larger number than any life before had, also
    /// one of a copy that was made before. Durable on return; blocks until then.
    pub fn begin_life(&self) -> Result<u64, StoreError> {
        self.commit(WriteBatch::default()).wait()?;
        Ok(self.shared.watermark().commit)
    }

    /// Has `observer`, and nobody else any more, told what entries of the shared log bring from now on.
    pub fn observe_entries(&self, observer: Arc<dyn EntryObserver>) {
        self.shared.observe(observer);
    }

    /// The mark of the last entry of the shared log that was applied; `None` in a store that follows none.
    pub fn mark(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(&keys::MARK)
    }

    /// The key of the shared log, as the key ring has it; `None` in a store that follows none.
    ///
    /// It is the one that came with the mark, or after a crash one before that, of a lower epoch, perhaps of an
    /// earlier series. The mark says which there should be: whoever reads it moves the key on with
    /// [`Self::advance_log_key`] before the next entry is read.
    pub fn log_key(&self) -> Result<Option<LogKey>, StoreError> {
        self.shared.files.ring.log_key()
    }

    /// The key that the next series of keys of the shared log is to begin with; `None` when none is kept.
    pub fn log_key_to_come(&self) -> Result<Option<Zeroizing<[u8; 32]>>, StoreError> {
        let kept = self.shared.files.ring.log_key_to_come()?;
        Ok(kept.map(|key| Zeroizing::new(*key.expose())))
    }

    /// Keeps a key that the next series of keys of the shared log is to begin with, in place of one that was kept
    /// for it before, until a key of that series is put in place of the one in use. Blocks until it is durable. No
    /// commit of an entry that begins a series may be under way.
    pub fn keep_log_key_to_come(&self, key: Zeroizing<[u8; 32]>) -> Result<(), StoreError> {
        if self.mark()?.is_none() {
            return Err(StoreError::FollowsNoLog);
        }
        let ring = &self.shared.files.ring;
        ring.keep_log_key_to_come(&SecretKey::from_bytes(key))
    }

    /// Puts a later key of the shared log in place of the one in the ring, which can be read no more on
    /// return; one of another series also in place of what was kept for that. Blocks until it is durable. No commit of an entry may be under way.
    pub fn advance_log_key(&self, key: &LogKey) -> Result<(), StoreError> {
        if self.mark()?.is_none() {
            return Err(StoreError::FollowsNoLog);
        }
        let ring = &self.shared.files.ring;
        let (held, given) = (ring.log_key()?.map(|held| held.epoch()), key.epoch());
        if let Some(held) = held.filter(|held| *held > given) {
            return Err(StoreError::LogKeyWentBack { held, given });
        }
        ring.put_log_key(key)
    }

    /// Refuses a store that follows a log which stores share, for whoever would change what it holds by
    /// itself.
    pub fn check_single(&self) -> Result<(), StoreError> {
        if self.shared.index().follows_log {
            Err(StoreError::BelongsToCluster)
        } else {
            Ok(())
        }
    }

    /// Makes a store by itself of one that followed a log which stores share: the mark is forgotten, the
    /// log's key destroyed, and what it holds stays. Blocks until that is durable. It cannot be let in
    /// again as it is then; no entry may be under way.
    pub fn leave_cluster(&self) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        batch.forget_mark();
        self.writer.commit(batch).wait()?;
        // A key without a mark, if this is interrupted, is destroyed by the next opening.
        self.shared.files.ring.destroy_log_key()
    }

    /// Writes everything that the store holds behind one entry of the log it follows, for
    /// [`import_state`](crate::import_state) on another node: which entry that was is in the answer, and
    /// the entries after it are not in. Blocks until then; commits and reads go on meanwhile, but for a
    /// moment at the end.
    ///
    /// What is written holds ids, the hash key and the log's key in the clear: it must go to nobody but
    /// another node of the cluster, over a connection that is sealed and on which both have shown who
    /// they are. A slow receiver keeps nobody waiting but the caller.
    pub fn export_state(&self, to: impl std::io::Write) -> Result<Exported, StoreError> {
        transfer::export(&self.shared, &self.writer, to)
    }

    /// What the store holds, as a number: equal in stores that hold the same and have the same hash key,
    /// whatever their workers and compactions have done so far, and another in a store that lacks something.
    ///
    /// Reads all of the part, so it takes as long as that (of everything, seconds for a few million
    /// interactions), and nothing is committed meanwhile; reads go on. Erasures' records, receipts and the
    /// model are not in it.
    pub fn content_digest(&self, slice: ContentSlice) -> Result<ContentDigest, StoreError> {
        content_digest::content_digest(&self.shared, &self.writer, slice)
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
        self.shared.read(Generation::applied)
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

    /// What is kept of a person whose processing is restricted, as a history would hold it; nothing of
    /// anybody else.
    pub fn kept(&self, id: &UserId) -> Result<Vec<Interaction>, StoreError> {
        persons::kept_of(&self.shared, id)
    }

    /// Whether the processing of what is held of a person, or would be, is restricted.
    pub fn is_restricted(&self, id: &UserId) -> bool {
        let hash = self.hasher().user(id);
        self.shared.index().restricted.contains(&hash)
    }

    /// How many people's processing is restricted, known or not.
    pub fn restricted_count(&self) -> usize {
        self.shared.index().restricted.len()
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
        self.shared.feedback(&self.shared.index())
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

    /// All receipts and settlements, which are one chain, in compact form and in no order.
    pub fn visit_receipts(&self, mut visit: impl FnMut(&str)) -> Result<(), StoreError> {
        for settlement in self.settlements()? {
            visit(&settlement.receipt);
        }
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

    /// What nodes that were away have settled, in the order of their receipts.
    pub fn settlements(&self) -> Result<Vec<Settlement>, StoreError> {
        let mut settlements = Vec::new();
        self.visit(&[keys::SETTLEMENT], |_, payload| {
            settlements.push(codec::from_json(payload)?);
            Ok(())
        })?;
        Ok(settlements)
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

    /// Seals texts for `purpose` that others keep, always under the same key.
    pub fn sealer(&self, purpose: &'static str) -> Result<Sealer, StoreError> {
        let root = outbox::root_key(&self.shared.files.ring)?;
        Ok(Sealer::new(&root, purpose))
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
