//! Why the worker ended.

use crate::snapshot::VersionError;
use recant_neural::optimise::Divergence;
use recant_store::StoreError;

/// Why the worker ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// It was told to.
    #[error("the worker was told to stop")]
    Stopped,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The arithmetic gave something that must not be served; neither stored nor shown.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The update of a neural model went wrong; the live version stays.
    #[error(transparent)]
    Divergence(#[from] Divergence),
    /// The arithmetic panicked; the model in memory is lost, the store is not.
    #[error("an update panicked")]
    Panicked,
}
