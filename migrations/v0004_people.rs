//! Version 4: people have properties.
//!
//! Changes: nothing. A store of version 3 is one of version 4 in which nothing is said about anybody. The
//! number is there so that earlier programs refuse the store: they would take the key of somebody who has
//! properties alone for one that nobody has, and destroy it.

use crate::database::Database;
use crate::error::StoreError;
use crate::generation::NextGeneration;

/// Keeps every record as it is.
pub(crate) fn migrate(_: Option<&Database>, _: &NextGeneration<'_>) -> Result<(), StoreError> {
    Ok(())
}
