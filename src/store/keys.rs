//! The keys of every record. docs/store.md draws them.

use crate::ids::ErasureId;
use crate::store::batch::Tensor;
use crate::store::log::LogPosition;

/// Facts about the whole store.
pub const META: u8 = b'm';
/// Users by row.
pub const USER: u8 = b'u';
/// Items by row.
pub const ITEM: u8 = b'i';
/// Histories by user row and chunk.
pub const HISTORY: u8 = b'h';
/// Rows of the model's tensors.
pub const TENSOR: u8 = b't';
/// Log entries by position and chunk.
pub const LOG: u8 = b'l';
/// Erasure records by id.
pub const ERASURE: u8 = b'e';
/// Idempotency records by digest.
pub const IDEMPOTENCY: u8 = b'k';
/// Receipts by the id of the erasure.
pub const RECEIPT: u8 = b'r';

/// The schema version: u32.
pub const SCHEMA: [u8; 2] = [META, b's'];
/// The number of the last commit: u64.
pub const COMMIT: [u8; 2] = [META, b'c'];
/// The position up to which the log has been applied: u64.
pub const APPLIED: [u8; 2] = [META, b'a'];
/// The position of the next log entry: u64. Kept because applied entries are trimmed.
pub const NEXT_POSITION: [u8; 2] = [META, b'n'];
/// The model's header.
pub const MODEL: [u8; 2] = [META, b'm'];
/// The end of the chain of receipts.
pub const RECEIPT_HEAD: [u8; 2] = [META, b'r'];

fn with_row(kind: u8, row: u32) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&row.to_be_bytes());
    key
}

fn with_chunk(mut key: Vec<u8>, chunk: u16) -> Vec<u8> {
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}

/// The user at a row.
pub fn user(row: u32) -> Vec<u8> {
    with_row(USER, row)
}

/// The item at a row.
pub fn item(row: u32) -> Vec<u8> {
    with_row(ITEM, row)
}

/// The prefix of all chunks of a user's history.
pub fn history(row: u32) -> Vec<u8> {
    with_row(HISTORY, row)
}

/// One chunk of a user's history.
pub fn history_chunk(row: u32, chunk: u16) -> Vec<u8> {
    with_chunk(history(row), chunk)
}

/// The prefix of a tensor's rows.
pub fn tensor(tensor: Tensor) -> Vec<u8> {
    vec![TENSOR, tensor as u8]
}

/// One row of a tensor.
pub fn tensor_row(tensor: Tensor, row: u32) -> Vec<u8> {
    let mut key = vec![TENSOR, tensor as u8];
    key.extend_from_slice(&row.to_be_bytes());
    key
}

/// The prefix of all chunks of a log entry.
pub fn log(position: LogPosition) -> Vec<u8> {
    let mut key = vec![LOG];
    key.extend_from_slice(&position.0.to_be_bytes());
    key
}

/// One chunk of a log entry.
pub fn log_chunk(position: LogPosition, chunk: u16) -> Vec<u8> {
    with_chunk(log(position), chunk)
}

/// An erasure's record.
pub fn erasure(id: ErasureId) -> Vec<u8> {
    let mut key = vec![ERASURE];
    key.extend_from_slice(id.as_bytes());
    key
}

/// The receipt of an erasure.
pub fn receipt(id: ErasureId) -> Vec<u8> {
    let mut key = vec![RECEIPT];
    key.extend_from_slice(id.as_bytes());
    key
}

/// The record of an idempotency key, by its digest.
pub fn idempotency(digest: &[u8; 32]) -> Vec<u8> {
    let mut key = vec![IDEMPOTENCY];
    key.extend_from_slice(digest);
    key
}

/// The row at the end of a user, item or tensor key.
pub fn row_at_end(key: &[u8]) -> Option<u32> {
    key.last_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// The row and chunk of a history key.
pub fn history_parts(key: &[u8]) -> Option<(u32, u16)> {
    let (row, chunk) = key.get(1..)?.split_first_chunk::<4>()?;
    Some((
        u32::from_be_bytes(*row),
        u16::from_be_bytes(chunk.try_into().ok()?),
    ))
}

/// The position and chunk of a log key.
pub fn log_parts(key: &[u8]) -> Option<(LogPosition, u16)> {
    let (position, chunk) = key.get(1..)?.split_first_chunk::<8>()?;
    let position = LogPosition(u64::from_be_bytes(*position));
    Some((position, u16::from_be_bytes(chunk.try_into().ok()?)))
}
