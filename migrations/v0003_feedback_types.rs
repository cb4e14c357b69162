//! Version 3: interactions have types of feedback.
//!
//! Changes: nothing. A record of version 2 is one of version 3 whose interactions are all of the first
//! type: the byte of a history that said whether there is a timestamp says in its upper bits which type
//! it is, and a record that waits in the log may have a byte a row behind it. The number is there so that
//! earlier programs, which know of neither, refuse the store.

use crate::database::Database;
use crate::error::StoreError;
use crate::generation::NextGeneration;

/// Keeps every record as it is.
pub(crate) fn migrate(_: Option<&Database>, _: &NextGeneration<'_>) -> Result<(), StoreError> {
    Ok(())
}
