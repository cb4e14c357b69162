//! Commits that must succeed before anything else goes on.

use std::time::Duration;

use tokio::sync::watch;

use super::error::WorkerError;
use recant_store::WriteBatch;
use recant_store::{Commit, Store};

/// First and longest pause between attempts to write to a store that refuses.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Commits the worker's batches, again and again while the store refuses, until told to stop.
///
/// What is in memory is ahead of the disk by exactly the batch at hand, so nothing else can go on
/// before it.
#[derive(Clone)]
pub(crate) struct Committer {
    store: Store,
    stop: watch::Receiver<bool>,
}

/// A batch on its way to the disk, to be awaited by [`Committer::finish`].
pub(super) struct Committing {
    batch: WriteBatch,
    pending: Commit,
}

impl Committer {
    /// Commits to `store` until `stop` turns true.
    pub(crate) fn new(store: Store, stop: watch::Receiver<bool>) -> Self {
        Self { store, stop }
    }

    /// Hands `batch` to the store, which works on it meanwhile.
    pub(super) fn begin(&self, batch: WriteBatch) -> Committing {
        let pending = self.store.commit(batch.clone());
        Committing { batch, pending }
    }

    /// Returns once the batch is durable.
    pub(super) async fn finish(&mut self, committing: Committing) -> Result<(), WorkerError> {
        let Committing { batch, mut pending } = committing;
        let mut pause = PAUSE_MIN;
        loop {
            match pending.await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::error!(%error, "the store refuses a commit; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                () = self.stopped() => return Err(WorkerError::Stopped),
            }
            pending = self.store.commit(batch.clone());
        }
    }

    /// [`Committer::begin`] and [`Committer::finish`].
    pub(super) async fn commit(&mut self, batch: WriteBatch) -> Result<(), WorkerError> {
        let committing = self.begin(batch);
        self.finish(committing).await
    }

    /// Fails when the worker was told to stop.
    pub(super) fn check_stopped(&self) -> Result<(), WorkerError> {
        if *self.stop.borrow() {
            return Err(WorkerError::Stopped);
        }
        Ok(())
    }

    /// Returns when the worker is told to stop, or nobody is left to tell it.
    pub(super) async fn stopped(&mut self) {
        // An error says that the sender is gone: nobody would ever say so.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }
}
