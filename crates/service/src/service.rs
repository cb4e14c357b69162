//! The handle that routes and commands hold.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{Semaphore, watch};

use crate::backlog::{Backlog, Hidden};
use crate::content::Matching;
use crate::curator::Curator;
use crate::foreground::Foreground;
use crate::metric_names as names;
use crate::publish::Publisher;
use crate::query::{
    Added, AsOf, BatchQuery, CertifiedSummary, ExportedInteraction, ModelSummary, RecommendQuery,
    Recommendations, ServiceError, SimilarItems, SimilarQuery, Subject,
};
use crate::replication::Replication;
use crate::selection::{Selected, Selection};
use crate::sequencer::{Sequencer, SequencerError};
use crate::snapshot::{ServedModel, Snapshot};
use crate::update_feed::Versions;
use crate::webhooks::Told;
use recant_core::topk::Bitmap;
use recant_receipt::JwkSet;
use recant_store::Committed;
use recant_store::RequestBatch;
use recant_store::{ReceiptKeys, Sealer, Store, StoreError};
use recant_types::{Event, Interaction, ItemId, UnixMillis, UserId};

/// Multiply-adds of a scan that may run on the async threads: below about 50 µs a hop to another
/// thread costs more than it saves.
const INLINE_MULTIPLY_ADDS_MAX: usize = 1 << 20;

/// Codes in an index whose queries may run there: at worst, where nothing can be left out, the
/// first-level codes of so many items are read in 50 µs; of a trained model a hundredth of it.
const INLINE_CODES_MAX: usize = 1 << 22;

/// What a look at what is said about an item takes, as multiply-adds.
const LOOK_MULTIPLY_ADDS: usize = 1_000;

/// Users of a batch that share one walk through the items, and one stay on a blocking thread.
const BATCH_BLOCK: usize = 64;

/// Blocks of one batch that are computed ahead of the connection that takes them.
const BATCH_BLOCKS_AHEAD: usize = 2;

/// Batches answered at once; more are turned away.
pub(crate) const BATCHES_MAX: usize = 8;

/// Scans and store reads under way at once on the blocking pool. A timed-out request does not
/// cancel its work, so without a bound abandoned work could pile up.
pub(crate) const BLOCKING_WORK_MAX: usize = 32;

/// The handle that routes and commands hold. Cloning shares it.
#[derive(Clone)]
pub struct Service(pub(crate) Arc<Shared>);

/// Longest that finding the rows of a filter may take.
pub(crate) const FILTER_PATIENCE: Duration = Duration::from_secs(5);

/// What all clones of a [`Service`] share with the worker.
pub(crate) struct Shared {
    pub(crate) store: Store,
    /// Who commits what callers ask for.
    pub(crate) sequencer: Arc<dyn Sequencer>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) receipt_keys: Arc<ReceiptKeys>,
    /// The public ones, and those of other nodes.
    pub(crate) published_keys: ArcSwap<JwkSet>,
    /// The name that receipts are signed under.
    pub(crate) receipt_issuer: Arc<str>,
    pub(crate) curator: Curator,
    /// What answers take.
    pub(crate) foreground: Foreground,
    pub(crate) blocking: Semaphore,
    /// Held while the rows of a filter are found.
    pub(crate) filtering: Arc<Semaphore>,
    pub(crate) batches: Arc<Semaphore>,
    /// Erasures that may wait at once.
    pub(crate) queue_max: usize,
    /// Longest that an erasure may wait for its certificate while additions are taken.
    pub(crate) certificate_wait_max: Option<Duration>,
    /// The endpoints of webhooks; none before they are started.
    pub(crate) told: OnceLock<Vec<Arc<Told>>>,
    /// The versions for other nodes, while this one leads.
    pub(crate) versions: Arc<Versions>,
    /// There where the node is one of several.
    pub(crate) others: Option<Others>,
    /// Whether the worker runs: without it nothing accepted would ever be forgotten.
    pub(crate) working: AtomicBool,
}

/// What a service knows of the other nodes.
pub(crate) struct Others {
    pub(crate) replication: Arc<dyn Replication>,
    /// How many facts the store has written down.
    pub(crate) facts: Arc<watch::Sender<u64>>,
}

impl Others {
    pub(crate) fn new(replication: Arc<dyn Replication>) -> Self {
        Self {
            replication,
            facts: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Recommendations from the live model. Large scans run on a bounded pool, so that they do not
    /// stall the async threads.
    pub async fn recommend(&self, query: RecommendQuery) -> Result<Recommendations, ServiceError> {
        let _answering = self.0.foreground.answering();
        let (snapshot, query) = self.answering(query);
        let nameable = self.nameable(&query).await?;
        let matching = self.matching_both(&snapshot, &query.selection).await?;
        let dim = snapshot.item_factors.dim();
        let folded = match &query.subject {
            Subject::User(_) => 0,
            Subject::History(items) => (items.len() + dim) * dim * dim,
        };
        let codes = snapshot.item_index.active() * dim;
        // An explanation adds all scores up once more, in f64.
        let indexed = matches!(snapshot.model, ServedModel::Ials { .. });
        let content = snapshot.content.as_ref().map_or(0, |content| {
            // A selection may have to look at what is said of each.
            let looks = if query.selection.is_open() {
                1
            } else {
                LOOK_MULTIPLY_ADDS
            };
            content.len() * (dim + looks)
        });
        let inline =
            indexed && codes <= INLINE_CODES_MAX && folded + content <= INLINE_MULTIPLY_ADDS_MAX;
        // Diversity compares items with each other.
        if inline && !query.explain && query.arrangement.diversity == 0.0 {
            return Ok(snapshot.recommend(&query, matching.as_ref(), None));
        }
        let work = move || snapshot.recommend(&query, matching.as_ref(), nameable.as_ref());
        self.blocking(work).await
    }

    /// The items that an explanation may name of a user's history: those of the export that something
    /// held says were wanted. A version may still hold what an accepted erasure names, until it is
    /// forgotten; the store does not. `None` where nothing is named, or where the history is the
    /// caller's own.
    async fn nameable(
        &self,
        query: &RecommendQuery,
    ) -> Result<Option<HashSet<ItemId>>, ServiceError> {
        match &query.subject {
            Subject::User(user) if query.explain && query.because > 0 => {
                let types = self.0.store.feedback()?;
                let was_wanted = |held: &ExportedInteraction| {
                    let number = types.number(&held.feedback);
                    number.is_some_and(|number| types.rule(number).target > 0.0)
                };
                let held = self.processed(user).await?.into_iter();
                Ok(Some(
                    held.filter(was_wanted).map(|held| held.item).collect(),
                ))
            }
            _ => Ok(None),
        }
    }

    /// The rows of a version of which the filter of `selection` is true: at hand when it was asked for
    /// lately, else found once, by one question at a time, and kept.
    pub(crate) async fn matching(
        &self,
        snapshot: &Arc<Snapshot>,
        selection: &Selection,
    ) -> Result<Option<Bitmap>, ServiceError> {
        let Some(expression) = &selection.filter else {
            return Ok(None);
        };
        if let Some(rows) = snapshot.catalogue.filtered(expression) {
            return Ok(Some(rows));
        }
        let one = Arc::clone(&self.0.filtering).acquire_owned().await;
        let one = one.map_err(|_| ServiceError::ShuttingDown)?;
        let (publisher, snapshot) = (Arc::clone(&self.0.publisher), Arc::clone(snapshot));
        let expression = expression.clone();
        let find = move || {
            let _one = one;
            // Somebody else may have found them meanwhile.
            let live = publisher.current();
            let newer = live.catalogue.filtered(&expression);
            if let Some(rows) = newer.filter(|_| live.version == snapshot.version) {
                return Some(rows);
            }
            let rows = snapshot.catalogue.filter(&expression, FILTER_PATIENCE)?;
            publisher.keep_filter(&expression, &rows, &snapshot);
            Some(rows)
        };
        let found = self.blocking(find).await?;
        found.map(Some).ok_or(ServiceError::FilterTooCostly)
    }

    /// What the filter of `selection` leaves of a version, its content rows among it.
    async fn matching_both(
        &self,
        snapshot: &Arc<Snapshot>,
        selection: &Selection,
    ) -> Result<Option<Matching>, ServiceError> {
        let Some(rows) = self.matching(snapshot, selection).await? else {
            return Ok(None);
        };
        if snapshot.content.is_none() {
            let content = None;
            return Ok(Some(Matching { rows, content }));
        }
        let (snapshot, selection) = (Arc::clone(snapshot), selection.clone());
        let find = move || {
            let selected = Selected::new(&selection, []);
            let content = snapshot.content.as_ref()?;
            content.matching(&selected, &snapshot.catalogue, FILTER_PATIENCE)
        };
        let found = self.blocking(find).await?;
        let content = Some(found.ok_or(ServiceError::FilterTooCostly)?);
        Ok(Some(Matching { rows, content }))
    }

    /// The version that answers `query`, and the query for it.
    fn answering(&self, mut query: RecommendQuery) -> (Arc<Snapshot>, RecommendQuery) {
        let live = self.0.publisher.current();
        let certified = match query.as_of {
            AsOf::Live => None,
            AsOf::Certified => self.0.publisher.certified(),
        };
        let Some(certified) = certified else {
            return (live, query);
        };
        if let Subject::User(user) = &query.subject {
            if certified.users.row(user).is_none() {
                return (live, query);
            }
            if query.exclude_seen {
                // What they have had since, the earlier version cannot know.
                query.selection.exclude.extend(live.seen_by(user));
            }
        }
        (certified, query)
    }

    /// The lists of many users, all from the live model of now, block after block in the order of
    /// the question. What each list becomes is for `make` to say, on the thread that found it.
    ///
    /// Blocks are computed as the stream is read, a few ahead. Refused when too many batches are
    /// under way.
    pub async fn recommend_batch<T: Send + 'static>(
        &self,
        query: BatchQuery,
        make: impl Fn(&UserId, Recommendations) -> T + Send + Sync + 'static,
    ) -> Result<impl Stream<Item = Result<Vec<T>, ServiceError>> + Send + 'static, ServiceError>
    {
        let permit = Arc::clone(&self.0.batches).try_acquire_owned();
        let permit = permit.map_err(|_| ServiceError::Overloaded)?;
        let snapshot = self.0.publisher.current();
        let matching = self.matching_both(&snapshot, &query.selection).await?;
        let work = Arc::new((snapshot, query, make, permit, matching));
        let service = self.clone();
        let starts = (0..work.1.users.len()).step_by(BATCH_BLOCK);
        let blocks = stream::iter(starts).map(move |start| {
            let (service, work) = (service.clone(), Arc::clone(&work));
            async move {
                let foreground = service.0.foreground.clone();
                let block = move || {
                    let _answering = foreground.answering();
                    let (snapshot, query, make, _, matching) = &*work;
                    let end = query.users.len().min(start + BATCH_BLOCK);
                    let users = &query.users[start..end];
                    let lists = snapshot.recommend_each(users, query, matching.as_ref());
                    users
                        .iter()
                        .zip(lists)
                        .map(|(user, list)| make(user, list))
                        .collect()
                };
                service.blocking(block).await
            }
        });
        Ok(blocks.buffered(BATCH_BLOCKS_AHEAD))
    }

    /// Items whose factors point the same way; `None` when the item is unknown.
    pub async fn similar(&self, query: SimilarQuery) -> Result<Option<SimilarItems>, ServiceError> {
        let _answering = self.0.foreground.answering();
        let snapshot = self.0.publisher.current();
        let matching = self.matching(&snapshot, &query.selection).await?;
        self.scan(
            2 * snapshot.item_factors.rows() * snapshot.item_factors.dim(),
            move || snapshot.similar(&query, matching.as_ref()),
        )
        .await
    }

    async fn scan<T: Send + 'static>(
        &self,
        multiply_adds: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        if multiply_adds <= INLINE_MULTIPLY_ADDS_MAX {
            Ok(work())
        } else {
            self.blocking(work).await
        }
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let permit = self
            .0
            .blocking
            .acquire()
            .await
            .map_err(|_| ServiceError::ShuttingDown)?;
        let result = tokio::task::spawn_blocking(work).await;
        drop(permit);
        result.map_err(|_| ServiceError::Internal)
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.0.store.clone();
        self.blocking(move || work(&store))
            .await?
            .map_err(ServiceError::from)
    }

    /// Seals texts for `purpose` that others keep, always under the same key. Of two first calls at the same
    /// time one may be answered with a key that does not stay: ask once.
    pub async fn sealer(&self, purpose: &'static str) -> Result<Sealer, ServiceError> {
        self.read(move |store| store.sealer(purpose)).await
    }

    /// Makes interactions durable; the live model learns them in the background. Those that
    /// happened before an erasure that names them are held back.
    pub async fn add(&self, interactions: Vec<Interaction>) -> Result<Added, ServiceError> {
        if interactions.is_empty() {
            return Ok(Added::default());
        }
        self.check_running()?;
        self.check_certificates()?;
        let given = interactions.len();
        let mut batch = RequestBatch::default();
        batch.append(Event::Add(interactions));
        let held_back = self.commit(batch).await?.held_back;
        Ok(Added {
            accepted: given - held_back,
            held_back,
        })
    }

    /// Refuses additions while an erasure has waited longer for its certificate than it is to: each
    /// addition makes the next certificate later.
    fn check_certificates(&self) -> Result<(), ServiceError> {
        let Some(longest) = self.0.certificate_wait_max else {
            return Ok(());
        };
        let oldest = self.0.backlog.oldest_untried();
        if oldest.is_some_and(|oldest| seconds_since(oldest) > longest.as_secs_f64()) {
            metrics::counter!(names::ADDITIONS_DEFERRED_TOTAL).increment(1);
            return Err(ServiceError::CertificatesBehind);
        }
        Ok(())
    }

    /// Commits a request, in time.
    pub(crate) async fn commit(&self, batch: RequestBatch) -> Result<Committed, ServiceError> {
        let committed = self.in_time(self.0.sequencer.commit(batch)).await?;
        committed.map_err(ServiceError::from)
    }

    /// What comes of a commit. A disk that does not finish a sync is an answer, too, where the store is the only
    /// one: what becomes of the request is open then. Among several nodes the caller's own limit counts.
    pub(crate) async fn in_time<T>(
        &self,
        commit: impl Future<Output = T>,
    ) -> Result<T, ServiceError> {
        let Some(longest) = self.0.sequencer.longest() else {
            return Ok(commit.await);
        };
        let done = tokio::time::timeout(longest, commit).await;
        done.map_err(|_| ServiceError::Stalled)
    }

    /// Everything that is held of what a user did, processed or not; empty for an unknown one. What an
    /// accepted erasure names is already left out.
    pub async fn export(&self, user: &UserId) -> Result<Vec<ExportedInteraction>, ServiceError> {
        let processed = self.processed(user).await?;
        let kept = self.kept(user).await?;
        // Restricted between the two: then what was read first is among what is kept.
        Ok(if kept.is_empty() { processed } else { kept })
    }

    /// The part of an export that is processed: nothing of somebody whose processing is restricted.
    pub async fn processed(&self, user: &UserId) -> Result<Vec<ExportedInteraction>, ServiceError> {
        let Some(row) = self.0.publisher.current().users.row(user) else {
            return Ok(Vec::new());
        };
        let id = user.clone();
        let before = self.0.backlog.hidden_of(user);
        let mut held = self.read(move |store| held_by(store, row, &id)).await?;
        let after = self.0.backlog.hidden_of(user);
        let hides =
            |hidden: &Hidden, held: &ExportedInteraction| hidden.hides(&held.item, &held.feedback);
        held.retain(|held| !hides(&before, held) && !hides(&after, held));
        self.add_titles(&mut held);
        Ok(held)
    }

    /// What is kept of a user whose processing is restricted.
    async fn kept(&self, user: &UserId) -> Result<Vec<ExportedInteraction>, ServiceError> {
        let user = user.clone();
        let kept = self.read(move |store| store.kept(&user)).await?.into_iter();
        let kept = kept.map(|kept| ExportedInteraction {
            item: kept.item,
            title: None,
            feedback: kept.feedback,
            weight: kept.weight,
            timestamp: kept.timestamp,
        });
        let mut kept = kept.collect::<Vec<_>>();
        self.add_titles(&mut kept);
        Ok(kept)
    }

    /// Gives rows the titles that the catalogue has now.
    fn add_titles(&self, rows: &mut [ExportedInteraction]) {
        let catalogue = self.catalogue();
        for row in rows {
            let said = catalogue.item(&row.item);
            row.title = said.and_then(|said| said.title.clone());
        }
    }

    /// What `/model` shows.
    pub fn model(&self) -> ModelSummary {
        let snapshot = self.0.publisher.current();
        ModelSummary {
            version: snapshot.version,
            term: snapshot.term,
            dim: snapshot.item_factors.dim(),
            model: snapshot.model.configuration(),
            seed: snapshot.seed,
            users: snapshot.active_users,
            items: snapshot.active_items,
            interactions: snapshot.interactions,
            objective: snapshot.quality.objective,
            residual: snapshot.quality.residual,
            measured_version: snapshot.quality.measured_version,
            certificate: snapshot.quality.certificate.clone(),
            certified: self.certified(),
        }
    }

    /// Where the last certificate that held was given, and what happened since.
    fn certified(&self) -> Option<CertifiedSummary> {
        let last = self.0.publisher.progress().last_certificate?;
        let newest = *self.0.store.watch_log().borrow();
        Some(CertifiedSummary {
            version: last.version,
            position: last.position.0,
            at: last.at,
            age_seconds: seconds_since(last.at),
            events_since: newest.0.saturating_sub(last.position.0),
        })
    }

    /// Whether requests can be accepted and will be worked off.
    pub fn is_ready(&self) -> bool {
        self.check_running().is_ok()
    }

    /// Whether there is a worker that learns and forgets and a store that takes what it writes. Once one of
    /// them is gone, nothing that waits is ever done: the process has to be started again.
    pub fn is_working(&self) -> bool {
        self.0.working.load(Ordering::Acquire) && self.has_open_store()
    }

    /// Whether the store can still be written to. It closes by itself only after its disk failed.
    pub fn has_open_store(&self) -> bool {
        self.0.store.check_open().is_ok()
    }

    pub(crate) fn check_running(&self) -> Result<(), ServiceError> {
        if !self.0.working.load(Ordering::Acquire) {
            return Err(ServiceError::ShuttingDown);
        }
        let store = &self.0.store;
        let checked = store.check_open().and_then(|()| store.check_syncs());
        checked.map_err(ServiceError::from)
    }

    /// Brings the gauges that are computed on demand up to date, before a scrape.
    pub fn refresh_gauges(&self) {
        let oldest_seconds = self.0.backlog.oldest().map_or(0.0, seconds_since);
        let uncertified = self.0.backlog.oldest_uncertified();
        metrics::gauge!(names::ERASURE_OLDEST_UNCERTIFIED_SECONDS)
            .set(uncertified.map_or(0.0, seconds_since));
        if let Some(certified) = self.certified() {
            metrics::gauge!(names::CERTIFICATE_AGE_SECONDS).set(certified.age_seconds);
            metrics::gauge!(names::EVENTS_SINCE_CERTIFICATE).set(certified.events_since as f64);
        }
        metrics::gauge!(names::ERASURE_QUEUE_DEPTH).set(self.0.backlog.depth() as f64);
        metrics::gauge!(names::ERASURE_OLDEST_PENDING_SECONDS).set(oldest_seconds);
        metrics::gauge!(names::WORKER_RUNNING).set(f64::from(u8::from(self.is_working())));
        if let Ok(free) = self.0.store.free_bytes() {
            metrics::gauge!(recant_store::metric_names::STORE_FREE_BYTES).set(free as f64);
        }
        if let Ok(state) = self.0.store.compaction_state() {
            metrics::gauge!(recant_store::metric_names::COMPACTION_LAST_TIMESTAMP_SECONDS)
                .set(state.last_at.0 as f64 / 1_000.0);
            metrics::gauge!(recant_store::metric_names::COMPACTION_PENDING_ERASURES)
                .set(state.pending_erasures as f64);
        }
    }
}

fn seconds_since(moment: UnixMillis) -> f64 {
    (UnixMillis::now().0 - moment.0).max(0) as f64 / 1_000.0
}

/// What the store holds of the user whose row was `row` a moment ago. Rows may change hands while it is
/// read: this user's to another one, and those of the items. So it is what is read between two looks that
/// see the same.
fn held_by(store: &Store, row: u32, user: &UserId) -> Result<Vec<ExportedInteraction>, StoreError> {
    let look = || -> Result<_, StoreError> {
        let is_theirs = store.user(row)?.as_ref() == Some(user);
        let history = is_theirs.then(|| store.history(row)).transpose()?;
        Ok(history.unwrap_or_default())
    };
    let mut history = look()?;
    loop {
        let types = store.feedback()?;
        let mut held = Vec::new();
        for interaction in &history {
            if let Some(record) = store.item(interaction.item)? {
                held.push(ExportedInteraction {
                    item: record.id,
                    title: None,
                    feedback: types.name(interaction.feedback),
                    weight: interaction.weight,
                    timestamp: interaction.timestamp,
                });
            }
        }
        let again = look()?;
        if again == history {
            return Ok(held);
        }
        history = again;
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace { .. } => Self::NoSpace,
            StoreError::IdempotencyKeyReused => Self::IdempotencyKeyReused,
            StoreError::Stalled { .. } => Self::Stalled,
            error => {
                tracing::error!(%error, "the store failed");
                Self::Store
            }
        }
    }
}

impl From<SequencerError> for ServiceError {
    fn from(error: SequencerError) -> Self {
        match error {
            SequencerError::Store(error) => error.into(),
            // Who cannot reach the log leads nobody.
            SequencerError::NoLeader | SequencerError::LogUnreachable => Self::NoLeader,
            SequencerError::LeadershipLost => Self::LeadershipLost,
            SequencerError::LogFull => Self::LogFull,
            SequencerError::TooLong { bytes } => Self::TooLong { bytes },
        }
    }
}

#[cfg(test)]
mod tests {
    use recant_store::StoreOptions;
    use recant_types::{ErasureId, ErasureTarget, IalsHyperparameters};

    use super::*;
    use crate::start::ServiceOptions;
    use crate::worker::WorkerOptions;

    fn options() -> ServiceOptions {
        ServiceOptions {
            model: IalsHyperparameters::default().into(),
            seed: 1,
            queue_max: 100,
            content: None,
            certificate_wait_max: Some(Duration::from_secs(60)),
            receipt_issuer: "recant".into(),
            worker: WorkerOptions {
                update_budget: Duration::from_millis(2),
                update_tolerance: 1e-5,
                tolerance: 1e-5,
                refinement_rounds: 5,
                certificate_target: 1e-4,
                threads: 1,
                cholesky_cache_bytes_max: 1 << 20,
            },
        }
    }

    #[tokio::test]
    async fn additions_wait_for_certificates_that_are_late_and_erasures_never_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &StoreOptions::default()).expect("a store");
        let started = Service::start(store, options()).await;
        let (service, guard) = started.expect("it starts");
        let ada = UserId::new("ada").expect("an id");
        let addition = Interaction {
            user: ada.clone(),
            item: ItemId::new("dune").expect("an id"),
            feedback: Default::default(),
            weight: 1.0,
            timestamp: None,
        };
        let add = async || service.add(vec![addition.clone()]).await;
        let (late, lately) = (ErasureId::generate(), ErasureId::generate());
        service.0.backlog.enter_forgotten(lately, UnixMillis::now());
        assert!(add().await.is_ok());
        service.0.backlog.enter_forgotten(late, UnixMillis(0));
        let refused = add().await;
        assert!(matches!(refused, Err(ServiceError::CertificatesBehind)));
        let erased = service.erase(ErasureTarget::User(ada), None).await;
        assert!(erased.is_ok());
        service.0.backlog.refused(late);
        assert!(add().await.is_ok());
        guard.stop().await;
    }
}
