//! Version 1, the first: an empty store.
//!
//! Changes: writes the position of the first log entry (1) and the position applied so far (0).
//! Every other record appears as it is needed; docs/store.md lists them all.

use crate::database::Database;
use crate::error::StoreError;
use crate::generation::NextGeneration;
use crate::keys;

/// Brings an empty generation to version 1.
pub(crate) fn migrate(_: Option<&Database>, next: &NextGeneration<'_>) -> Result<(), StoreError> {
    next.put(keys::NEXT_POSITION.to_vec(), &1_u64.to_le_bytes())?;
    next.put(keys::APPLIED.to_vec(), &0_u64.to_le_bytes())
}
