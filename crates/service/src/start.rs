//! Starting the service on a store, keeping its worker alive, and stopping it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::background::Background;
use crate::backlog::Backlog;
use crate::catalogue::Edit;
use crate::curator::Curator;
use crate::dirty::DirtyRows;
use crate::entry_watch::{EntryWatch, InMemory};
use crate::foreground::Foreground;
use crate::learner::Learner;
use crate::load::{Loaded, load};
use crate::publish::{Progress, Publisher};
use crate::receipt_log;
use crate::receipt_signer::{ReceiptSigner, ReceiptSource};
use crate::refit::{ContentOptions, Refitter};
use crate::replication::Replication;
use crate::resolve::Resolver;
use crate::sequencer::Sequencer;
use crate::service::{BATCHES_MAX, BLOCKING_WORK_MAX, Others, Service, Shared};
use crate::snapshot::{Quality, Snapshot, VersionError};
use crate::worker::{
    Committer, Factors, LiveVersion, LogProgress, Refiner, Replica, Worker, WorkerError,
    WorkerOptions,
};
use recant_core::unlearn::Warm;
use recant_store::LastCertificate;
use recant_store::{
    Entry, EntryObserver, LogPosition, ModelHeader, ReceiptKeys, Store, StoreError,
};
use recant_types::{ErasureFilter, ErasureRecord, ErasureStatus, ModelConfiguration};

/// Starts of the worker after a failure within [`WORKER_RESTART_WINDOW`] before the service gives
/// up. A fault that comes back at once every time is not mended by trying on.
const WORKER_RESTARTS_MAX: usize = 5;

/// Failures before it are forgotten: now and then one in a long life is no fault that comes back.
const WORKER_RESTART_WINDOW: Duration = Duration::from_secs(600);

/// Pause before the worker is started again.
const WORKER_RESTART_PAUSE: Duration = Duration::from_millis(200);

/// Log entries read at a time while filling the backlog.
const BACKLOG_PAGE: usize = 1_024;

/// What a service needs to know besides its store.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The model of a store that holds none yet.
    pub model: ModelConfiguration,
    /// Seed of a store that holds no model yet.
    pub seed: u64,
    /// Erasures that may wait at once before new ones are refused.
    pub queue_max: usize,
    /// Longest that an erasure may wait for its certificate while additions are taken; as long as it
    /// takes without it.
    pub certificate_wait_max: Option<Duration>,
    /// Whose name receipts carry.
    pub receipt_issuer: Arc<str>,
    /// How rows for items that nobody touched are made; none without it.
    pub content: Option<ContentOptions>,
    /// How the worker computes.
    pub worker: WorkerOptions,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored model cannot be served.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The threads for arithmetic could not be made.
    #[error("cannot start the threads for arithmetic: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Every version of the model would have to be sent to the other nodes as a whole.
    #[error(
        "neural models cannot be served by a cluster yet: each of their versions changes every row"
    )]
    NeuralInCluster,
    /// Loading panicked.
    #[error("loading the model panicked; see the log")]
    Panicked,
}

/// Ends the worker. Dropping it without [`WorkerGuard::stop`] ends the worker too, unawaited.
pub struct WorkerGuard {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    refitting: Option<JoinHandle<()>>,
}

impl WorkerGuard {
    /// Tells the worker to stop and waits until it has. What was acknowledged stays in the log.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("the worker's task panicked");
        }
        if let Some(refitting) = self.refitting
            && refitting.await.is_err()
        {
            tracing::error!("the task that refits content rows panicked");
        }
    }
}

impl Service {
    /// Loads the store, publishes its model and starts the worker.
    pub async fn start(
        store: Store,
        options: ServiceOptions,
    ) -> Result<(Self, WorkerGuard), StartError> {
        let sequencer = Arc::new(store.clone());
        Self::start_with(store, sequencer, options).await
    }

    /// The same with somebody else who commits what callers ask for, to this store in the end.
    pub async fn start_with(
        store: Store,
        sequencer: Arc<dyn Sequencer>,
        options: ServiceOptions,
    ) -> Result<(Self, WorkerGuard), StartError> {
        Self::launch(store, sequencer, None, options).await
    }

    /// The same as one node of several: it learns while it leads, follows a leader's versions while it does
    /// not, and tells of an erasure what is true of every node. The entries of the log that the nodes share
    /// must be committed to this `store`, or a clone of it. Refused for neural models.
    pub async fn start_replicated(
        store: Store,
        sequencer: Arc<dyn Sequencer>,
        replication: Arc<dyn Replication>,
        options: ServiceOptions,
    ) -> Result<(Self, WorkerGuard), StartError> {
        Self::launch(store, sequencer, Some(replication), options).await
    }

    async fn launch(
        store: Store,
        sequencer: Arc<dyn Sequencer>,
        replication: Option<Arc<dyn Replication>>,
        options: ServiceOptions,
    ) -> Result<(Self, WorkerGuard), StartError> {
        let watch = replication.is_some().then(|| {
            let watch = Arc::new(EntryWatch::default());
            store.observe_entries(Arc::clone(&watch) as Arc<dyn EntryObserver>);
            watch
        });
        let is_one_of_several = watch.is_some();
        let pool = Arc::new(
            rayon::ThreadPoolBuilder::new()
                .num_threads(options.worker.threads)
                .build()?,
        );
        let prepare = {
            let (store, options, pool) = (store.clone(), options.clone(), Arc::clone(&pool));
            move || prepare(&store, options, &pool, is_one_of_several)
        };
        let prepared = tokio::task::spawn_blocking(prepare).await;
        let Prepared {
            loaded,
            snapshot,
            backlog,
            receipt_keys,
        } = prepared.map_err(|_| StartError::Panicked)??;
        let publisher = Publisher::new(snapshot, progress(&loaded.header));
        let foreground = Foreground::default();
        let shared = Arc::new(Shared {
            store,
            sequencer,
            foreground: foreground.clone(),
            publisher: Arc::new(publisher),
            backlog: Arc::new(backlog),
            published_keys: ArcSwap::from_pointee(receipt_keys.published.clone()),
            receipt_keys: Arc::new(receipt_keys),
            receipt_issuer: Arc::clone(&options.receipt_issuer),
            curator: Curator::default(),
            blocking: Semaphore::new(BLOCKING_WORK_MAX),
            filtering: Arc::new(Semaphore::new(1)),
            batches: Arc::new(Semaphore::new(BATCHES_MAX)),
            queue_max: options.queue_max,
            certificate_wait_max: options.certificate_wait_max,
            told: OnceLock::new(),
            versions: Arc::default(),
            others: replication.map(Others::new),
            working: AtomicBool::new(true),
        });
        if let (Some(watch), Some(others)) = (watch, &shared.others) {
            watch.start(in_memory(&shared, others));
        }
        let background = Arc::new(Background::new(options.worker.threads, foreground)?);
        let (stop, stopped) = watch::channel(false);
        let refitting = options.content.and_then(|content| {
            let (publisher, background) = (Arc::clone(&shared.publisher), Arc::clone(&background));
            Refitter::new(publisher, background, content, stopped.clone())
        });
        let supervisor = Supervisor {
            shared: Arc::clone(&shared),
            options,
            pool,
            background,
            stopped,
        };
        let task = tokio::spawn(supervisor.run(loaded));
        let guard = WorkerGuard {
            stop,
            task,
            refitting: refitting.map(|refitter| tokio::spawn(refitter.run())),
        };
        Ok((Self::new(shared), guard))
    }
}

/// What a service begins with, as the store has it.
struct Prepared {
    loaded: Loaded,
    snapshot: Snapshot,
    backlog: Backlog,
    receipt_keys: ReceiptKeys,
}

fn prepare(
    store: &Store,
    options: ServiceOptions,
    pool: &rayon::ThreadPool,
    is_one_of_several: bool,
) -> Result<Prepared, StartError> {
    let loaded = pool.install(|| load(store, options.model, options.seed))?;
    if is_one_of_several && loaded.trainer.learner.neural().is_some() {
        return Err(StartError::NeuralInCluster);
    }
    let (version, quality) = (version(&loaded.header), quality(&loaded.header));
    let mut snapshot = pool.install(|| loaded.trainer.snapshot(version, quality))?;
    snapshot.term = term(&loaded.header);
    let said = store.descriptions()?.into_iter();
    let said: Vec<Edit> = said.map(|said| Edit::Describe(Arc::new(said))).collect();
    snapshot.catalogue.edit(&said);
    let backlog = waiting(store, &loaded)?;
    if is_one_of_several {
        enter_untold(store, &backlog)?;
    }
    // Made now where there is none yet, so that nobody is told that there is none.
    receipt_log::open(store)?;
    let receipt_keys = store.receipt_keys()?;
    Ok(Prepared {
        loaded,
        snapshot,
        backlog,
        receipt_keys,
    })
}

/// What of the service follows the entries of the shared log.
fn in_memory(shared: &Shared, others: &Others) -> InMemory {
    InMemory {
        publisher: Arc::clone(&shared.publisher),
        backlog: Arc::clone(&shared.backlog),
        role: others.replication.role(),
        facts: Arc::clone(&others.facts),
    }
}

fn progress(header: &Option<ModelHeader>) -> Progress {
    let learnt = header.as_ref().map(|header| header.learnt);
    let learnt = learnt.unwrap_or_default();
    Progress {
        learnt,
        certified: learnt,
        last_certificate: last_certificate(header),
    }
}

fn version(header: &Option<ModelHeader>) -> u64 {
    header.as_ref().map_or(0, |header| header.version)
}

fn term(header: &Option<ModelHeader>) -> u64 {
    header.as_ref().map_or(0, |header| header.term)
}

fn last_certificate(header: &Option<ModelHeader>) -> Option<LastCertificate> {
    header.as_ref().and_then(|header| header.certified)
}

fn quality(header: &Option<ModelHeader>) -> Quality {
    header.as_ref().map(Quality::stored).unwrap_or_default()
}

/// Enters the erasures that have left the log and of which no fact says that they are forgotten.
fn enter_untold(store: &Store, backlog: &Backlog) -> Result<(), StoreError> {
    for record in store.erasures(&ErasureFilter::default(), None, usize::MAX)? {
        if record.status < ErasureStatus::Forgotten {
            backlog.enter_erased(record.id, record.accepted_at);
        }
    }
    Ok(())
}

/// The erasures that the log holds and the model has not forgotten.
fn waiting(store: &Store, loaded: &Loaded) -> Result<Backlog, StoreError> {
    let backlog = Backlog::default();
    let applied = store.applied()?;
    let mut resolver = Resolver::new(&loaded.trainer, store.hasher());
    let mut from = LogPosition::default();
    loop {
        let page = store.read_from(from, BACKLOG_PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(backlog);
        };
        from = last.next();
        for (position, entry) in page {
            match entry {
                Entry::Add(interactions) => resolver.learn(&interactions),
                Entry::Erase(entry) => {
                    // What users and pairs were named has left the store already.
                    let items = entry.named.items().filter(|_| position > applied);
                    let target = items.map(|items| resolver.target(&items));
                    backlog.enter(entry.id, target, entry.accepted_at);
                }
            }
        }
    }
}

/// Runs one worker after another: a worker that fails leaves the store whole, so the next one
/// starts from there.
struct Supervisor {
    shared: Arc<Shared>,
    options: ServiceOptions,
    pool: Arc<rayon::ThreadPool>,
    background: Arc<Background>,
    stopped: watch::Receiver<bool>,
}

/// When the worker failed lately.
#[derive(Default)]
struct Failures(VecDeque<Instant>);

impl Failures {
    /// Notes a failure at `now`; whether it is one too many for the window that ends there.
    fn are_too_many(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        let is_old = |then: &Instant| now.duration_since(*then) > WORKER_RESTART_WINDOW;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.len() > WORKER_RESTARTS_MAX
    }
}

impl Supervisor {
    async fn run(self, loaded: Loaded) {
        let mut loaded = Some(loaded);
        let mut failures = Failures::default();
        loop {
            match self.work(loaded.take()).await {
                Ok(()) => return self.shared.working.store(false, Ordering::Release),
                Err(error) => tracing::error!(%error, "the worker failed"),
            }
            if failures.are_too_many(Instant::now()) {
                break;
            }
            tokio::time::sleep(WORKER_RESTART_PAUSE).await;
        }
        self.shared.working.store(false, Ordering::Release);
        tracing::error!("the worker keeps failing: no more requests are accepted");
    }

    async fn work(&self, loaded: Option<Loaded>) -> Result<(), WorkerError> {
        let store = self.shared.store.clone();
        let (pool, options) = (Arc::clone(&self.pool), self.options.clone());
        let first = loaded.is_some();
        let is_alone = self.shared.others.is_none();
        let prepare = move || -> Result<_, StoreError> {
            let mut loaded = match loaded {
                Some(loaded) => loaded,
                None => pool.install(|| load(&store, options.model, options.seed))?,
            };
            if let Learner::Ials(learner) = &mut loaded.trainer.learner {
                learner.warm = Warm::new(options.worker.cholesky_cache_bytes_max);
            }
            let forgotten = ErasureFilter::of_status(ErasureStatus::Forgotten);
            let uncertified = store.erasures(&forgotten, None, usize::MAX)?;
            let (head, tree) = receipt_log::open(&store)?;
            let untold = untold(&store, loaded.header.as_ref().filter(|_| is_alone))?;
            let erasures = (uncertified, untold);
            Ok((loaded, erasures, store.applied()?, head, tree))
        };
        let prepared = tokio::task::spawn_blocking(prepare);
        let (loaded, erasures, applied, head, tree) =
            prepared.await.map_err(|_| WorkerError::Panicked)??;
        let (uncertified, untold) = erasures;
        let learnt = loaded
            .header
            .as_ref()
            .map_or_else(LogPosition::default, |h| h.learnt);
        let dirty = if first {
            DirtyRows::default()
        } else {
            // The worker before may have published rows that differ from these in any place.
            DirtyRows::everything(&loaded.trainer.matrix)
        };
        let number = version(&loaded.header);
        // What the worker before kept may hold what this one never hears of.
        self.shared.publisher.set_certified(None);
        for record in uncertified
            .iter()
            .filter(|_| first || self.shared.others.is_none())
        {
            (self.shared.backlog).enter_forgotten(record.id, record.accepted_at);
        }
        let worker = Worker {
            store: self.shared.store.clone(),
            committer: Committer::new(self.shared.store.clone(), self.stopped.clone()),
            refiner: Refiner::new(Arc::clone(&self.background)),
            gathers_until: Instant::now(),
            factors: if loaded.trainer.has_unlearnt_rows() {
                Factors::Unknown
            } else {
                Factors::Followed
            },
            trainer: loaded.trainer,
            publisher: Arc::clone(&self.shared.publisher),
            backlog: Arc::clone(&self.shared.backlog),
            signer: ReceiptSigner::new(
                Arc::clone(&self.shared.receipt_keys),
                Arc::clone(&self.options.receipt_issuer),
                head,
                tree,
            ),
            options: self.options.worker.clone(),
            pool: Arc::clone(&self.pool),
            log: LogProgress {
                applied,
                learnt,
                loaded_at: loaded.loaded_at,
            },
            live: LiveVersion {
                number,
                term: term(&loaded.header),
                quality: quality(&loaded.header),
                dirty,
                certified: last_certificate(&loaded.header),
            },
            uncertified,
            untold,
            replica: self.replica(),
        };
        worker.run().await
    }
}

/// Erasures that the model of a machine by itself has forgotten, and no record says so of. There are none but
/// where it left a cluster: it may be that no entry of the log had said it yet.
fn untold(store: &Store, header: Option<&ModelHeader>) -> Result<Vec<ErasureRecord>, StoreError> {
    let Some(header) = header.filter(|header| header.term > 0) else {
        return Ok(Vec::new());
    };
    let mut untold = Vec::new();
    for status in [ErasureStatus::Accepted, ErasureStatus::Erased] {
        let records = store.erasures(&ErasureFilter::of_status(status), None, usize::MAX)?;
        untold.extend(
            records
                .into_iter()
                .filter(|it| it.position <= header.learnt.0),
        );
    }
    untold.sort_by_key(|record| record.position);
    Ok(untold)
}

impl Supervisor {
    /// What the worker has besides when its node is one of several.
    fn replica(&self) -> Option<Replica> {
        let others = self.shared.others.as_ref()?;
        Some(Replica::new(
            Arc::clone(&others.replication),
            Arc::clone(&self.shared.versions),
            ReceiptSource {
                keys: Arc::clone(&self.shared.receipt_keys),
                issuer: Arc::clone(&self.options.receipt_issuer),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_long_life_do_not_add_up() {
        let mut failures = Failures::default();
        let start = Instant::now();
        for day in 0..100 {
            let now = start + Duration::from_secs(day * 86_400);
            assert!(!failures.are_too_many(now), "day {day}");
        }
    }

    #[test]
    fn a_fault_that_comes_back_at_once_ends_the_worker() {
        let mut failures = Failures::default();
        let start = Instant::now();
        for second in 0..WORKER_RESTARTS_MAX as u64 {
            assert!(!failures.are_too_many(start + Duration::from_secs(second)));
        }
        assert!(failures.are_too_many(start + Duration::from_secs(599)));
    }
}
