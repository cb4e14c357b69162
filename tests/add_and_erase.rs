//! Whatever was added and erased, in whatever order and with whatever restarts in between: the
//! service ends with exactly what a plain map holds, and predicts what a model would that was
//! trained on nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use recant::erasure::ErasureStatus;
use recant::event::{ErasureTarget, Interaction};
use recant::ids::{ErasureId, ItemId, UserId};
use recant::model::certificate::Certificate;
use recant::model::hyper::IalsHyperparameters;
use recant::optim::als::TrainingOptions;
use recant::service::Service;
use recant::service::query::{ModelSummary, RecommendQuery, Source, Subject};
use recant::service::start::{ServiceOptions, WorkerGuard};
use recant::service::training::train;
use recant::service::worker::WorkerOptions;
use recant::store::batch::Tensor;
use recant::store::import::ImportSession;
use recant::store::{Store, StoreOptions};

const USERS: u8 = 8;
const ITEMS: u8 = 9;

/// Items that have a title, and so stay known without interactions.
const TITLED: u8 = 3;

/// Longest that anything awaited may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The residual that is polished and trained to.
const TOLERANCE: f64 = 1e-6;

/// The root mean square that is certified.
const TARGET: f64 = 1e-5;

/// What adding up scores in f32 may change in scores of the order of 1.
const ROUNDING: f64 = 1e-5;

/// As many dimensions as users: then the factors can take any form that the predictions need.
fn hyperparameters() -> IalsHyperparameters {
    IalsHyperparameters {
        dim: USERS as usize,
        alpha0: 0.3,
        lambda: 0.01,
        nu: 1.0,
    }
}

#[derive(Debug, Clone, Copy)]
struct Row {
    user: u8,
    item: u8,
    quarters: u8,
    timestamp: Option<i64>,
}

impl Row {
    fn weight(&self) -> f32 {
        f32::from(self.quarters) / 4.0
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Row>),
    ErasePairs(Vec<(u8, u8)>),
    EraseUser(u8),
    EraseItem(u8),
    Restart,
    AwaitForgotten,
    AwaitCertified,
}

fn rows(counts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    let row = (0..USERS, 0..ITEMS, 1_u8..12, prop::option::of(any::<i64>()));
    let row = row.prop_map(|(user, item, quarters, timestamp)| Row {
        user,
        item,
        quarters,
        timestamp,
    });
    prop::collection::vec(row, counts)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => rows(1..2).prop_map(Step::Add),
        2 => rows(2..12).prop_map(Step::Add),
        4 => prop::collection::vec((0..USERS, 0..ITEMS), 1..4).prop_map(Step::ErasePairs),
        2 => (0..USERS).prop_map(Step::EraseUser),
        2 => (0..ITEMS).prop_map(Step::EraseItem),
        1 => Just(Step::Restart),
        1 => Just(Step::AwaitForgotten),
        1 => Just(Step::AwaitCertified),
    ]
}

fn user_id(user: u8) -> UserId {
    UserId::new(&format!("user-{user}")).expect("an id")
}

fn item_id(item: u8) -> ItemId {
    ItemId::new(&format!("item-{item}")).expect("an id")
}

/// What must be left: the plain map.
#[derive(Debug, Default, Clone)]
struct Plain(BTreeMap<(u8, u8), (f32, Option<i64>)>);

impl Plain {
    fn add(&mut self, rows: &[Row]) {
        for row in rows {
            let held = (row.weight(), row.timestamp);
            self.0.insert((row.user, row.item), held);
        }
    }

    fn users(&self) -> BTreeSet<u8> {
        self.0.keys().map(|(user, _)| *user).collect()
    }

    fn items(&self) -> BTreeSet<u8> {
        self.0.keys().map(|(_, item)| *item).collect()
    }

    fn content(&self) -> Content {
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
    fn import(&self, path: &Path) {
        let session = ImportSession::begin(path, &StoreOptions::default()).expect("a store");
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

fn title(item: u8) -> Option<String> {
    (item < TITLED).then(|| format!("The title of item {item}"))
}

type History = BTreeMap<String, (f32, Option<i64>)>;

/// What a store holds, by ids.
#[derive(Debug, PartialEq)]
struct Content {
    items: BTreeMap<String, Option<String>>,
    histories: BTreeMap<String, History>,
    with_factors: BTreeSet<String>,
}

impl Content {
    fn of(store: &Store) -> Self {
        let items: BTreeMap<u32, _> = store.items().expect("items").into_iter().collect();
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
        let title = |title: Option<std::sync::Arc<str>>| title.map(|title| title.to_string());
        Self {
            items: items
                .into_values()
                .map(|item| (item.id.expose().to_owned(), title(item.title)))
                .collect(),
            histories,
            with_factors,
        }
    }
}

/// The service under test, which can be stopped and started again.
struct Running {
    path: PathBuf,
    store: Store,
    service: Service,
    guard: WorkerGuard,
}

impl Running {
    async fn start(path: &Path) -> Self {
        let store = Store::open(path, &StoreOptions::default()).expect("a store");
        let options = ServiceOptions {
            hyperparameters: hyperparameters(),
            seed: 1,
            queue_max: 1_000,
            worker: WorkerOptions {
                update_budget: Duration::from_millis(10),
                tolerance: TOLERANCE,
                certificate_target: TARGET,
                threads: 1,
            },
        };
        let started = Service::start(store.clone(), options).await;
        let (service, guard) = started.expect("the service starts");
        Self {
            path: path.to_owned(),
            store,
            service,
            guard,
        }
    }

    async fn restart(self) -> Self {
        let path = self.path.clone();
        self.guard.stop().await;
        drop((self.service, self.store));
        Self::start(&path).await
    }

    async fn erase(&self, target: ErasureTarget) -> ErasureId {
        self.service
            .erase(target, None)
            .await
            .expect("it is accepted")
            .id
    }

    /// Waits until everything so far is learnt and forgotten; returns an erasure that came last.
    async fn until_forgotten(&self) -> ErasureId {
        let nobody = UserId::new("nobody").expect("an id");
        let last = self.erase(ErasureTarget::User(nobody)).await;
        let waited = self.service.wait_forgotten(last, PATIENCE).await;
        let status = waited.expect("readable").expect("known").status;
        assert!(status >= ErasureStatus::Forgotten, "still {status}");
        last
    }

    async fn until_certified(&self) {
        let last = self.until_forgotten().await;
        let started = Instant::now();
        loop {
            let record = self
                .service
                .erasure(last)
                .await
                .expect("readable")
                .expect("known");
            if record.status == ErasureStatus::Certified {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "still {}", record.status);
            tokio::task::yield_now().await;
        }
    }

    async fn take(self, step: &Step, plain: &mut Plain) -> Self {
        match step {
            Step::Add(rows) => {
                plain.add(rows);
                let interaction = |row: &Row| Interaction {
                    user: user_id(row.user),
                    item: item_id(row.item),
                    weight: row.weight(),
                    timestamp: row.timestamp,
                };
                let added = self
                    .service
                    .add(rows.iter().map(interaction).collect())
                    .await;
                added.expect("they are accepted");
            }
            Step::ErasePairs(pairs) => {
                plain.0.retain(|pair, _| !pairs.contains(pair));
                let ids = pairs
                    .iter()
                    .map(|(user, item)| (user_id(*user), item_id(*item)));
                self.erase(ErasureTarget::Pairs(ids.collect())).await;
            }
            Step::EraseUser(user) => {
                plain.0.retain(|(held, _), _| held != user);
                self.erase(ErasureTarget::User(user_id(*user))).await;
            }
            Step::EraseItem(item) => {
                plain.0.retain(|(_, held), _| held != item);
                self.erase(ErasureTarget::Item(item_id(*item))).await;
            }
            Step::Restart => return self.restart().await,
            Step::AwaitForgotten => drop(self.until_forgotten().await),
            Step::AwaitCertified => self.until_certified().await,
        }
        self
    }

    async fn assert_holds(&self, plain: &Plain) {
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
    async fn scores(&self, plain: &Plain) -> BTreeMap<(u8, String), f32> {
        let mut scores = BTreeMap::new();
        for user in plain.users() {
            let query = RecommendQuery {
                subject: Subject::User(user_id(user)),
                k: usize::from(ITEMS),
                exclude_seen: false,
                exclude: Vec::new(),
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
fn train_from_scratch(path: &Path) {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let options = TrainingOptions {
        seed: 7,
        tolerance: TOLERANCE,
        max_sweeps: 5_000,
    };
    let trained = train(&store, hyperparameters(), &options, TARGET, &mut |_| {
        ControlFlow::Continue(())
    });
    let trained = trained.expect("training ends");
    assert!(trained.report.converged);
}

/// Everything the service went through, and what must be left of it.
async fn run(path: &Path, first: Vec<Row>, trained: bool, steps: &[Step]) -> (Running, Plain) {
    let mut plain = Plain::default();
    plain.add(&first);
    plain.import(path);
    if trained && !plain.0.is_empty() {
        tokio::task::block_in_place(|| train_from_scratch(path));
    }
    let mut running = Running::start(path).await;
    for step in steps {
        running = running.take(step, &mut plain).await;
    }
    (running, plain)
}

async fn check_content(first: Vec<Row>, trained: bool, steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("data"), folder.path().join("other"));
    let (running, plain) = run(&path, first, trained, &steps).await;
    running.until_forgotten().await;
    running.assert_holds(&plain).await;
    running.until_certified().await;
    running.assert_holds(&plain).await;
    running.guard.stop().await;
    plain.import(&other);
    let fresh = Running::start(&other).await;
    fresh.until_forgotten().await;
    fresh.assert_holds(&plain).await;
    fresh.guard.stop().await;
}

async fn check_scores(first: Vec<Row>, steps: Vec<Step>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, other) = (folder.path().join("data"), folder.path().join("other"));
    let (running, plain) = run(&path, first, true, &steps).await;
    running.until_certified().await;
    let (live, scores) = (running.service.model(), running.scores(&plain).await);
    running.guard.stop().await;
    plain.import(&other);
    if plain.0.is_empty() {
        return;
    }
    tokio::task::block_in_place(|| train_from_scratch(&other));
    let fresh = Running::start(&other).await;
    let (trained, wanted) = (fresh.service.model(), fresh.scores(&plain).await);
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
fn proven(model: &ModelSummary) -> f64 {
    match &model.certificate {
        Some(Certificate::DualityGap(gap)) => {
            assert!(gap.holds, "{gap:?}");
            gap.frobenius
        }
        other => panic!("{other:?} is no proof"),
    }
}

fn block_on(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(check);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_left_is_what_a_plain_map_holds_and_what_a_fresh_import_stores(
        first in rows(0..40),
        trained in any::<bool>(),
        steps in prop::collection::vec(step(), 1..20),
    ) {
        block_on(check_content(first, trained, steps));
    }

    #[test]
    fn what_is_predicted_is_what_training_on_the_rest_predicts_within_both_bounds(
        first in rows(0..40),
        steps in prop::collection::vec(step(), 1..20),
    ) {
        block_on(check_scores(first, steps));
    }
}
