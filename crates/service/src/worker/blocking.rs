//! Work that blocks, away from the async threads.

use super::error::WorkerError;

/// Does the work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WorkerError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| WorkerError::Panicked)
}
