//! The one task that changes the model: it follows the log, updates, commits, publishes, refines.

mod commit;
mod options;
mod refine;
mod transition;
mod update;

use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use self::commit::Committer;
pub use self::options::WorkerOptions;
use crate::backlog::Backlog;
use crate::dirty::DirtyRows;
use crate::load::dirty_rows;
use crate::publish::{Progress, Publisher};
use crate::receipts::ReceiptSigner;
use crate::snapshot::{Quality, Snapshot};
use crate::trainer::Trainer;
use crate::versions::VersionError;
use recant_neural::optimise::Divergence;
use recant_store::batch::WriteBatch;
use recant_store::log::{Entry, LogPosition};
use recant_store::records::ModelHeader;
use recant_store::{Store, StoreError};
use recant_types::{ErasureRecord, IalsHyperparameters};

/// Most log entries taken as one update. Bounds the memory of one batch and the time until the
/// first of them is forgotten.
const ENTRIES_PER_UPDATE_MAX: usize = 1_024;

/// Owns the trainer from start to stop.
///
/// Spawned by the service; ends when told to, or with an error when the store can no longer be
/// read. It takes no hints: what there is to do follows from the log and from the certificate, so a
/// restart runs the same path as any other moment.
pub(crate) struct Worker {
    pub(crate) store: Store,
    pub(crate) committer: Committer,
    pub(crate) trainer: Trainer,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) signer: ReceiptSigner,
    pub(crate) options: WorkerOptions,
    pub(crate) pool: Arc<rayon::ThreadPool>,
    pub(crate) log: LogProgress,
    pub(crate) live: LiveVersion,
    /// Erasures that are forgotten and wait for the next certificate.
    pub(crate) uncertified: Vec<ErasureRecord>,
    /// What there is to do when the log brings nothing new.
    pub(crate) work: Work,
}

/// How far the log has come through the worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogProgress {
    /// It has been applied to matrix and store up to here.
    pub(crate) applied: LogPosition,
    /// The stored and live model reflects it up to here.
    pub(crate) learnt: LogPosition,
    /// Its newest entry when the trainer was loaded.
    pub(crate) loaded_at: LogPosition,
}

/// The version that readers see, and what has changed since.
#[derive(Debug)]
pub(crate) struct LiveVersion {
    pub(crate) number: u64,
    pub(crate) quality: Quality,
    /// Rows that changed in memory since it was made.
    pub(crate) dirty: DirtyRows,
}

/// What there is to do when the log brings nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Nothing is known about how the factors were left: every block is asked.
    Update,
    /// Something changed since the last certificate.
    Refine,
    /// The live version has its certificate.
    Wait,
}

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

impl Worker {
    /// Follows the log until told to stop.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        match self.follow().await {
            Err(WorkerError::Stopped) => Ok(()),
            ended => ended,
        }
    }

    async fn follow(&mut self) -> Result<(), WorkerError> {
        let mut log = self.store.watch_log();
        loop {
            self.committer.check_stopped()?;
            log.mark_unchanged();
            let entries = self.read_log().await?;
            let work = if entries.is_empty() {
                self.work
            } else {
                Work::Update
            };
            match work {
                Work::Update => self.update(entries).await?,
                Work::Refine => self.refine(&log).await?,
                Work::Wait => self.wait(&mut log).await?,
            }
        }
    }

    async fn wait(&mut self, log: &mut watch::Receiver<LogPosition>) -> Result<(), WorkerError> {
        tokio::select! {
            changed = log.changed() => changed.map_err(|_| WorkerError::Stopped),
            () = self.committer.stopped() => Err(WorkerError::Stopped),
        }
    }

    async fn read_log(&self) -> Result<Vec<(LogPosition, Entry)>, WorkerError> {
        let (store, from) = (self.store.clone(), self.log.learnt.next());
        let entries = move || store.read_from(from, ENTRIES_PER_UPDATE_MAX);
        blocking(entries).await?.map_err(WorkerError::from)
    }

    /// The records that bring the stored model to what the trainer holds.
    fn version_batch(&self, version: u64, learnt: LogPosition) -> WriteBatch {
        let live = self.publisher.current();
        let mut batch = dirty_rows(&self.trainer, &self.live.dirty, &live, learnt);
        let quality = &self.live.quality;
        batch.put_model_header(&ModelHeader {
            version,
            learnt,
            model: self.trainer.learner.configuration(),
            seed: self.trainer.seed,
            residual: quality.residual,
            objective: quality.objective,
            measured_version: quality.measured_version,
            certificate: quality.certificate.clone(),
        });
        batch
    }

    /// Makes a version of the trainer's state, which differs from the live one in the dirty rows.
    async fn make_snapshot(&mut self, version: u64) -> Result<Snapshot, WorkerError> {
        let dirty = std::mem::take(&mut self.live.dirty);
        let (publisher, quality) = (Arc::clone(&self.publisher), self.live.quality.clone());
        let make = move |trainer: &mut Trainer| {
            let previous = publisher.current();
            trainer.snapshot_after(&previous, &dirty, version, quality)
        };
        Ok(self.lend(make).await??)
    }

    /// Swaps a version in as the live one.
    fn swap(&self, snapshot: Snapshot, making: std::time::Duration) {
        let certified = if self.uncertified.is_empty() {
            self.log.learnt
        } else {
            self.publisher.progress().certified
        };
        let progress = Progress {
            learnt: self.log.learnt,
            certified,
        };
        self.publisher.swap(progress, snapshot, making);
    }

    /// Lends the trainer to a blocking thread, where `work` runs inside the worker's own pool.
    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Trainer) -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let stand_in = Trainer::empty(IalsHyperparameters::default(), self.trainer.seed);
        let mut trainer = std::mem::replace(&mut self.trainer, stand_in);
        let pool = Arc::clone(&self.pool);
        let span = tracing::Span::current();
        let (trainer, result) = blocking(move || {
            let _entered = span.enter();
            let result = pool.install(|| work(&mut trainer));
            (trainer, result)
        })
        .await?;
        self.trainer = trainer;
        Ok(result)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WorkerError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| WorkerError::Panicked)
}
