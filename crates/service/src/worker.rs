//! The one task that changes the model: it follows the log, updates, commits, publishes, polishes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::Instrument;

use crate::backlog::Backlog;
use crate::dirty::DirtyRows;
use crate::learning::{self, PolishGoal, Polished};
use crate::load::dirty_rows;
use crate::metric_names as names;
use crate::milestones::{count, mark, observe_age};
use crate::publish::{Progress, Publisher};
use crate::receipts::ReceiptSigner;
use crate::resolve::Resolver;
use crate::snapshot::{Quality, Snapshot};
use crate::trainer::{Applied, Trainer};
use crate::versions::VersionError;
pub use crate::worker_options::WorkerOptions;
use recant_core::model::RowSets;
use recant_core::unlearn::update::UpdateReport;
use recant_neural::optimise::Divergence;
use recant_store::batch::WriteBatch;
use recant_store::crash_point::crash_point;
use recant_store::hash::Named;
use recant_store::log::{Entry, LogPosition};
use recant_store::records::ModelHeader;
use recant_store::{Store, StoreError};
use recant_types::{ErasureRecord, ErasureStatus, ErasureTarget, Event};

/// Most log entries taken as one update. Bounds the memory of one batch and the time until the
/// first of them is forgotten.
const ENTRIES_PER_UPDATE_MAX: usize = 1_024;

/// First and longest pause between attempts to write to a store that refuses.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Owns the trainer from start to stop.
///
/// Spawned by the service; ends when `stop` turns true, or with an error when the store can no
/// longer be read. It takes no hints: what there is to do follows from the log and from the
/// residual, so a restart runs the same path as any other moment.
pub struct Worker {
    pub(super) store: Store,
    pub(super) trainer: Trainer,
    pub(super) publisher: Arc<Publisher>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) signer: ReceiptSigner,
    pub(super) options: WorkerOptions,
    pub(super) pool: Arc<rayon::ThreadPool>,
    pub(super) stop: watch::Receiver<bool>,
    /// The log has been applied to matrix and store up to here.
    pub(super) applied: LogPosition,
    /// The stored and live model reflects the log up to here.
    pub(super) learnt: LogPosition,
    /// The newest entry of the log when the trainer was loaded.
    pub(super) loaded_at: LogPosition,
    pub(super) version: u64,
    pub(super) quality: Quality,
    /// Erasures that are forgotten and wait for the next certificate.
    pub(super) uncertified: Vec<ErasureRecord>,
    /// Rows that changed in memory since the live version was made.
    pub(super) dirty: DirtyRows,
    /// Every block may be out of date: nothing is known about how the factors were left.
    pub(super) everything_touched: bool,
    /// There is something to polish or to certify.
    pub(super) unpolished: bool,
}

/// Why the worker ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
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

/// Whether to go on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Stop,
}

impl Worker {
    /// Follows the log until told to stop.
    pub async fn run(mut self) -> Result<(), WorkerError> {
        let mut log = self.store.watch_log();
        loop {
            if *self.stop.borrow() {
                return Ok(());
            }
            log.mark_unchanged();
            let entries = self.read_log().await?;
            let next = if !entries.is_empty() || self.everything_touched {
                self.update(entries).await?
            } else if self.unpolished {
                self.polish(&log).await?
            } else {
                self.wait(&mut log).await
            };
            if next == Next::Stop {
                return Ok(());
            }
        }
    }

    async fn wait(&mut self, log: &mut watch::Receiver<LogPosition>) -> Next {
        tokio::select! {
            changed = log.changed() => if changed.is_ok() { Next::Continue } else { Next::Stop },
            _ = self.stop.wait_for(|stop| *stop) => Next::Stop,
        }
    }

    async fn read_log(&self) -> Result<Vec<(LogPosition, Entry)>, WorkerError> {
        let (store, from) = (self.store.clone(), self.learnt.next());
        let entries = move || store.read_from(from, ENTRIES_PER_UPDATE_MAX);
        blocking(entries).await?.map_err(WorkerError::from)
    }

    /// Stage 1: applies, updates the affected blocks, commits, swaps.
    async fn update(&mut self, entries: Vec<(LogPosition, Entry)>) -> Result<Next, WorkerError> {
        let span = tracing::info_span!(
            "update",
            entries = entries.len(),
            erasures = tracing::field::Empty,
            blocks = tracing::field::Empty,
            version = self.version + 1,
        );
        self.update_in_span(entries, &span)
            .instrument(span.clone())
            .await
    }

    async fn update_in_span(
        &mut self,
        entries: Vec<(LogPosition, Entry)>,
        span: &tracing::Span,
    ) -> Result<Next, WorkerError> {
        let reached = entries
            .last()
            .map_or(self.learnt, |(position, _)| *position);
        let started = Instant::now();
        let mut records = self.erasure_records(&entries).await?;
        span.record("erasures", records.len());
        let mut applied = self.apply(entries, reached).await?;
        mark(&mut records, |record, now| {
            record.status = ErasureStatus::Erased;
            record.erased_at.get_or_insert(now);
            record.model_version_before.get_or_insert(self.version);
        });
        let erased = self.erased_batch(&mut applied, &records, reached);
        let applied_at = started.elapsed();
        crash_point("erase_before_commit");
        let committing = self.store.commit(erased.clone());
        let report = self.update_factors(&applied.touched).await?;
        let solved_at = started.elapsed();
        span.record("blocks", report.blocks_solved);
        if committing.await.is_err() && self.persist(&erased).await == Next::Stop {
            return Ok(Next::Stop);
        }
        tracing::debug!(?applied_at, ?solved_at, erased_at = ?started.elapsed(), "erased");
        crash_point("erase_after_commit");
        self.applied = reached.max(self.applied);
        for record in &records {
            self.backlog.erased(record.id);
            count(ErasureStatus::Erased);
        }
        self.publish_update(records, &applied, &report, reached)
            .await
    }

    /// The second half of an update: the changed rows become durable, then live.
    async fn publish_update(
        &mut self,
        mut records: Vec<ErasureRecord>,
        applied: &Applied,
        report: &UpdateReport,
        reached: LogPosition,
    ) -> Result<Next, WorkerError> {
        self.dirty
            .users(report.changed_users.iter().chain(&applied.touched.users));
        self.dirty
            .items(report.changed_items.iter().chain(&applied.touched.items));
        self.trainer.check_finite(&self.dirty)?;
        let version = self.version + 1;
        mark(&mut records, |record, now| {
            record.status = ErasureStatus::Forgotten;
            record.forgotten_at = Some(now);
            record.model_version_after = Some(version);
        });
        let mut batch = self.dirty_batch(version, reached);
        records.iter().for_each(|record| batch.put_erasure(record));
        batch.trim_log(reached);
        let started = Instant::now();
        crash_point("publish_before_commit");
        // Made while the disk works; nobody sees it before the rows are durable.
        let committing = self.store.commit(batch.clone());
        let made = self.make_snapshot(version).await?;
        if committing.await.is_err() && self.persist(&batch).await == Next::Stop {
            return Ok(Next::Stop);
        }
        crash_point("publish_after_commit");
        let committed_at = started.elapsed();
        (self.version, self.learnt) = (version, reached);
        // Before the swap: with nothing uncertified it would announce that all is certified, and
        // these would be shown as such from the next commit on, before the swap that follows it.
        self.uncertified.extend(records.iter().cloned());
        self.swap(made);
        crash_point("publish_after_swap");
        tracing::debug!(?committed_at, swapped_at = ?started.elapsed(), "swapped");
        self.everything_touched = false;
        self.unpolished = true;
        self.trainer.users.recycle();
        self.trainer.items.recycle();
        for record in records {
            self.backlog.leave(record.id);
            count(ErasureStatus::Forgotten);
            observe_age(names::ERASURE_FORGOTTEN_SECONDS, record.accepted_at);
            tracing::info!(erasure = %record.id, version, "forgotten");
        }
        metrics::histogram!(names::ERASURE_BLOCKS_UPDATED).record(report.blocks_solved as f64);
        Ok(Next::Continue)
    }

    /// Stage 2: sweeps until the residual is at training level, or until the log grows.
    async fn polish(&mut self, log: &watch::Receiver<LogPosition>) -> Result<Next, WorkerError> {
        let (mut log, stop) = (log.clone(), self.stop.clone());
        let taken = self.learnt;
        log.mark_unchanged();
        let goal = PolishGoal {
            tolerance: self
                .trainer
                .polish_tolerance(self.options.tolerance, &self.quality),
            target: self.options.certificate_target,
        };
        let rounds_max = self.options.polish_rounds;
        let polished = self
            .lend(move |trainer| {
                let should_stop = || *log.borrow() > taken || *stop.borrow();
                learning::polish(trainer, goal, rounds_max, &should_stop)
            })
            .await?;
        match polished {
            Some(polished) => self.certify(polished).await,
            None => Ok(Next::Continue),
        }
    }

    /// Makes the polished model the live one and certifies what waits for it.
    async fn certify(&mut self, polished: Polished) -> Result<Next, WorkerError> {
        let Polished {
            changed,
            report,
            certificate,
        } = polished;
        self.dirty.merge(&changed);
        self.trainer.check_finite(&self.dirty)?;
        let version = if self.dirty.is_empty() {
            self.version
        } else {
            self.version + 1
        };
        self.quality = Quality {
            objective: Some(report.objective),
            residual: Some(report.residual),
            measured_version: Some(version),
            certificate: Some(certificate.clone()),
            confirmed: true,
        };
        let mut records = std::mem::take(&mut self.uncertified);
        mark(&mut records, |record, now| {
            record.status = ErasureStatus::Certified;
            record.certified_at = Some(now);
            record.certificate = Some(certificate.clone());
        });
        let mut batch = self.dirty_batch(version, self.learnt);
        records.iter().for_each(|record| batch.put_erasure(record));
        let generation = self.store.generation()?;
        self.signer.sign(&records, version, generation, &mut batch);
        crash_point("certify_before_commit");
        if self.persist(&batch).await == Next::Stop {
            return Ok(Next::Stop);
        }
        crash_point("certify_after_commit");
        self.version = version;
        let made = self.make_snapshot(version).await?;
        self.swap(made);
        self.unpolished = false;
        tracing::info!(version, sweeps = report.sweeps, %certificate, "polished");
        for record in records {
            count(ErasureStatus::Certified);
            observe_age(names::ERASURE_CERTIFIED_SECONDS, record.accepted_at);
            tracing::info!(erasure = %record.id, version, "certified");
        }
        Ok(Next::Continue)
    }

    async fn erasure_records(
        &self,
        entries: &[(LogPosition, Entry)],
    ) -> Result<Vec<ErasureRecord>, WorkerError> {
        let ids: Vec<_> = entries
            .iter()
            .filter_map(|(_, entry)| match entry {
                Entry::Erase(erasure) => Some(erasure.id),
                Entry::Add(_) => None,
            })
            .collect();
        let store = self.store.clone();
        let read = move || -> Result<Vec<_>, StoreError> {
            let records = ids.into_iter().map(|id| store.erasure(id));
            Ok(records
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        };
        Ok(blocking(read).await??)
    }

    /// Applies the entries that the store has not seen yet.
    async fn apply(
        &mut self,
        entries: Vec<(LogPosition, Entry)>,
        reached: LogPosition,
    ) -> Result<Applied, WorkerError> {
        let already = self.applied;
        let fresh = entries.into_iter().filter(|(at, _)| *at > already);
        let (fresh, from_before) = self.to_events(fresh.collect());
        // Which blocks they touched is not known, when the run before ended between its two commits
        // or the entry names what had left the store before it was loaded: so every block is asked.
        self.everything_touched |= from_before || (already > self.learnt && already <= reached);
        let store = self.store.clone();
        Ok(self
            .lend(move |trainer| {
                let mut applied = trainer.apply(&store, fresh)?;
                if from_before {
                    trainer.release_empty_items(&mut applied);
                }
                Ok::<_, StoreError>(applied)
            })
            .await??)
    }

    /// The entries with ids in place of hashes, and whether some erasure was accepted before the
    /// trainer was loaded.
    fn to_events(&self, entries: Vec<(LogPosition, Entry)>) -> (Vec<Event>, bool) {
        let (mut events, mut from_before) = (Vec::with_capacity(entries.len()), false);
        let mut resolver = Resolver::new(&self.trainer, self.store.hasher());
        for (position, entry) in entries {
            let erasure = match entry {
                Entry::Add(interactions) => {
                    events.push(Event::Add(interactions));
                    continue;
                }
                Entry::Erase(erasure) => erasure,
            };
            from_before |= position <= self.loaded_at;
            let gone = position <= self.loaded_at && !matches!(erasure.named, Named::Item(_));
            let target = match self.backlog.target(erasure.id) {
                Some(target) => target,
                None if gone => ErasureTarget::Pairs(Vec::new()),
                None => resolver.target_after(&erasure.named, &events),
            };
            events.push(Event::Erase {
                id: erasure.id,
                accepted_at: erasure.accepted_at,
                target,
            });
        }
        (events, from_before)
    }

    fn erased_batch(
        &self,
        applied: &mut Applied,
        records: &[ErasureRecord],
        reached: LogPosition,
    ) -> WriteBatch {
        let mut batch = std::mem::take(&mut applied.batch);
        batch.set_applied(reached.max(self.applied));
        records.iter().for_each(|record| batch.put_erasure(record));
        batch
    }

    async fn update_factors(&mut self, touched: &RowSets) -> Result<UpdateReport, WorkerError> {
        let touched = if self.everything_touched {
            RowSets::all(&self.trainer.matrix)
        } else {
            touched.clone()
        };
        let (budget, tolerance) = (self.options.update_budget, self.options.update_tolerance);
        let hold = self.options.polish_rounds == 0;
        Ok(self
            .lend(move |trainer| learning::update(trainer, &touched, budget, tolerance, hold))
            .await??)
    }

    fn dirty_batch(&self, version: u64, learnt: LogPosition) -> WriteBatch {
        let live = self.publisher.current();
        let mut batch = dirty_rows(&self.trainer, &self.dirty, &live, learnt);
        batch.put_model_header(&ModelHeader {
            version,
            learnt,
            hyperparameters: self.trainer.model.hyper,
            neural: self.trainer.neural_specification(),
            seed: self.trainer.seed,
            residual: self.quality.residual,
            objective: self.quality.objective,
            measured_version: self.quality.measured_version,
            certificate: self.quality.certificate.clone(),
        });
        batch
    }

    /// Makes a version of the trainer's state, which differs from the live one in the dirty rows.
    async fn make_snapshot(&mut self, version: u64) -> Result<(Snapshot, Duration), WorkerError> {
        let dirty = std::mem::take(&mut self.dirty);
        let (publisher, quality) = (Arc::clone(&self.publisher), self.quality.clone());
        let make = move |trainer: &mut Trainer| {
            let started = Instant::now();
            let previous = publisher.current();
            let snapshot = trainer.snapshot_after(&previous, &dirty, version, quality)?;
            Ok::<_, VersionError>((snapshot, started.elapsed()))
        };
        Ok(self.lend(make).await??)
    }

    /// Swaps a version in as the live one.
    fn swap(&self, (snapshot, making): (Snapshot, Duration)) {
        let certified = if self.uncertified.is_empty() {
            self.learnt
        } else {
            self.publisher.progress().certified
        };
        let progress = Progress {
            learnt: self.learnt,
            certified,
        };
        self.publisher.swap(progress, snapshot, making);
    }

    /// Commits `batch`, again and again while the store refuses: what is in memory is ahead of the
    /// disk by exactly this batch, so nothing else can go on before it.
    async fn persist(&mut self, batch: &WriteBatch) -> Next {
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            match self.store.commit(batch.clone()).await {
                Ok(_) => return Next::Continue,
                Err(error) => tracing::error!(%error, "the store refuses a commit; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(RETRY_PAUSE_MAX),
                _ = self.stop.wait_for(|stop| *stop) => return Next::Stop,
            }
        }
    }

    /// Lends the trainer to a blocking thread, where `work` runs inside the worker's own pool.
    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Trainer) -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let stand_in = Trainer::empty(self.trainer.model.hyper, self.trainer.seed);
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
