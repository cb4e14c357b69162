//! A plain map to hold a service against, and the service that is held.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use recant_core::optim::als::TrainingOptions;
use recant_service::Service;
use recant_service::WorkerOptions;
use recant_service::train;
use recant_service::{ModelSummary, RecommendQuery, Source, Subject};
use recant_service::{Sequencer, Sequencing, ServiceOptions, WorkerGuard};
use recant_store::{Decided, ImportSession, LogEntry, LogKey, RequestBatch, Store, Tensor};
use recant_testkit::store::{open, options};
use recant_types::{
    Certificate, ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, IalsHyperparameters,
    ItemId, UserId, takes_the_place,
};
use zeroize::Zeroizing;

pub const USERS: u8 = 8;
pub const ITEMS: u8 = 9;

/// Items that have a title, and so stay known without interactions.
pub const TITLED: u8 = 3;

/// Longest that anything awaited may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The residual that is refinement and trained to.
pub const TOLERANCE: f64 = 1e-6;

/// The root mean square that is certified.
pub const TARGET: f64 = 1e-5;

/// What adding up scores in f32 may change in scores of the order of 1.
pub const ROUNDING: f64 = 1e-5;

/// As many dimensions as users: then the factors can take any form that the predictions need.
pub fn hyperparameters() -> IalsHyperparameters {
    IalsHyperparameters {
        dim: USERS as usize,
        alpha0: 0.3,
        lambda: 0.01,
        nu: 1.0,
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub user: u8,
    pub item: u8,
    pub quarters: u8,
    pub timestamp: Option<i64>,
}

impl Row {
    pub fn weight(&self) -> f32 {
        f32::from(self.quarters) / 4.0
    }
}

pub fn user_id(user: u8) -> UserId {
    UserId::new(&format!("user-{user}")).expect("an id")
}

pub fn item_id(item: u8) -> ItemId {
    ItemId::new(&format!("item-{item}")).expect("an id")
}

/// What must be left: the plain map.
#[derive(Debug, Default, Clone)]
pub struct Plain(pub BTreeMap<(u8, u8), (f32, Option<i64>)>);

impl Plain {
    pub fn add(&mut self, rows: &[Row]) {
        for row in rows {
            let pair = (row.user, row.item);
            let before = self.0.get(&pair);
            if before.is_none_or(|(_, before)| takes_the_place(row.timestamp, *before)) {
                self.0.insert(pair, (row.weight(), row.timestamp));
            }
        }
    }

    pub fn users(&self) -> BTreeSet<u8> {
        self.0.keys().map(|(user, _)| *user).collect()
    }

    pub fn items(&self) -> BTreeSet<u8> {
        self.0.keys().map(|(_, item)| *item).collect()
    }

    pub fn content(&self) -> Content {
        let titled = (0..TITLED).chain(self.items());
        let mut histories: BTreeMap<String, History> = BTreeMap::new();
        for ((user, item), held) in &self.0 {
            let history = histories.entry(user_id(*user).expose().to_owned());
            let item = item_id(*item).expose().to_owned();
            history.or_default().insert(item, *held);
        }
        Content {
            items: titled
                .map(|item| (item_id(item).expose().to_owned(), title(item)))
                .collect(),
            histories,
            with_factors: self
                .items()
                .into_iter()
                .map(|i| item_id(i).expose().to_owned())
                .collect(),
        }
    }

    /// Stores these pairs, and the titles, in a store of their own.
    pub fn import(&self, path: &Path) {
        let session = ImportSession::begin(path, &options()).expect("a store");
        let mut writer = session.writer().expect("a writer");
        for ((user, item), (weight, timestamp)) in &self.0 {
            let (user, item) = (user_id(*user), item_id(*item));
            writer
                .push(user.expose(), item.expose(), *weight, *timestamp)
                .expect("a row is taken");
        }
        for item in 0..TITLED {
            let title = title(item).expect("it has one");
            writer
                .set_title(item_id(item).expose(), &title)
                .expect("a title is taken");
        }
        writer.finish().expect("all of it is stored");
    }
}

pub fn title(item: u8) -> Option<String> {
    (item < TITLED).then(|| format!("The title of item {item}"))
}

pub type History = BTreeMap<String, (f32, Option<i64>)>;

/// What a store holds, by ids.
#[derive(Debug, PartialEq)]
pub struct Content {
    items: BTreeMap<String, Option<String>>,
    histories: BTreeMap<String, History>,
    with_factors: BTreeSet<String>,
}

impl Content {
    pub fn of(store: &Store) -> Self {
        let items: BTreeMap<u32, _> = store.items().expect("items").into_iter().collect();
        let said = store.descriptions().expect("descriptions");
        let users: BTreeMap<u32, _> = store.users().expect("users").into_iter().collect();
        let mut histories = BTreeMap::new();
        store
            .visit_histories(|row, held| {
                let of_item = |item: u32| items[&item].id.expose().to_owned();
                let history = held
                    .iter()
                    .map(|h| (of_item(h.item), (h.weight, h.timestamp)));
                let user = users[&row].expose().to_owned();
                histories.insert(user, history.collect::<History>());
            })
            .expect("histories");
        assert_eq!(
            histories.len(),
            users.len(),
            "a user without interactions is stored"
        );
        let mut with_factors = BTreeSet::new();
        store
            .visit_tensor(Tensor::ItemFactors, |row, _| {
                with_factors.insert(items[&row].id.expose().to_owned());
            })
            .expect("factors");
        let bare = items
            .into_values()
            .map(|item| (item.id.expose().to_owned(), None));
        let described = said.into_iter().map(|said| {
            let title = said.title.map(|title| title.to_string());
            (said.id.expose().to_owned(), title)
        });
        Self {
            items: bare.chain(described).collect(),
            histories,
            with_factors,
        }
    }
}

/// The service under test, which can be stopped and started again.
pub struct Running {
    pub path: PathBuf,
    pub store: Store,
    pub service: Service,
    pub guard: WorkerGuard,
    goal: Goal,
}

/// What a service is started with.
#[derive(Debug, Clone, Copy)]
struct Goal {
    hyper: IalsHyperparameters,
    tolerance: f64,
    target: f64,
    commits: Commits,
}

/// How a service commits what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// By its store.
    Alone,
    /// As one of many would: decided first, and committed by the bytes of what was decided.
    AsDecided,
}

/// Decides a request and commits it, one after the other.
struct Decides {
    store: Store,
    /// The number of the last entry.
    entries: Arc<tokio::sync::Mutex<u64>>,
}

impl Sequencer for Decides {
    fn commit(&self, batch: RequestBatch) -> Sequencing {
        let (store, entries) = (self.store.clone(), Arc::clone(&self.entries));
        let task = tokio::spawn(async move {
            let mut entries = entries.lock().await;
            let decided = store.decide(vec![batch]).await?;
            let bytes = decided.iter().map(Decided::to_bytes);
            let read = |bytes: Vec<u8>| Decided::from_bytes(&bytes).expect("whole");
            *entries += 1;
            let entry = LogEntry {
                decided: bytes.map(read).collect(),
                mark: entries.to_le_bytes().to_vec(),
                key: LogKey::new(0, *entries, Zeroizing::new([*entries as u8; 32])),
                places: Vec::new(),
            };
            let outcomes = store.commit_entry(entry).await?;
            Ok(outcomes.into_iter().next().expect("an outcome")?)
        });
        Box::pin(async { task.await.expect("no panic") })
    }
}

impl Goal {
    fn reached() -> Self {
        Self {
            hyper: hyperparameters(),
            tolerance: TOLERANCE,
            target: TARGET,
            commits: Commits::Alone,
        }
    }
}

impl Running {
    pub async fn start(path: &Path) -> Self {
        Self::start_towards(path, Goal::reached()).await
    }

    /// A service that commits so.
    pub async fn start_committing(path: &Path, commits: Commits) -> Self {
        let goal = Goal {
            commits,
            ..Goal::reached()
        };
        Self::start_towards(path, goal).await
    }

    /// A service of a model with so many dimensions.
    pub async fn start_with_dim(path: &Path, dim: usize) -> Self {
        let hyper = IalsHyperparameters {
            dim,
            ..hyperparameters()
        };
        let goal = Goal {
            hyper,
            ..Goal::reached()
        };
        Self::start_towards(path, goal).await
    }

    /// A service whose refinements never reach what they work to: a checkpoint is alive nearly always.
    pub async fn start_refining(path: &Path) -> Self {
        let goal = Goal {
            tolerance: 0.0,
            target: 0.0,
            ..Goal::reached()
        };
        Self::start_towards(path, goal).await
    }

    async fn start_towards(path: &Path, goal: Goal) -> Self {
        let store = open(path);
        let options = ServiceOptions {
            model: goal.hyper.into(),
            seed: 1,
            queue_max: 1_000,
            certificate_wait_max: None,
            receipt_issuer: "recant".into(),
            content: None,
            worker: WorkerOptions {
                update_budget: Duration::from_millis(10),
                update_tolerance: TOLERANCE,
                tolerance: goal.tolerance,
                refinement_rounds: 5,
                certificate_target: goal.target,
                threads: 1,
                cholesky_cache_bytes_max: 1 << 28,
            },
        };
        let started = match goal.commits {
            Commits::Alone => Service::start(store.clone(), options).await,
            Commits::AsDecided => {
                let mark = store.mark().expect("readable").unwrap_or_default();
                let mark = mark.try_into().map_or(0, u64::from_le_bytes);
                let decides = Decides {
                    store: store.clone(),
                    entries: Arc::new(mark.into()),
                };
                Service::start_with(store.clone(), Arc::new(decides), options).await
            }
        };
        let (service, guard) = started.expect("the service starts");
        Self {
            path: path.to_owned(),
            store,
            service,
            guard,
            goal,
        }
    }

    pub async fn restart(self) -> Self {
        let goal = self.goal;
        self.restart_towards(goal).await
    }

    /// Goes on with a goal that is reached.
    pub async fn restart_to_certify(self) -> Self {
        self.restart_towards(Goal::reached()).await
    }

    async fn restart_towards(self, goal: Goal) -> Self {
        let path = self.path.clone();
        self.guard.stop().await;
        drop((self.service, self.store));
        Self::start_towards(&path, goal).await
    }

    /// Whether a refinement can reach what it works to.
    pub fn may_certify(&self) -> bool {
        self.goal.target > 0.0
    }

    pub async fn erase(&self, target: ErasureTarget) -> ErasureId {
        self.service
            .erase(target, None)
            .await
            .expect("it is accepted")
            .record
            .id
    }

    /// Waits until everything so far is learnt and forgotten; returns an erasure that came last.
    pub async fn until_forgotten(&self) -> ErasureId {
        let nobody = UserId::new("nobody").expect("an id");
        let last = self.erase(ErasureTarget::User(nobody)).await;
        let waited = self.service.wait_forgotten(last, PATIENCE).await;
        let status = waited.expect("readable").expect("known").status;
        assert!(status >= ErasureStatus::Forgotten, "still {status}");
        last
    }

    pub async fn until_certified(&self) {
        let last = self.until_forgotten().await;
        self.certified(last).await;
    }

    /// Waits until the erasure is certified.
    pub async fn certified(&self, id: ErasureId) -> ErasureRecord {
        let is_certified = |record: &ErasureRecord| record.status == ErasureStatus::Certified;
        self.until(id, is_certified).await
    }

    /// Waits until the erasure is as `is_so` wants it.
    pub async fn until(
        &self,
        id: ErasureId,
        is_so: impl Fn(&ErasureRecord) -> bool,
    ) -> ErasureRecord {
        let started = Instant::now();
        loop {
            let record = self.service.erasure(id).await.expect("readable");
            let record = record.expect("known");
            if is_so(&record) {
                return record;
            }
            assert!(started.elapsed() < PATIENCE, "still {record:?}");
            tokio::task::yield_now().await;
        }
    }

    pub async fn assert_holds(&self, plain: &Plain) {
        assert_eq!(Content::of(&self.store), plain.content());
        let model = self.service.model();
        assert_eq!(
            (model.users, model.items, model.interactions),
            (plain.users().len(), plain.items().len(), plain.0.len())
        );
        for user in 0..USERS {
            let exported = self.service.export(&user_id(user)).await.expect("readable");
            let exported: History = exported
                .into_iter()
                .map(|held| (held.item.expose().to_owned(), (held.weight, held.timestamp)))
                .collect();
            let histories = plain.content().histories;
            let wanted = histories.get(user_id(user).expose()).cloned();
            assert_eq!(exported, wanted.unwrap_or_default());
        }
    }

    /// The scores of every held item for every held user.
    pub async fn scores(&self, plain: &Plain) -> BTreeMap<(u8, String), f32> {
        let mut scores = BTreeMap::new();
        for user in plain.users() {
            let query = RecommendQuery {
                exclude_seen: false,
                ..RecommendQuery::new(Subject::User(user_id(user)), usize::from(ITEMS))
            };
            let answer = self.service.recommend(query).await.expect("an answer");
            assert_eq!(answer.source, Source::Model);
            assert_eq!(answer.items.len(), plain.items().len());
            let scored = answer.items.into_iter();
            scores.extend(scored.map(|s| ((user, s.item.expose().to_owned()), s.score)));
        }
        scores
    }
}

/// Trains on what the store at `path` holds, unless that is nothing.
pub fn train_from_scratch(path: &Path) {
    let store = Store::open(path, &options()).expect("a store");
    let options = TrainingOptions {
        seed: 7,
        tolerance: TOLERANCE,
        max_sweeps: 5_000,
        ..TrainingOptions::default()
    };
    let trained = train(&store, hyperparameters(), &options, TARGET, &mut |_| {
        ControlFlow::Continue(())
    });
    let trained = trained.expect("training ends");
    assert!(trained.report.converged);
}

/// Holds the scores of a service that is certified, and stopped by this, against those of a model
/// trained on nothing but `plain` in a store at `other`: within the two certified bounds.
pub async fn assert_predicts_like_a_retrain(running: Running, plain: &Plain, other: &Path) {
    let (live, scores) = (running.service.model(), running.scores(plain).await);
    running.guard.stop().await;
    plain.import(other);
    if plain.0.is_empty() {
        return;
    }
    tokio::task::block_in_place(|| train_from_scratch(other));
    let fresh = Running::start(other).await;
    let (trained, wanted) = (fresh.service.model(), fresh.scores(plain).await);
    fresh.guard.stop().await;
    assert!(scores.keys().eq(wanted.keys()));
    let bound = proven(&live) + proven(&trained) + ROUNDING;
    for (pair, score) in scores {
        let apart = f64::from((score - wanted[&pair]).abs());
        assert!(
            apart <= bound,
            "{pair:?} is scored {score} and should be {}; bound {bound}, live {live:?}, trained \
             {trained:?}",
            wanted[&pair],
        );
    }
}

/// The certified bound on the distance to the one minimum, which must meet its target.
pub fn proven(model: &ModelSummary) -> f64 {
    match &model.certificate {
        Some(Certificate::DualityGap(gap)) => {
            assert!(gap.holds, "{gap:?}");
            gap.frobenius
        }
        other => panic!("{other:?} is no proof"),
    }
}

pub fn block_on(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(check);
}

/// No file under `data` holds any of the ids.
pub fn assert_illegible(data: &Path) {
    for entry in std::fs::read_dir(data).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_illegible(&path);
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        let found = bytes.windows(5).any(|w| w == b"user-" || w == b"item-");
        assert!(!found, "{}", path.display());
    }
}
