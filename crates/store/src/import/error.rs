//! Why an import cannot go on.

use crate::error::StoreError;
use recant_types::InvalidId;

/// Why an import cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportSessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An id cannot be one.
    #[error(transparent)]
    InvalidId(#[from] InvalidId),
    /// The worker would take the rows with those that were erased.
    #[error(
        "an erasure of one of these items was accepted and is not carried out yet: start `recant serve` on this \
         directory, which carries it out, and import then"
    )]
    ItemErasureWaits,
    /// There are more users or items than rows can be numbered.
    #[error("there are more than 4294967295 users or items")]
    TooManyRows,
}
