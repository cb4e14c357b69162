//! The keys of every record. docs/store.md draws them.

use crate::error::StoreError;
use crate::hash::KeyedHash;
use crate::outbox::OutboxEndpoint;
use crate::position::LogPosition;
use crate::tensor::Tensor;
use recant_types::ErasureId;

/// Facts about the whole store.
pub(crate) const META: u8 = b'm';
/// Users by pseudonym.
pub(crate) const USER: u8 = b'u';
/// Items by row.
pub(crate) const ITEM: u8 = b'i';
/// Descriptions of items by keyed hash.
pub(crate) const DESCRIPTION: u8 = b'd';
/// Histories by pseudonym and chunk.
pub(crate) const HISTORY: u8 = b'h';
/// Properties of persons by pseudonym.
pub(crate) const PROPERTIES: u8 = b'p';
/// What is kept of restricted persons and not processed, by pseudonym and number.
pub(crate) const KEPT: u8 = b'w';
/// Whose processing is restricted, or was, by keyed hash.
pub(crate) const RESTRICTION: u8 = b'b';
/// A user's row of the model by pseudonym.
pub(crate) const USER_FACTORS: u8 = b'f';
/// Rows of the model's tensors.
pub(crate) const TENSOR: u8 = b't';
/// Log entries by position and part.
pub(crate) const LOG: u8 = b'l';
/// Erasure records by id.
pub(crate) const ERASURE: u8 = b'e';
/// Idempotency records by digest.
pub(crate) const IDEMPOTENCY: u8 = b'k';
/// Receipts by the id of the erasure.
pub(crate) const RECEIPT: u8 = b'r';
/// Nodes of the tree over receipts by number.
pub(crate) const RECEIPT_NODE: u8 = b'n';
/// What nodes that were away have settled, by the number of the receipt.
pub(crate) const SETTLEMENT: u8 = b's';
/// What endpoints of webhooks have still to be told, by endpoint and id of the erasure.
pub(crate) const OUTBOX: u8 = b'o';
/// Tombstones by keyed hash.
pub(crate) const TOMBSTONE: u8 = b'x';

/// The schema version: u32. The one value that is not sealed.
pub(crate) const SCHEMA: [u8; 2] = [META, b's'];
/// The number of the last commit: u64.
pub(crate) const COMMIT: [u8; 2] = [META, b'c'];
/// The position up to which the log has been applied: u64.
pub(crate) const APPLIED: [u8; 2] = [META, b'a'];
/// The position of the next log entry: u64. Kept because applied entries are trimmed.
pub(crate) const NEXT_POSITION: [u8; 2] = [META, b'n'];
/// How many erasures were accepted: u64.
pub(crate) const ERASURES: [u8; 2] = [META, b'e'];
/// Where the store stood when the generation was begun.
pub(crate) const BEGUN: [u8; 2] = [META, b'g'];
/// The model's header.
pub(crate) const MODEL: [u8; 2] = [META, b'm'];
/// The names of the types of feedback, in the order of their numbers.
pub(crate) const FEEDBACK_TYPES: [u8; 2] = [META, b'f'];
/// The end of the chain of receipts.
pub(crate) const RECEIPT_HEAD: [u8; 2] = [META, b'r'];

/// Up to where a log that stores share was applied, in the words of whoever reads that log; absent in a
/// store by itself.
pub(crate) const MARK: [u8; 2] = [META, b'x'];

/// The random name that a person's records go by. It changes whenever their key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pseudonym(pub [u8; 16]);

impl Pseudonym {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }
}

fn with(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(kind);
    key.extend_from_slice(rest);
    key
}

fn with_number(mut key: Vec<u8>, number: u16) -> Vec<u8> {
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The key of a user.
pub(crate) fn user(pseudonym: Pseudonym) -> Vec<u8> {
    with(USER, &pseudonym.0)
}

/// The item at a row.
pub(crate) fn item(row: u32) -> Vec<u8> {
    with(ITEM, &row.to_be_bytes())
}

/// The description of the item with this hash.
pub(crate) fn description(hash: KeyedHash) -> Vec<u8> {
    with(DESCRIPTION, &hash.0)
}

/// The properties of a person.
pub(crate) fn properties(pseudonym: Pseudonym) -> Vec<u8> {
    with(PROPERTIES, &pseudonym.0)
}

/// The prefix of all chunks of a user's history.
pub(crate) fn history(pseudonym: Pseudonym) -> Vec<u8> {
    with(HISTORY, &pseudonym.0)
}

/// One chunk of a user's history.
pub(crate) fn history_chunk(pseudonym: Pseudonym, chunk: u16) -> Vec<u8> {
    with_number(history(pseudonym), chunk)
}

/// The prefix of all records of what is kept of a person and not processed.
pub(crate) fn kept_of(pseudonym: Pseudonym) -> Vec<u8> {
    with(KEPT, &pseudonym.0)
}

/// One of them.
pub(crate) fn kept(pseudonym: Pseudonym, number: u32) -> Vec<u8> {
    let mut key = kept_of(pseudonym);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The restriction of the person with this hash.
pub(crate) fn restriction(hash: KeyedHash) -> Vec<u8> {
    with(RESTRICTION, &hash.0)
}

/// A user's row of the model.
pub(crate) fn user_factors(pseudonym: Pseudonym) -> Vec<u8> {
    with(USER_FACTORS, &pseudonym.0)
}

/// The prefix of a tensor's rows.
pub(crate) fn tensor(tensor: Tensor) -> Vec<u8> {
    vec![TENSOR, tensor as u8]
}

/// One row of a tensor.
pub(crate) fn tensor_row(tensor: Tensor, row: u32) -> Vec<u8> {
    let mut key = vec![TENSOR, tensor as u8];
    key.extend_from_slice(&row.to_be_bytes());
    key
}

/// The prefix of all parts of a log entry.
pub(crate) fn log(position: LogPosition) -> Vec<u8> {
    with(LOG, &position.0.to_be_bytes())
}

/// One part of a log entry.
pub(crate) fn log_part(position: LogPosition, part: u16) -> Vec<u8> {
    with_number(log(position), part)
}

/// An erasure's record.
pub(crate) fn erasure(id: ErasureId) -> Vec<u8> {
    with(ERASURE, id.as_bytes())
}

/// The receipt of an erasure.
pub(crate) fn receipt(id: ErasureId) -> Vec<u8> {
    with(RECEIPT, id.as_bytes())
}

/// A node of the tree over receipts.
pub(crate) fn receipt_node(number: u64) -> Vec<u8> {
    with(RECEIPT_NODE, &number.to_be_bytes())
}

/// What a node that was away has settled, by the number of the receipt that says so.
pub(crate) fn settlement(sequence: u64) -> Vec<u8> {
    with(SETTLEMENT, &sequence.to_be_bytes())
}

/// The prefix of everything that an endpoint has still to be told.
pub(crate) fn outbox(endpoint: OutboxEndpoint) -> Vec<u8> {
    with(OUTBOX, &endpoint.0)
}

/// What an endpoint has still to be told of an erasure.
pub(crate) fn outbox_entry(endpoint: OutboxEndpoint, id: ErasureId) -> Vec<u8> {
    let mut key = outbox(endpoint);
    key.extend_from_slice(id.as_bytes());
    key
}

/// The endpoint and the erasure of a key of the outbox.
pub(crate) fn outbox_parts(key: &[u8]) -> Option<(OutboxEndpoint, ErasureId)> {
    let (endpoint, id) = key.get(1..)?.split_first_chunk::<16>()?;
    let id = ErasureId::from_bytes(id.try_into().ok()?);
    Some((OutboxEndpoint(*endpoint), id))
}

/// The record of an idempotency key, by its digest.
pub(crate) fn idempotency(digest: &[u8; 32]) -> Vec<u8> {
    with(IDEMPOTENCY, digest)
}

/// The tombstone of what has this hash.
pub(crate) fn tombstone(hash: KeyedHash) -> Vec<u8> {
    with(TOMBSTONE, &hash.0)
}

/// The row at the end of an item or tensor key, or the number at the end of one of what is kept.
pub(crate) fn row_of(key: &[u8]) -> Result<u32, StoreError> {
    key.last_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .ok_or_else(StoreError::cut_key)
}

/// The pseudonym of a key of a user, of properties, of a history, of what is kept or of a user's row of
/// the model.
pub(crate) fn pseudonym(key: &[u8]) -> Option<Pseudonym> {
    key.get(1..17)?.try_into().ok().map(Pseudonym)
}

/// The position and part of a log key.
pub(crate) fn log_parts(key: &[u8]) -> Option<(LogPosition, u16)> {
    let (position, part) = key.get(1..)?.split_first_chunk::<8>()?;
    let position = LogPosition(u64::from_be_bytes(*position));
    Some((position, u16::from_be_bytes(part.try_into().ok()?)))
}

/// The hash at the end of the key of a tombstone, a description or a restriction.
pub(crate) fn hash_of(key: &[u8]) -> Option<KeyedHash> {
    key.get(1..)?.try_into().ok().map(KeyedHash)
}
