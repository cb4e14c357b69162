//! The one task that changes the model: it follows the log, updates, commits, publishes, refines.

mod commit;
mod error;
mod gather;
mod options;
mod refine;
mod refiner;
mod transition;
mod update;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

pub(crate) use self::commit::Committer;
pub(crate) use self::error::WorkerError;
pub use self::options::WorkerOptions;
use self::refiner::Finished;
pub(crate) use self::refiner::Refiner;
use crate::backlog::Backlog;
use crate::dirty::DirtyRows;
use crate::learning::LocalUpdate;
use crate::load::dirty_rows;
use crate::publish::{Progress, Publisher};
use crate::receipts::ReceiptSigner;
use crate::snapshot::{Quality, Snapshot};
use crate::trainer::Trainer;
use recant_store::LastCertificate;
use recant_store::ModelHeader;
use recant_store::Store;
use recant_store::WriteBatch;
use recant_store::{Entry, LogPosition};
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
    pub(crate) refiner: Refiner,
    pub(crate) factors: Factors,
    /// Additions that come before this moment are gathered, while a refinement is under way.
    pub(crate) gathers_until: Instant,
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
    /// Where the last certificate that held was given.
    pub(crate) certified: Option<LastCertificate>,
}

/// How the factors were left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factors {
    /// They fit what has been learnt so far.
    Followed,
    /// Nothing is known about it: every block is asked.
    Unknown,
}

/// What to do next.
#[derive(Debug)]
enum Work {
    /// Bring the live model up to these entries of the log.
    Update(Vec<(LogPosition, Entry)>),
    /// Begin a refinement.
    Refine,
    /// Make what a refinement brought the live model.
    Adopt(Box<Finished>),
    /// Let additions come together.
    Gather(Instant),
    /// Nothing, until something happens.
    Wait,
}

impl Worker {
    /// Follows the log until told to stop.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let ended = self.follow().await;
        self.refiner.stop().await;
        match ended {
            Err(WorkerError::Stopped) => Ok(()),
            ended => ended,
        }
    }

    async fn follow(&mut self) -> Result<(), WorkerError> {
        let mut log = self.store.watch_log();
        loop {
            self.committer.check_stopped()?;
            log.mark_unchanged();
            match self.next().await? {
                Work::Update(entries) => {
                    let began = Instant::now();
                    self.update(entries).await?;
                    self.rest(began);
                }
                Work::Refine => self.refine().await?,
                Work::Adopt(finished) => self.adopt(*finished).await?,
                Work::Gather(until) => self.gather(&mut log, until).await?,
                Work::Wait => self.wait(&mut log).await?,
            }
        }
    }

    /// What has been refined goes before the log, and a refinement that is due begins before more of
    /// the log is taken: neither may starve where the log is never empty.
    async fn next(&mut self) -> Result<Work, WorkerError> {
        let is_unpublished = self.factors == Factors::Unknown || !self.live.dirty.is_empty();
        let has_followed = self.log.learnt >= self.log.loaded_at;
        if let Some(finished) = self.refiner.take_finished().await {
            return Ok(Work::Adopt(finished));
        }
        if self.refiner.is_due() && has_followed && !is_unpublished {
            return Ok(Work::Refine);
        }
        if let Some(until) = self.gathering().filter(|_| !is_unpublished) {
            return Ok(Work::Gather(until));
        }
        let entries = self.read_log().await?;
        if is_unpublished || !entries.is_empty() {
            return Ok(Work::Update(entries));
        }
        if self.refiner.is_due() {
            return Ok(Work::Refine);
        }
        Ok(Work::Wait)
    }

    async fn wait(&mut self, log: &mut watch::Receiver<LogPosition>) -> Result<(), WorkerError> {
        tokio::select! {
            changed = log.changed() => changed.map_err(|_| WorkerError::Stopped),
            () = self.refiner.ready() => Ok(()),
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
            certified: self.live.certified,
        });
        batch
    }

    fn local_update(&self) -> LocalUpdate {
        LocalUpdate {
            budget: self.options.update_budget,
            tolerance: self.options.update_tolerance,
            hold: self.options.refinement_rounds == 0,
        }
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
        let before = self.publisher.progress().certified;
        let last = self.live.certified;
        let progress = Progress {
            learnt: self.log.learnt,
            certified: last.map_or(before, |last| last.position.max(before)),
            last_certificate: last,
        };
        self.publisher.swap(progress, snapshot, making);
    }

    /// Lends the trainer to a blocking thread, where `work` runs inside the worker's own pool while
    /// refinement waits.
    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Trainer) -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let stand_in = Trainer::empty(IalsHyperparameters::default(), self.trainer.seed);
        let mut trainer = std::mem::replace(&mut self.trainer, stand_in);
        let pool = Arc::clone(&self.pool);
        let span = tracing::Span::current();
        let held = self.refiner.background().hold();
        let (trainer, result) = blocking(move || {
            let (_held, _entered) = (held, span.enter());
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
