//! Version 5: processing of a person's data can be restricted.
//!
//! Changes: nothing. A store of version 4 is one of version 5 in which nobody is restricted. The number is
//! there so that earlier programs refuse the store: they would take the key of somebody whose data are
//! kept for one that nobody has, and destroy it, and learn what comes of somebody who is restricted.

use crate::database::Database;
use crate::error::StoreError;
use crate::generation::NextGeneration;

/// Keeps every record as it is.
pub(crate) fn migrate(_: Option<&Database>, _: &NextGeneration<'_>) -> Result<(), StoreError> {
    Ok(())
}
