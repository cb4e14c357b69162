//! What is to be written, all of it or nothing.

use crate::outbox::{OutboxEndpoint, OutboxRecord};
use crate::position::LogPosition;
use crate::records::{ItemRecord, ModelHeader, StoredInteraction, pack_row};
use crate::request::{self, Append, Idempotency, RequestBatch, RequestChange};
use crate::tensor::Tensor;
use crate::{codec, keys};
use recant_receipt::{ChainHead, Node};
use recant_types::{
    Commitment, ErasureId, ErasureRecord, ErasureStatus, Event, FeedbackType, ItemDescription,
    ItemId, PersonPatch, PersonProperties, UserId,
};

/// One change of the database.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Put {
        key: Vec<u8>,
        payload: Vec<u8>,
    },
    Remove {
        key: Vec<u8>,
    },
    /// Removes every key with the prefix that the database holds.
    RemoveAll {
        prefix: Vec<u8>,
    },
    PutUser {
        row: u32,
        id: UserId,
    },
    RemoveUser {
        row: u32,
    },
    PutHistory {
        row: u32,
        held: Vec<StoredInteraction>,
    },
    /// The user's row of the model, which stands for the log up to `known`.
    PutUserFactors {
        row: u32,
        values: Vec<f32>,
        known: LogPosition,
    },
    /// Seals everything of a user anew and destroys the key before.
    RenewKey {
        row: u32,
    },
    PutItem {
        row: u32,
        item: ItemRecord,
    },
    RemoveItem {
        row: u32,
    },
    /// Gives numbers to types of feedback that have none yet.
    NameFeedbackTypes(Vec<FeedbackType>),
    /// What a caller asks for.
    Request(RequestChange),
    /// Removes the log entries up to this one.
    TrimLog(LogPosition),
    /// Removes the mark of a log that stores share.
    ForgetMark,
}

/// Changes that become durable together. Later ones win over earlier ones.
#[derive(Debug, Clone, Default)]
pub struct WriteBatch {
    pub(super) changes: Vec<Change>,
    pub(super) appends: Vec<Append>,
    /// Whose restrictions end.
    pub(super) lifts: Vec<UserId>,
    /// The log position that the changes know of, when they stand for one.
    pub(super) applied: Option<LogPosition>,
}

impl WriteBatch {
    fn put(&mut self, key: Vec<u8>, payload: Vec<u8>) {
        self.changes.push(Change::Put { key, payload });
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.changes.push(Change::Remove { key });
    }

    fn request(&mut self, change: RequestChange) {
        self.changes.push(Change::Request(change));
    }

    /// Gives the row to a user. Whoever had it before is removed.
    pub fn put_user(&mut self, row: u32, id: &UserId) {
        let id = id.clone();
        self.changes.push(Change::PutUser { row, id });
    }

    /// Removes the user at a row with what is held of what they did. Their key is destroyed; what
    /// waits in the log of them and what is said about them gets a new one.
    pub fn remove_user(&mut self, row: u32) {
        self.changes.push(Change::RemoveUser { row });
    }

    /// Writes an item.
    pub fn put_item(&mut self, row: u32, item: &ItemRecord) {
        let item = item.clone();
        self.changes.push(Change::PutItem { row, item });
    }

    /// Frees an item's row.
    pub fn remove_item(&mut self, row: u32) {
        self.changes.push(Change::RemoveItem { row });
    }

    /// Gives numbers to those of these types of feedback that have none yet, in this order.
    pub fn name_feedback_types(&mut self, types: Vec<FeedbackType>) {
        self.changes.push(Change::NameFeedbackTypes(types));
    }

    /// Writes what a catalogue says about an item, in place of what it said before. Whether the item
    /// has a row does not matter.
    pub fn put_description(&mut self, description: &ItemDescription) {
        self.request(RequestChange::Describe(description.clone()));
    }

    /// Removes what a catalogue says about an item.
    pub fn remove_description(&mut self, id: &ItemId) {
        self.request(RequestChange::RemoveDescription(id.clone()));
    }

    /// Says this about a person, in place of what was said before, whether or not anything else is
    /// held of them. What it takes away can be read no more, for everything of the person gets a new
    /// key then.
    pub fn put_properties(&mut self, id: &UserId, properties: &PersonProperties) {
        let (id, properties) = (id.clone(), properties.clone());
        self.request(RequestChange::PutProperties { id, properties });
    }

    /// Changes what is said about a person, as it is when this is committed: no change and no erasure
    /// comes between. What would be out of bounds changes nothing ([`crate::Committed::refused`]).
    pub fn patch_properties(&mut self, id: &UserId, patch: PersonPatch) {
        let id = id.clone();
        self.request(RequestChange::PatchProperties { id, patch });
    }

    /// Replaces the history of the user at a row, who must be there; an empty one is removed.
    pub fn put_history(&mut self, row: u32, held: &[StoredInteraction]) {
        let held = held.to_vec();
        self.changes.push(Change::PutHistory { row, held });
    }

    /// Seals everything of the user at a row under a new key and destroys the one before, so that
    /// nothing of what was replaced can be read any more.
    pub fn renew_key(&mut self, row: u32) {
        self.changes.push(Change::RenewKey { row });
    }

    /// Writes the row of the model of the user at a row, under that user's key; at most 8 180
    /// values. It stands for the log up to `known`: when an erasure after that names something of
    /// the user it is not written. It is gone with the next change of the user's key.
    pub fn put_user_factors(&mut self, row: u32, values: &[f32], known: LogPosition) {
        let values = values.to_vec();
        self.changes
            .push(Change::PutUserFactors { row, values, known });
    }

    /// Removes the users' rows of the model.
    pub fn remove_user_factors(&mut self) {
        let prefix = vec![keys::USER_FACTORS];
        self.changes.push(Change::RemoveAll { prefix });
    }

    /// Writes one row of a model's matrix; at most 4 090 values.
    pub fn put_tensor_row(&mut self, tensor: Tensor, row: u32, values: &[f64]) {
        self.put(keys::tensor_row(tensor, row), pack_row(values));
    }

    /// Removes one row of a model's matrix.
    pub fn remove_tensor_row(&mut self, tensor: Tensor, row: u32) {
        self.remove(keys::tensor_row(tensor, row));
    }

    /// Removes every row of a model's matrix.
    pub fn remove_tensor(&mut self, tensor: Tensor) {
        self.changes.push(Change::RemoveAll {
            prefix: keys::tensor(tensor),
        });
    }

    /// Writes the model's header.
    pub fn put_model_header(&mut self, header: &ModelHeader) {
        self.put(keys::MODEL.to_vec(), codec::to_json(header));
    }

    /// The records of this batch stand for the log up to `position`.
    pub fn set_applied(&mut self, position: LogPosition) {
        self.applied = Some(position);
        self.put(keys::APPLIED.to_vec(), position.0.to_le_bytes().to_vec());
    }

    /// Writes how far an erasure has come.
    pub fn put_erasure(&mut self, record: &ErasureRecord) {
        self.put(keys::erasure(record.id), codec::to_json(record));
    }

    /// Keeps the receipt of an erasure, in compact form. `head` is the chain that ends in it.
    pub fn put_receipt(&mut self, id: ErasureId, compact: &str, head: &ChainHead) {
        self.put(keys::receipt(id), compact.as_bytes().to_vec());
        self.put(keys::RECEIPT_HEAD.to_vec(), codec::to_json(head));
    }

    /// Keeps new nodes of the tree over receipts, by their numbers.
    pub fn put_receipt_nodes(&mut self, nodes: &[(u64, Node)]) {
        for (number, node) in nodes {
            self.put(keys::receipt_node(*number), node.to_vec());
        }
    }

    /// Notes that an endpoint is to be told of an erasure, and the last of its states that it needs to be
    /// told no more.
    pub fn put_outbox(
        &mut self,
        endpoint: OutboxEndpoint,
        id: ErasureId,
        done: Option<ErasureStatus>,
    ) {
        let record = OutboxRecord { done };
        self.put(keys::outbox_entry(endpoint, id), codec::to_json(&record));
    }

    /// An endpoint has been told everything of an erasure.
    pub fn remove_outbox(&mut self, endpoint: OutboxEndpoint, id: ErasureId) {
        self.remove(keys::outbox_entry(endpoint, id));
    }

    /// An endpoint is to be told nothing any more.
    pub fn remove_outbox_of(&mut self, endpoint: OutboxEndpoint) {
        let prefix = keys::outbox(endpoint);
        self.changes.push(Change::RemoveAll { prefix });
    }

    /// Acknowledges the log up to `position`: its entries are no longer needed.
    pub fn trim_log(&mut self, position: LogPosition) {
        self.changes.push(Change::TrimLog(position));
    }

    /// Appends an entry to the log. The record of an erasure is written with it.
    pub fn append(&mut self, event: Event) {
        self.appends.push(Append::new(event));
    }

    /// Appends an erasure with the commitment to what it names and the name of the API key that
    /// requests it; with `idempotency` unless the same key came with the same request before.
    pub fn append_erasure(
        &mut self,
        event: Event,
        commitment: Commitment,
        idempotency: Option<Idempotency>,
        requested_by: Option<String>,
    ) {
        let append = Append::erasure(event, commitment, idempotency, requested_by);
        self.appends.push(append);
    }

    /// Ends the restriction of the processing of what is held of a user: what was kept is appended to the
    /// log, to be learnt. Without a restriction nothing changes. Restrictions begin with
    /// [`Self::append_erasure`].
    pub fn lift_restriction(&mut self, user: &UserId) {
        self.lifts.push(user.clone());
    }

    /// The store follows no log that stores share any more.
    pub(super) fn forget_mark(&mut self) {
        self.changes.push(Change::ForgetMark);
    }

    /// Whether something in it is what callers ask for: where stores share a log, that is decided once
    /// and comes with an entry.
    pub(super) fn holds_requests(&self) -> bool {
        let is_request = |change: &Change| matches!(change, Change::Request(_));
        !self.appends.is_empty() || !self.lifts.is_empty() || self.changes.iter().any(is_request)
    }

    /// Whether something new is to be accepted, rather than something accepted carried on.
    pub(super) fn brings_something_new(&self) -> bool {
        let requested = self.changes.iter().filter_map(|change| match change {
            Change::Request(change) => Some(change),
            _ => None,
        });
        request::brings_something_new(&self.appends, &self.lifts, requested)
    }

    /// Whether an erasure, a restriction or the end of one is to be accepted.
    pub(super) fn is_a_request(&self) -> bool {
        let mut events = self.appends.iter().map(|append| &append.event);
        events.any(|event| matches!(event, Event::Erase { .. })) || !self.lifts.is_empty()
    }
}

impl From<RequestBatch> for WriteBatch {
    fn from(requests: RequestBatch) -> Self {
        Self {
            changes: requests.changes.into_iter().map(Change::Request).collect(),
            appends: requests.appends,
            lifts: requests.lifts,
            applied: None,
        }
    }
}
