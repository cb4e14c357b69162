//! Several services in one process, over one log in memory: what joins them does what the service expects of
//! it and nothing more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::future::BoxFuture;
use recant_receipt::{
    ChainEntry, Claims, Jwk, NodeStanding, NodesStanding, SettledHow, check_chain, verify,
    verify_entry,
};
use recant_service::{
    ListKind, ListQuery, ModelUpdate, NodeBack, RecommendQuery, ReplicaRole, Replication,
    ScoredItem, Selection, Sequencer, SequencerError, Sequencing, Service, ServiceOptions,
    SimilarQuery, StartError, Subject, UpdateFeed, WorkerGuard, WorkerOptions,
};
use recant_store::{
    Committed, Decided, Fact, LogEntry, LogKey, RequestBatch, Store, StoreError, StoreOptions,
};
use recant_testkit::store::{open_with, options as store_options};
use recant_types::{
    ErasureFilter, ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, LogIncarnation,
    ModelConfiguration, SharedEntry, UserId,
};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::support::{
    ITEMS, PATIENCE, TARGET, TOLERANCE, USERS, hyperparameters, item_id, user_id,
};

pub type Version = (u64, u64);

/// What joins the nodes.
pub struct Hub {
    /// Entries of the log, as the bytes of what was decided.
    log: Arc<tokio::sync::Mutex<Vec<Vec<Vec<u8>>>>>,
    /// Who leads, and in which term.
    leader: watch::Sender<Option<(usize, u64)>>,
    everywhere: watch::Sender<Version>,
    nodes: Mutex<Vec<Seat>>,
    /// The entry behind which each node was away, until that is settled.
    debts: Mutex<Vec<Option<u64>>>,
    /// The last entry that erases.
    erased: AtomicU64,
    back: watch::Sender<Vec<NodeBack>>,
}

/// The one life of the log.
fn incarnation() -> LogIncarnation {
    LogIncarnation::from_bytes([9; 16])
}

/// What a node is called in receipts.
pub fn node_name(node: usize) -> String {
    format!("n{node}")
}

/// What is known of a node.
#[derive(Default)]
struct Seat {
    role: Option<watch::Sender<ReplicaRole>>,
    store: Option<Store>,
    service: Option<Service>,
    live: Version,
    /// A version that it does not tell of.
    withheld: Option<Version>,
    withholds: bool,
    feed: Option<((usize, u64), Version, UpdateFeed)>,
}

impl Hub {
    fn new(count: usize) -> Self {
        Self {
            log: Arc::default(),
            leader: watch::Sender::new(None),
            everywhere: watch::Sender::new((0, 0)),
            nodes: Mutex::new((0..count).map(|_| Seat::default()).collect()),
            debts: Mutex::new(vec![None; count]),
            erased: AtomicU64::new(0),
            back: watch::Sender::default(),
        }
    }

    fn debts(&self) -> MutexGuard<'_, Vec<Option<u64>>> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a node owes, if something was erased while it was away.
    fn owes_after(&self, node: usize) -> Option<u64> {
        let erased = self.erased.load(Ordering::SeqCst);
        self.debts()[node].filter(|after| *after < erased)
    }

    /// A node has applied everything up to an entry, and is there.
    fn came_back(&self, node: usize, upto: u64) {
        if self.owes_after(node).is_none() {
            self.debts()[node] = None;
            return;
        }
        let back = NodeBack {
            node: node_name(node),
            upto,
            how: SettledHow::CaughtUp,
        };
        self.back.send_modify(|all| all.push(back));
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every node has that takes part.
    fn look_everywhere(&self) {
        let nodes = self.nodes();
        let there = nodes.iter().filter(|seat| seat.store.is_some());
        if let Some(least) = there.map(|seat| seat.live).min() {
            self.everywhere.send_if_modified(|everywhere| {
                let is_more = least > *everywhere;
                *everywhere = least.max(*everywhere);
                is_more
            });
        }
    }

    /// Decides on the leader's store, and has every store that is there apply it. With `only` nobody but that node
    /// may lead.
    async fn commit(
        self: Arc<Self>,
        batch: RequestBatch,
        only: Option<usize>,
    ) -> Result<Committed, SequencerError> {
        let mut log = self.log.lock().await;
        let leader = *self.leader.borrow();
        let (leader, _) = leader.ok_or(SequencerError::NoLeader)?;
        if only.is_some_and(|only| only != leader) {
            return Err(SequencerError::LeadershipLost);
        }
        let store = self.nodes()[leader].store.clone();
        let store = store.ok_or(SequencerError::NoLeader)?;
        let erases = batch.may_take_back();
        let decided = store.decide(vec![batch]).await?;
        log.push(decided.iter().map(Decided::to_bytes).collect());
        let number = log.len() as u64;
        if erases {
            self.erased.store(number, Ordering::SeqCst);
        }
        let stores: Vec<_> = self.nodes().iter().map(|seat| seat.store.clone()).collect();
        let mut answer = None;
        for (node, store) in stores.into_iter().enumerate() {
            let Some(store) = store else { continue };
            let entry = entry(number, &log[number as usize - 1]);
            let mut outcomes = store.commit_entry(entry).await?;
            if node == leader {
                answer = outcomes.pop();
            }
        }
        Ok(answer.expect("the leader is there")?)
    }
}

fn entry(number: u64, decided: &[Vec<u8>]) -> LogEntry {
    let read = |bytes: &Vec<u8>| Decided::from_bytes(bytes).expect("whole");
    LogEntry {
        decided: decided.iter().map(read).collect(),
        mark: number.to_le_bytes().to_vec(),
        key: LogKey::new(0, number, Zeroizing::new([number as u8; 32])),
        places: vec![
            SharedEntry {
                incarnation: incarnation(),
                term: 1,
                entry: number,
            };
            decided.len()
        ],
    }
}

/// One node's way to the others.
struct Link {
    hub: Arc<Hub>,
    node: usize,
}

impl Sequencer for Link {
    fn commit(&self, batch: RequestBatch) -> Sequencing {
        let task = tokio::spawn(Arc::clone(&self.hub).commit(batch, None));
        Box::pin(async { task.await.expect("no panic") })
    }
}

impl Replication for Link {
    fn role(&self) -> watch::Receiver<ReplicaRole> {
        let mut nodes = self.hub.nodes();
        let role = &mut nodes[self.node].role;
        role.get_or_insert_with(|| watch::Sender::new(ReplicaRole::Follower))
            .subscribe()
    }

    fn everywhere(&self) -> watch::Receiver<Version> {
        self.hub.everywhere.subscribe()
    }

    fn live(&self, version: Version, _forgets: bool) {
        {
            let seat = &mut self.hub.nodes()[self.node];
            if seat.withholds {
                seat.withheld = Some(version);
                return;
            }
            seat.live = version;
        }
        self.hub.look_everywhere();
    }

    fn record(
        &self,
        fact: Fact,
        everywhere: Option<Version>,
    ) -> BoxFuture<'static, Result<(), SequencerError>> {
        let (hub, node) = (Arc::clone(&self.hub), self.node);
        let task = tokio::spawn(async move {
            let said = *hub.everywhere.borrow();
            assert!(
                everywhere.is_none_or(|version| version <= said),
                "{everywhere:?} {said:?}"
            );
            hub.commit(RequestBatch::fact(fact), Some(node))
                .await
                .map(drop)
        });
        Box::pin(async { task.await.expect("no panic") })
    }

    fn nodes(&self) -> Result<NodesStanding, StoreError> {
        let count = self.hub.debts().len();
        let nodes = (0..count).map(|node| NodeStanding {
            node: node_name(node),
            owes_after: self.hub.owes_after(node),
            owes_upto: None,
            is_removed: false,
        });
        Ok(NodesStanding {
            incarnations: vec![incarnation()],
            nodes: nodes.collect(),
        })
    }

    fn back(&self) -> watch::Receiver<Vec<NodeBack>> {
        self.hub.back.subscribe()
    }

    fn settled(&self, name: &str, upto: u64) -> BoxFuture<'static, Result<(), SequencerError>> {
        let (hub, node, name) = (Arc::clone(&self.hub), self.node, name.to_owned());
        let task = tokio::spawn(async move {
            let nothing = RequestBatch::default();
            Arc::clone(&hub).commit(nothing, Some(node)).await?;
            let at = (0..).find(|at| node_name(*at) == name).expect("a node");
            // It may have gone away again since.
            let is_there = hub.nodes()[at].store.is_some();
            let debt = &mut hub.debts()[at];
            *debt = debt.filter(|_| !is_there).map(|after| after.max(upto));
            hub.back.send_modify(|all| all.retain(|it| it.node != name));
            Ok(())
        });
        Box::pin(async { task.await.expect("no panic") })
    }

    fn next_update(&self, live: Version) -> BoxFuture<'static, ModelUpdate> {
        let (hub, node) = (Arc::clone(&self.hub), self.node);
        Box::pin(async move {
            let mut leader = hub.leader.subscribe();
            loop {
                let now = *leader.borrow_and_update();
                let service = now.and_then(|(leader, _)| hub.nodes()[leader].service.clone());
                let (Some(now), Some(service)) = (now, service) else {
                    leader.changed().await.expect("the hub is there");
                    continue;
                };
                let kept = hub.nodes()[node].feed.take();
                let kept = kept.filter(|(of, at, _)| (*of, *at) == (now, live));
                let mut feed = kept.map_or_else(
                    || service.updates((live != (0, 0)).then_some(live)),
                    |(_, _, feed)| feed,
                );
                let update = tokio::select! {
                    update = feed.next() => update,
                    _ = leader.changed() => continue,
                };
                hub.nodes()[node].feed = Some((now, update.version(), feed));
                return ModelUpdate::from_bytes(&update.to_bytes()).expect("whole");
            }
        })
    }
}

/// A running node.
pub struct Node {
    pub store: Store,
    pub service: Service,
    guard: WorkerGuard,
}

/// The nodes, with what was shown of erasures so far.
pub struct Cluster {
    pub hub: Arc<Hub>,
    folder: tempfile::TempDir,
    pub nodes: Vec<Option<Node>>,
    term: u64,
    shown: BTreeMap<ErasureId, ErasureRecord>,
}

/// A disk is waited for so long; other nodes may take longer.
pub const SYNC_LONGEST: std::time::Duration = std::time::Duration::from_millis(400);

fn open(path: &Path) -> Store {
    let options = StoreOptions {
        sync_longest: SYNC_LONGEST,
        ..store_options()
    };
    open_with(path, &options).expect("the store opens")
}

fn options() -> ServiceOptions {
    ServiceOptions {
        model: hyperparameters().into(),
        seed: 1,
        queue_max: 1_000,
        certificate_wait_max: None,
        receipt_issuer: "recant".into(),
        content: None,
        worker: WorkerOptions {
            update_budget: std::time::Duration::from_millis(10),
            update_tolerance: TOLERANCE,
            tolerance: TOLERANCE,
            refinement_rounds: 5,
            certificate_target: TARGET,
            threads: 1,
            cholesky_cache_bytes_max: 1 << 24,
        },
    }
}

impl Cluster {
    /// So many nodes, of which the first leads.
    pub async fn start(count: usize) -> Self {
        let mut cluster = Self {
            hub: Arc::new(Hub::new(count)),
            folder: tempfile::tempdir().expect("a folder"),
            nodes: (0..count).map(|_| None).collect(),
            term: 0,
            shown: BTreeMap::new(),
        };
        for node in 0..count {
            cluster.start_node(node).await;
        }
        cluster.lead(0);
        cluster
    }

    /// What becomes of a node with this model.
    pub async fn start_alone(model: ModelConfiguration) -> Result<(), StartError> {
        let folder = tempfile::tempdir().expect("a folder");
        let hub = Arc::new(Hub::new(1));
        let (store, link) = (open(folder.path()), Arc::new(Link { hub, node: 0 }));
        let options = ServiceOptions { model, ..options() };
        let sequencer = Arc::clone(&link) as Arc<dyn Sequencer>;
        let started = Service::start_replicated(store, sequencer, link, options).await;
        let (_, guard) = started?;
        guard.stop().await;
        Ok(())
    }

    fn path(&self, node: usize) -> PathBuf {
        self.folder.path().join(node.to_string())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a node, which applies what it has missed and follows.
    pub async fn start_node(&mut self, node: usize) {
        let store = open(&self.path(node));
        {
            let log = self.hub.log.lock().await;
            let mark = store.mark().expect("readable");
            let mark = mark.map_or(0, |mark| {
                u64::from_le_bytes(mark.try_into().expect("a number"))
            });
            for (number, decided) in (1..).zip(log.iter()).skip(mark as usize) {
                store
                    .commit_entry(entry(number, decided))
                    .await
                    .expect("durable");
            }
            let seat = &mut self.hub.nodes()[node];
            *seat = Seat {
                store: Some(store.clone()),
                ..Seat::default()
            };
            self.hub.came_back(node, log.len() as u64);
        }
        let hub = Arc::clone(&self.hub);
        let link = Arc::new(Link { hub, node });
        let sequencer = Arc::clone(&link) as Arc<dyn Sequencer>;
        let started = Service::start_replicated(store.clone(), sequencer, link, options()).await;
        let (service, guard) = started.expect("the service starts");
        self.hub.nodes()[node].service = Some(service.clone());
        self.nodes[node] = Some(Node {
            store,
            service,
            guard,
        });
        self.publish_keys();
        self.hub.leader.send_modify(|_| {});
    }

    fn publish_keys(&self) {
        let running = || self.nodes.iter().flatten();
        let keys = running().map(|node| node.service.published_keys().keys[0].clone());
        let keys: Vec<Jwk> = keys.collect();
        running().for_each(|node| node.service.set_other_keys(keys.clone()));
    }

    /// Ends a node; when it leads nobody does then.
    pub async fn stop_node(&mut self, node: usize) {
        let leads = |at: &Option<(usize, u64)>| at.is_some_and(|(leader, _)| leader == node);
        if leads(&self.hub.leader.borrow()) {
            self.hub.leader.send_replace(None);
        }
        let Some(running) = self.nodes[node].take() else {
            return;
        };
        {
            let log = self.hub.log.lock().await;
            self.hub.nodes()[node] = Seat::default();
            self.hub.debts()[node].get_or_insert(log.len() as u64);
            let name = node_name(node);
            (self.hub.back).send_modify(|all| all.retain(|it| it.node != name));
        }
        for seat in self.hub.nodes().iter_mut() {
            seat.feed = None;
        }
        running.guard.stop().await;
        self.hub.look_everywhere();
    }

    /// Makes a node the leader of a new term, and everybody else follow.
    pub fn lead(&mut self, node: usize) {
        self.term += 1;
        let term = self.term;
        self.hub.leader.send_replace(Some((node, term)));
        for (number, seat) in self.hub.nodes().iter().enumerate() {
            if let Some(role) = &seat.role {
                role.send_replace(if number == node {
                    ReplicaRole::Leader { term }
                } else {
                    ReplicaRole::Follower
                });
            }
        }
    }

    pub fn leader(&self) -> usize {
        let leader = *self.hub.leader.borrow();
        leader.expect("somebody leads").0
    }

    pub fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("it runs")
    }

    pub fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// From now on the node tells nobody of its versions any more.
    pub fn withhold(&self, node: usize, withholds: bool) {
        {
            let seat = &mut self.hub.nodes()[node];
            seat.withholds = withholds;
            if let Some(version) = seat.withheld.take().filter(|_| !withholds) {
                seat.live = version;
            }
        }
        self.hub.look_everywhere();
    }

    pub async fn erase(&self, target: ErasureTarget) -> ErasureId {
        let accepted = self.node(self.leader()).service.erase(target, None).await;
        accepted.expect("it is accepted").record.id
    }

    /// Waits until every node shows the erasure as certified, and returns an erasure's record.
    pub async fn until_certified(&mut self) -> ErasureId {
        let nobody = UserId::new("nobody").expect("an id");
        let last = self.erase(ErasureTarget::User(nobody)).await;
        self.until(last, ErasureStatus::Certified).await;
        last
    }

    /// Waits until every node shows the erasure in this state.
    pub async fn until(&mut self, id: ErasureId, status: ErasureStatus) {
        let started = Instant::now();
        loop {
            self.look_at_states().await;
            if self
                .shown
                .get(&id)
                .is_some_and(|shown| shown.status >= status)
            {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{:?}", self.shown.get(&id));
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Every node shows the same of erasures, and no state goes back and no time changes from one look to the
    /// next, whichever node is asked.
    pub async fn look_at_states(&mut self) {
        // No fact comes between two nodes.
        let hub = Arc::clone(&self.hub);
        let _log = hub.log.lock().await;
        let mut first: Option<Vec<ErasureRecord>> = None;
        for node in self.nodes.iter().flatten() {
            let all = node
                .service
                .erasures(ErasureFilter::default(), None, 10_000)
                .await;
            let all = all.expect("readable");
            match &first {
                Some(first) => assert_eq!(&all, first, "nodes show different states"),
                None => first = Some(all),
            }
        }
        self.assert_nobody_is_behind(first.as_deref().unwrap_or_default());
        for record in first.unwrap_or_default() {
            if let Some(before) = self.shown.insert(record.id, record.clone()) {
                assert_goes_forwards(&before, &record);
            }
        }
    }

    /// No node that answers readers serves a version from before one that has forgotten what is forgotten.
    fn assert_nobody_is_behind(&self, records: &[ErasureRecord]) {
        let after = records.iter().filter_map(|it| it.model_version_after).max();
        for (node, seat) in self.nodes.iter().zip(self.hub.nodes().iter()) {
            if let Some(node) = node.as_ref().filter(|_| seat.live != (0, 0)) {
                let version = node.service.model().version;
                assert!(
                    Some(version) >= after,
                    "{version} {after:?} {:?}",
                    seat.live
                );
            }
        }
    }

    /// Waits until every node serves the leader's version, and holds everybody's lists against each other.
    pub async fn assert_equal_lists(&self) {
        let started = Instant::now();
        loop {
            // What a node serves before it says so is not what the others do: nobody asks it then.
            let versions = || -> Vec<_> {
                let said = self
                    .hub
                    .nodes()
                    .iter()
                    .map(|seat| seat.live)
                    .collect::<Vec<_>>();
                let running = self.nodes.iter().zip(said);
                let running = running.filter_map(|(node, said)| Some((node.as_ref()?, said)));
                let shown = running.map(|(node, said)| {
                    let model = node.service.model();
                    let certified = model.certified.map(|it| (it.version, it.position));
                    ((model.term, model.version) == said).then_some((said, certified))
                });
                shown.collect()
            };
            let before = versions();
            let mut lists = Vec::new();
            for node in self.running() {
                lists.push(lists_of(&node.service).await);
            }
            let is_same = before[0].is_some() && before.iter().all(|version| *version == before[0]);
            if is_same && versions() == before {
                for list in &lists[1..] {
                    assert_eq!(list, &lists[0], "version {:?}", before[0]);
                }
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{before:?}");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Holds the log back until what it gives is dropped.
    pub async fn hold_log(&self) -> tokio::sync::OwnedMutexGuard<Vec<Vec<Vec<u8>>>> {
        Arc::clone(&self.hub.log).lock_owned().await
    }

    /// All receipts of every node are one chain, whoever signed them; how many there are.
    pub async fn assert_one_chain(&self) -> usize {
        let mut first: Option<Vec<String>> = None;
        for node in self.running() {
            let mut receipts = Vec::new();
            let visit = |compact: &str| receipts.push(compact.to_owned());
            node.store.visit_receipts(visit).expect("readable");
            receipts.sort();
            match &first {
                Some(first) => assert_eq!(&receipts, first),
                None => first = Some(receipts),
            }
            let keys = node.service.published_keys();
            let receipts = first.iter().flatten();
            let verified: Vec<_> = receipts
                .map(|compact| verify_entry(compact, &keys).expect("somebody signed it"))
                .collect();
            let report = check_chain(&verified);
            assert!(report.is_complete() && report.holds(), "{report:?}");
            for entry in &verified {
                let ChainEntry::Receipt(receipt) = entry else {
                    continue;
                };
                let proof = node.service.receipt_inclusion(receipt.claims.jti).await;
                let found = matches!(proof, Ok(recant_service::LogAnswer::Found(_)));
                assert!(found, "{proof:?}");
            }
        }
        first.map_or(0, |receipts| receipts.len())
    }

    /// What the receipt of an erasure says, and who owes it by all settlements that a node has.
    pub async fn receipt_of(&self, node: usize, id: ErasureId) -> (Claims, Vec<String>) {
        let service = &self.node(node).service;
        let keys = service.published_keys();
        let answer = service.receipt(id).await.expect("readable");
        let recant_service::ReceiptAnswer::Signed(compact) = answer else {
            panic!("{answer:?}")
        };
        let claims = verify(&compact, &keys).expect("somebody signed it").claims;
        let settlements = service.settlements().await.expect("readable");
        let settlements = settlements.iter().map(|compact| {
            let entry = verify_entry(compact, &keys).expect("somebody signed it");
            match entry {
                ChainEntry::Settlement(settlement) => settlement.claims,
                ChainEntry::Receipt(receipt) => panic!("{receipt:?}"),
            }
        });
        let settlements: Vec<_> = settlements.collect();
        let known: Vec<_> = settlements.iter().collect();
        let owing = claims.owed_by(&known).into_iter().map(str::to_owned);
        let owing = owing.collect();
        (claims, owing)
    }

    /// Waits until every node has it that nobody owes an erasure any more.
    pub async fn until_closed(&self, id: ErasureId) {
        let started = Instant::now();
        for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()) {
            while !self.receipt_of(node, id).await.1.is_empty() {
                assert!(started.elapsed() < PATIENCE, "node {node}");
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
    }

    /// The different keys that receipts are signed with.
    pub fn signers(&self) -> usize {
        let node = self.running().next().expect("a node runs");
        let keys = node.service.published_keys();
        let mut signers = std::collections::BTreeSet::new();
        let visit = |compact: &str| {
            let entry = verify_entry(compact, &keys).expect("somebody signed it");
            signers.insert(match entry {
                ChainEntry::Receipt(receipt) => receipt.key_id,
                ChainEntry::Settlement(settlement) => settlement.key_id,
            });
        };
        node.store.visit_receipts(visit).expect("readable");
        signers.len()
    }

    pub async fn stop(mut self) {
        for node in 0..self.nodes.len() {
            self.stop_node(node).await;
        }
    }
}

/// A list in its order: the bits of every score, the id, and the bits of what is said to bring it about.
type Listed = Vec<(u64, String, Vec<u64>)>;

fn listed(items: Vec<ScoredItem>) -> Listed {
    let because = |it: &ScoredItem| {
        let because = it.because.iter();
        let shares = because.flat_map(|it| it.items.iter().map(|it| it.share).chain([it.others]));
        shares.map(f64::to_bits).collect()
    };
    let items = items.into_iter();
    items
        .map(|it| {
            (
                u64::from(it.score.to_bits()),
                it.item.expose().to_owned(),
                because(&it),
            )
        })
        .collect()
}

/// Every list there is, as it is answered.
async fn lists_of(service: &Service) -> BTreeMap<String, Listed> {
    let mut lists = BTreeMap::new();
    for (user, exclude_seen) in (0..USERS).flat_map(|user| [(user, false), (user, true)]) {
        for k in [2, usize::from(ITEMS)] {
            let query = RecommendQuery {
                exclude_seen,
                explain: true,
                ..RecommendQuery::new(Subject::User(user_id(user)), k)
            };
            let answer = service.recommend(query).await.expect("an answer");
            lists.insert(format!("{user} {exclude_seen} {k}"), listed(answer.items));
        }
    }
    // A user whom nobody knows, and sessions: what they are made from is in the order of a caller.
    for history in [vec![], vec![7, 0, 3], vec![1, 8, 2, 6, 4]] {
        let named = format!("session {history:?}");
        let items = history.into_iter().map(item_id).collect();
        let query = RecommendQuery::new(Subject::History(items), 6);
        let answer = service.recommend(query).await.expect("an answer");
        lists.insert(named, listed(answer.items));
    }
    for item in 0..ITEMS {
        let query = SimilarQuery {
            item: item_id(item),
            k: 5,
            offset: 0,
            user: None,
            selection: Selection::default(),
            diversity: 0.3,
        };
        let answer = service.similar(query).await.expect("an answer");
        let items = answer.map_or_else(Vec::new, |answer| answer.items);
        lists.insert(format!("similar to {item}"), listed(items));
    }
    let query = ListQuery {
        kind: ListKind::Popular,
        window: None,
        k: 5,
        offset: 1,
        user: None,
        selection: Selection::default(),
    };
    let popular = service.list(query).await.expect("a list").items.into_iter();
    let popular = popular.map(|it| (it.score.to_bits(), it.item.expose().to_owned(), vec![]));
    lists.insert("popular".to_owned(), popular.collect());
    lists
}

fn assert_goes_forwards(before: &ErasureRecord, now: &ErasureRecord) {
    assert!(before.status <= now.status, "{before:?} {now:?}");
    let times = |it: &ErasureRecord| [it.erased_at, it.forgotten_at, it.certified_at];
    for (before, now) in times(before).into_iter().zip(times(now)) {
        assert!(before.is_none() || before == now);
    }
    let versions = |it: &ErasureRecord| {
        [
            it.model_version_before,
            it.model_version_after,
            it.certified_version,
            it.certified_position,
        ]
    };
    for (before, now) in versions(before).into_iter().zip(versions(now)) {
        assert!(before.is_none() || before == now);
    }
}
