//! The one task that changes the model: it follows the log, updates, commits, publishes, refines; or where
//! several nodes serve together, and another leads, it follows that one's versions.

mod blocking;
mod commit;
mod error;
mod follow;
mod gather;
mod lead;
mod options;
mod refine;
mod refiner;
mod replica;
mod settle;
mod transition;
mod update;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use self::blocking::blocking;
pub(crate) use self::commit::Committer;
pub(crate) use self::error::WorkerError;
pub use self::options::WorkerOptions;
use self::refiner::Finished;
pub(crate) use self::refiner::Refiner;
pub(crate) use self::replica::Replica;
use self::replica::role_changed;
use self::settle::ToSettle;
pub(crate) use self::transition::observe_age;
use crate::backlog::Backlog;
use crate::dirty::DirtyRows;
use crate::learning::LocalUpdate;
use crate::load::dirty_rows;
use crate::publish::{Progress, Publisher};
use crate::receipt_signer::ReceiptSigner;
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
    /// Erasures that the model has forgotten and that no record says so of: a cluster that this directory left
    /// had not got to that.
    pub(crate) untold: Vec<ErasureRecord>,
    pub(crate) refiner: Refiner,
    pub(crate) factors: Factors,
    /// Additions that come before this moment are gathered, while a refinement is under way.
    pub(crate) gathers_until: Instant,
    /// There where the node is one of several.
    pub(crate) replica: Option<Replica>,
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
    /// The term of the leader that made it, where several nodes serve together; else 0.
    pub(crate) term: u64,
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
    /// Follows the log, or a leader, until told to stop.
    pub(crate) async fn run(mut self) -> Result<(), WorkerError> {
        let ended = self.take_part().await;
        self.refiner.stop().await;
        match ended {
            Err(WorkerError::Stopped) => Ok(()),
            ended => ended,
        }
    }

    /// Learns what the log brings, as long as it is this node that learns.
    async fn learn(&mut self) -> Result<(), WorkerError> {
        let mut log = self.store.watch_log();
        loop {
            self.committer.check_stopped()?;
            if !self.may_learn() {
                return Ok(());
            }
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
        let is_unpublished = self.factors == Factors::Unknown
            || !self.live.dirty.is_empty()
            || !self.untold.is_empty()
            || self.is_new_leader();
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
            () = role_changed(&mut self.replica) => Ok(()),
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
        batch.put_model_header(&self.header(version, learnt));
        batch
    }

    /// The header of a version that reflects the log up to `learnt`.
    fn header(&self, version: u64, learnt: LogPosition) -> ModelHeader {
        let quality = &self.live.quality;
        ModelHeader {
            version,
            term: self.live.term,
            learnt,
            model: self.trainer.learner.configuration(),
            seed: self.trainer.seed,
            residual: quality.residual,
            objective: quality.objective,
            measured_version: quality.measured_version,
            certificate: quality.certificate.clone(),
            certified: self.live.certified,
        }
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
        let mut made = self.lend(make).await??;
        made.term = self.live.term;
        Ok(made)
    }

    /// Makes a version the live one, which differs from the one before in the rows `changed`, or in all; the
    /// other nodes have it to follow. With `forgets` an erasure waits for it.
    fn swap(
        &mut self,
        snapshot: Snapshot,
        making: std::time::Duration,
        changed: Option<DirtyRows>,
        forgets: bool,
    ) {
        let header = self.header(self.live.number, self.log.learnt);
        if let Some(replica) = &mut self.replica {
            replica.publish(&snapshot, header, changed);
        }
        self.show(snapshot, making);
        if let Some(replica) = &self.replica {
            replica
                .replication
                .live((self.live.term, self.live.number), forgets);
        }
    }

    /// Swaps a version in as the one that readers of this node see.
    fn show(&self, snapshot: Snapshot, making: std::time::Duration) {
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
