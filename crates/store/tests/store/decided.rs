//! What one store decides, every other store does: all of them end as one ends that decides by itself.
//!
//! Three stores go through one history. The first commits every group as it comes. The second decides the
//! group, and commits what it reads from the bytes of what was decided. The third commits the same bytes.
//! Either the third or the other two forget their tombstones at every compaction, so that it would decide
//! otherwise, and hold back less or more. All of them play the worker alike.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use recant_store::{
    Decided, Entry, EntryCommit, Idempotency, LogEntry, LogKey, LogPosition, OutboxEndpoint,
    RequestBatch, Store, StoreError, StoreOptions, StoredInteraction, WriteBatch,
};
use recant_testkit::store::{
    Contents, FEEDBACK, addition, erasure_id, feedback, item, item_id, open, open_with, options,
    properties, user,
};
use zeroize::Zeroizing;

use recant_types::{
    Commitment, ErasureId, ErasureTarget, Event, FeedbackNumber, Interaction, ItemDescription,
    Names, PersonPatch, PropertyValue, TypedPair, UnixMillis,
};

pub(crate) const USERS: u32 = 4;
pub(crate) const ITEMS: u32 = 4;

/// A day and a little, in milliseconds: as long as an idempotency key counts.
const DAY: i64 = 24 * 60 * 60 * 1_000 + 60_000;

/// Years ago, in seconds.
const LONG_AGO: i64 = 1_000_000_000;

#[derive(Debug, Clone)]
enum Step {
    /// Requests that are accepted together.
    Group(Vec<Asked>),
    /// The worker applies everything and trims the log.
    Work,
    /// All rewrite their records, and some forget their tombstones.
    Compact,
    Reopen,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Add(Vec<Row>),
    Erase(Erase),
    Lift(Vec<u32>),
    Describe(u32, u8),
    /// An erasure of an item with what is said about it.
    Undescribe(u32),
    PutProperties(u32, Option<u8>),
    /// With a text that is too long it changes nothing.
    PatchProperties(u32, Option<u8>, bool),
    /// Several things at once.
    Mixed(Vec<Row>, Erase, u32),
}

#[derive(Debug, Clone)]
pub(crate) struct Erase {
    what: What,
    /// Before now or after it, in milliseconds.
    shift: i64,
    /// Number of a key and of a request.
    key: Option<(u8, u8)>,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    User(u32),
    Pairs(Vec<(u32, u32)>),
    Typed(Vec<(u32, u32, u8)>),
    Item(u32),
    Several(u32, u32, (u32, u32), (u32, u32, u8)),
    Restrict(Vec<u32>),
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    user: u32,
    item: u32,
    feedback: u8,
    weight: u8,
    /// None, long ago, or a while before or after now.
    at: Option<i64>,
}

fn row() -> impl Strategy<Value = Row> {
    let at = prop_oneof![
        2 => Just(None),
        3 => Just(Some(LONG_AGO)),
        3 => (-50_000..50_000_i64).prop_map(Some),
    ];
    (0..USERS, 0..ITEMS, 0..FEEDBACK.len() as u8, 1..9_u8, at).prop_map(
        |(user, item, feedback, weight, at)| Row {
            user,
            item,
            feedback,
            weight,
            at,
        },
    )
}

fn erase() -> impl Strategy<Value = Erase> {
    let pair = || (0..USERS, 0..ITEMS);
    let typed = || (0..USERS, 0..ITEMS, 0..FEEDBACK.len() as u8);
    let users = prop::collection::vec(0..USERS, 1..3);
    let what = prop_oneof![
        2 => (0..USERS).prop_map(What::User),
        4 => prop::collection::vec(pair(), 1..4).prop_map(What::Pairs),
        3 => prop::collection::vec(typed(), 1..4).prop_map(What::Typed),
        3 => (0..ITEMS).prop_map(What::Item),
        2 => (0..USERS, 0..ITEMS, pair(), typed()).prop_map(|(u, i, p, t)| What::Several(u, i, p, t)),
        4 => users.prop_map(What::Restrict),
    ];
    let shift = prop_oneof![4 => Just(0), 1 => Just(-DAY), 1 => Just(-40_000), 1 => Just(40_000)];
    let key = prop::option::weighted(0.4, (0..3_u8, 0..2_u8));
    (what, shift, key).prop_map(|(what, shift, key)| Erase { what, shift, key })
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let rows = || prop::collection::vec(row(), 0..6);
    prop_oneof![
        8 => rows().prop_map(Asked::Add),
        8 => erase().prop_map(Asked::Erase),
        4 => prop::collection::vec(0..USERS, 1..4).prop_map(Asked::Lift),
        1 => (0..ITEMS, any::<u8>()).prop_map(|(item, title)| Asked::Describe(item, title)),
        1 => (0..ITEMS).prop_map(Asked::Undescribe),
        2 => (0..USERS, any::<Option<u8>>()).prop_map(|(of, text)| Asked::PutProperties(of, text)),
        2 => (0..USERS, any::<Option<u8>>(), prop::bool::weighted(0.2))
            .prop_map(|(of, age, is_too_long)| Asked::PatchProperties(of, age, is_too_long)),
        2 => (rows(), erase(), 0..USERS).prop_map(|(rows, erase, of)| Asked::Mixed(rows, erase, of)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(asked(), 1..7).prop_map(Step::Group),
        4 => Just(Step::Work),
        2 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ]
}

/// Makes requests, and numbers their erasures.
#[derive(Default)]
pub(crate) struct Callers {
    erasures: u8,
}

impl Callers {
    fn event(&mut self, rows: &[Row]) -> Event {
        let now = UnixMillis::now().0 / 1_000;
        let interaction = |row: &Row| Interaction {
            user: user(row.user),
            item: item_id(row.item),
            feedback: feedback(row.feedback),
            weight: f32::from(row.weight),
            timestamp: row.at.map(|at| if at == LONG_AGO { at } else { now + at }),
        };
        Event::Add(rows.iter().map(interaction).collect())
    }

    fn erase(&mut self, batch: &mut RequestBatch, erase: &Erase) -> ErasureId {
        self.erasures += 1;
        let id = erasure_id(self.erasures);
        let event = Event::Erase {
            id,
            accepted_at: UnixMillis(UnixMillis::now().0 + erase.shift),
            target: target(&erase.what),
        };
        let idempotency = erase.key.map(|(key, request)| Idempotency {
            key: [key; 32],
            request: [request; 32],
        });
        let by = erase.key.map(|_| String::from("shop"));
        batch.append_erasure(event, Commitment([self.erasures; 32]), idempotency, by);
        batch.put_outbox(OutboxEndpoint::of("shop"), id);
        id
    }

    pub(crate) fn batch(&mut self, asked: &Asked) -> RequestBatch {
        let mut batch = RequestBatch::default();
        match asked {
            Asked::Add(rows) => batch.append(self.event(rows)),
            Asked::Erase(erase) => drop(self.erase(&mut batch, erase)),
            Asked::Lift(users) => users
                .iter()
                .for_each(|of| batch.lift_restriction(&user(*of))),
            Asked::Describe(of, title) => {
                let mut said = ItemDescription::of(item_id(*of));
                said.title = Some(format!("title {title}").into());
                batch.put_description(&said);
            }
            Asked::Undescribe(of) => {
                let erase = Erase {
                    what: What::Item(*of),
                    shift: 0,
                    key: None,
                };
                self.erase(&mut batch, &erase);
                batch.remove_description(&item_id(*of));
            }
            Asked::PutProperties(of, text) => {
                let text = text.map_or_else(String::new, |text| text.to_string());
                batch.put_properties(&user(*of), &properties(&text));
            }
            Asked::PatchProperties(of, age, is_too_long) => {
                let age = age.map(|age| PropertyValue::Number(f64::from(age)));
                let mut sets = BTreeMap::from([("age".into(), age)]);
                if *is_too_long {
                    let text = PropertyValue::Text("n".repeat(2_000).into());
                    sets.insert("note".into(), Some(text));
                }
                let patch = PersonPatch { keeps: None, sets };
                batch.patch_properties(&user(*of), patch);
            }
            Asked::Mixed(rows, erase, of) => {
                batch.append(self.event(rows));
                self.erase(&mut batch, erase);
                batch.append(self.event(rows));
                batch.lift_restriction(&user(*of));
                batch.put_properties(&user(*of), &properties("mixed"));
            }
        }
        batch
    }
}

fn typed_pair(of: &(u32, u32, u8)) -> TypedPair {
    TypedPair {
        user: user(of.0),
        item: item_id(of.1),
        feedback: feedback(of.2),
    }
}

fn target(what: &What) -> ErasureTarget {
    let pair = |(of, with): &(u32, u32)| (user(*of), item_id(*with));
    match what {
        What::User(of) => ErasureTarget::User(user(*of)),
        What::Pairs(pairs) => ErasureTarget::Pairs(pairs.iter().map(pair).collect()),
        What::Typed(pairs) => ErasureTarget::TypedPairs(pairs.iter().map(typed_pair).collect()),
        What::Item(of) => ErasureTarget::Item(item_id(*of)),
        What::Several(of, with, both, typed) => Names {
            users: vec![user(*of)],
            items: vec![item_id(*with)],
            pairs: vec![pair(both)],
            typed_pairs: vec![typed_pair(typed)],
        }
        .into(),
        What::Restrict(users) => {
            ErasureTarget::Restriction(users.iter().map(|of| user(*of)).collect())
        }
    }
}

/// The number at the end of an id of these tests.
fn number(id: &str) -> u32 {
    let (_, number) = id.rsplit_once('-').expect("a number");
    number.parse().expect("a number")
}

/// What the worker makes of everything that waits: rows are the numbers of ids.
pub(crate) fn work(store: &Store) -> WriteBatch {
    let applied = store.applied().expect("readable");
    let log = store
        .read_from(applied.next(), usize::MAX)
        .expect("readable");
    let mut batch = WriteBatch::default();
    let mut histories: BTreeMap<u32, BTreeMap<(u32, u8), StoredInteraction>> = BTreeMap::new();
    for (row, _) in store.users().expect("readable") {
        let held = store.history(row).expect("readable").into_iter();
        let held = held.map(|held| ((held.item, held.feedback.0), held));
        histories.insert(row, held.collect());
    }
    let before: Vec<u32> = histories.keys().copied().collect();
    let types = store.feedback().expect("they have rules");
    for (_, entry) in log {
        match entry {
            Entry::Add(rows) => {
                for row in rows {
                    let (of, with) = (number(row.user.expose()), number(row.item.expose()));
                    batch.put_user(of, &row.user);
                    batch.put_item(with, &item(with, None));
                    let number = types.number(&row.feedback).expect("a type of the store");
                    let new = StoredInteraction {
                        item: with,
                        feedback: number,
                        weight: row.weight,
                        timestamp: row.timestamp,
                    };
                    let held = histories.entry(of).or_default().entry((with, number.0));
                    held.and_modify(|held| *held = held.together_with(new, &types))
                        .or_insert(new);
                }
            }
            Entry::Erase(erased) => {
                let Some(named) = erased.named.items() else {
                    continue;
                };
                let named = named.parts();
                let is_named = |with: &u32| {
                    let hash = store.hasher().item(&item_id(*with));
                    named.contains(&recant_store::Named::Item(hash))
                };
                let gone: Vec<u32> = (0..ITEMS).filter(is_named).collect();
                for held in histories.values_mut() {
                    held.retain(|(with, _), _| !gone.contains(with));
                }
            }
        }
    }
    for (row, held) in histories {
        let held: Vec<_> = held.into_values().collect();
        if held.is_empty() && before.contains(&row) {
            batch.remove_user(row);
        } else {
            batch.put_history(row, &held);
        }
    }
    let newest = *store.watch_log().borrow();
    batch.set_applied(newest);
    batch.trim_log(newest);
    batch
}

/// Everything that a store shows, but for when a restriction ended.
#[derive(Debug, PartialEq)]
struct Shown {
    contents: Contents,
    kept: Vec<Vec<Interaction>>,
    restricted: (usize, Vec<bool>),
    said: Vec<Option<ItemDescription>>,
    outbox: Vec<ErasureId>,
}

impl Shown {
    /// Hashes are under a key of each store's own, and are left out of the log.
    fn of(store: &Store) -> Self {
        let mut contents = Contents::read(store).expect("readable");
        for (_, entry) in &mut contents.log {
            if let Entry::Erase(entry) = entry {
                entry.named = recant_store::Named::Pairs(Vec::new());
            }
        }
        let users = || (0..USERS).map(user);
        let outbox = store.outbox(OutboxEndpoint::of("shop")).expect("readable");
        Self {
            contents,
            kept: users()
                .map(|of| store.kept(&of).expect("readable"))
                .collect(),
            restricted: (
                store.restricted_count(),
                users().map(|of| store.is_restricted(&of)).collect(),
            ),
            said: (0..ITEMS)
                .map(|of| store.description(&item_id(of)).expect("readable"))
                .collect(),
            outbox: outbox.into_iter().map(|(id, _)| id).collect(),
        }
    }
}

/// What a store would decide about every row at several times, and about every idempotency key: what its
/// tombstones and its records of keys come to.
fn effects(store: &Store, now: UnixMillis) -> Vec<Vec<u8>> {
    let mut probes = Vec::new();
    let now = now.0 / 1_000;
    for at in [
        LONG_AGO,
        now - 100_000,
        now - 30_000,
        now + 100,
        now + 30_000,
        now + 90_000,
    ] {
        let mut batch = RequestBatch::default();
        let everything = (0..USERS).flat_map(|of| (0..ITEMS).map(move |with| (of, with)));
        let everything = everything.flat_map(|(of, with)| {
            (0..FEEDBACK.len() as u8).map(move |number| Interaction {
                user: user(of),
                item: item_id(with),
                feedback: feedback(number),
                weight: 1.0,
                timestamp: Some(at),
            })
        });
        batch.append(Event::Add(everything.collect()));
        probes.push(batch);
    }
    let mut callers = Callers { erasures: 200 };
    for (key, request) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)] {
        let mut batch = RequestBatch::default();
        let erase = Erase {
            what: What::User(99),
            shift: -1_000_000_000_000,
            key: Some((key, request)),
        };
        callers.erase(&mut batch, &erase);
        probes.push(batch);
    }
    let decided = store.decide(probes).wait().expect("decided").into_iter();
    decided.map(|decided| without_now(&decided)).collect()
}

/// Additions as they are; of erasures whether they are new, for they are dated differently.
fn without_now(decided: &Decided) -> Vec<u8> {
    let shown = format!("{decided:?}").into_bytes();
    if decided.takes_back() {
        shown
    } else {
        [shown, decided.to_bytes()].concat()
    }
}

/// An answer, to be compared.
fn answer(answer: Result<recant_store::Committed, StoreError>) -> String {
    match answer {
        Ok(committed) => format!("{committed:?}"),
        Err(error) => error.to_string(),
    }
}

/// Through bytes, as they would come from elsewhere.
fn received(decided: &[Decided]) -> Vec<Decided> {
    let read = |decided: &Decided| Decided::from_bytes(&decided.to_bytes()).expect("whole");
    decided.iter().map(read).collect()
}

/// Hands over what was decided, in an entry like no other.
fn hand_over(store: &Store, decided: Vec<Decided>) -> EntryCommit {
    store.commit_entry(LogEntry {
        decided,
        mark: rand::random::<[u8; 16]>().to_vec(),
        key: LogKey::new(0, 0, Zeroizing::new([7; 32])),
        places: Vec::new(),
    })
}

/// The three stores.
struct Machine {
    folder: tempfile::TempDir,
    stores: Option<[Store; 3]>,
    forgets: Forgets,
    callers: Callers,
}

/// Who forgets tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgets {
    /// The one that decides, and the one that it is held against.
    Leader,
    Follower,
}

fn open_all(folder: &Path, forgets: Forgets) -> [Store; 3] {
    let open = |name: &str, is_forgetful: bool| {
        let options = StoreOptions {
            tombstone_days: if is_forgetful { 0 } else { 3_650 },
            ..options()
        };
        open_with(&folder.join(name), &options).expect("opened")
    };
    [
        open("alone", forgets == Forgets::Leader),
        open("leader", forgets == Forgets::Leader),
        open("follower", forgets == Forgets::Follower),
    ]
}

impl Machine {
    fn new(forgets: Forgets) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            stores: Some(open_all(folder.path(), forgets)),
            forgets,
            folder,
            callers: Callers::default(),
        }
    }

    fn stores(&self) -> &[Store; 3] {
        self.stores.as_ref().expect("open")
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Group(asked) => {
                let group: Vec<_> = asked
                    .iter()
                    .map(|asked| self.callers.batch(asked))
                    .collect();
                self.commit(group);
            }
            Step::Work => {
                let batch = work(&self.stores()[0]);
                for store in self.stores() {
                    store.commit(batch.clone()).wait().expect("durable");
                }
            }
            Step::Compact => {
                for store in self.stores() {
                    store.compact().expect("compacted");
                }
            }
            Step::Reopen => {
                self.stores = None;
                self.stores = Some(open_all(self.folder.path(), self.forgets));
            }
        }
    }

    fn commit(&self, group: Vec<RequestBatch>) {
        let [alone, leader, follower] = self.stores();
        let before = Shown::of(leader);
        let decided = leader.decide(group.clone()).wait().expect("decided");
        assert_eq!(Shown::of(leader), before, "deciding changed something");
        let commits: Vec<_> = group.into_iter().map(|batch| alone.commit(batch)).collect();
        let answers = commits.into_iter().map(|commit| answer(commit.wait()));
        let answers: Vec<String> = answers.collect();
        for store in [leader, follower] {
            let commit = hand_over(store, received(&decided));
            let outcomes = commit.wait().expect("durable").into_iter();
            assert_eq!(outcomes.map(answer).collect::<Vec<_>>(), answers);
        }
    }

    fn check(&self) {
        let [alone, leader, follower] = self.stores();
        let expected = Shown::of(alone);
        assert_eq!(Shown::of(leader), expected);
        assert_eq!(Shown::of(follower), expected);
        let now = UnixMillis::now();
        assert_eq!(effects(leader, now), effects(alone, now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_one_store_decides_every_store_does(
        forgets in prop_oneof![Just(Forgets::Leader), Just(Forgets::Follower)],
        steps in prop::collection::vec(step(), 1..16),
    ) {
        let mut machine = Machine::new(forgets);
        for step in &steps {
            machine.take(step);
            machine.check();
        }
        machine.take(&Step::Work);
        machine.take(&Step::Reopen);
        machine.check();
    }
}

fn added(store: &Store, of: u32, length: u32) {
    let mut batch = RequestBatch::default();
    batch.append(addition(of, length));
    store.commit(batch).wait().expect("durable");
}

fn restrict(of: u32, number: u8) -> RequestBatch {
    let mut batch = RequestBatch::default();
    let target = ErasureTarget::Restriction(vec![user(of)]);
    batch.append(recant_testkit::store::erasure(erasure_id(number), target));
    batch
}

/// The worker of one store has put together what waits apart in the other.
#[test]
fn giving_back_takes_the_positions_that_were_decided_however_many_rows_there_are() {
    const COUNT: u32 = 6_000;
    let folder = tempfile::tempdir().expect("a folder");
    let stores = ["ahead", "behind"].map(|name| open(&folder.path().join(name)));
    let [ahead, behind] = &stores;
    for store in &stores {
        added(store, 0, COUNT);
        added(store, 0, COUNT);
    }
    let mut batch = WriteBatch::default();
    (0..COUNT).for_each(|row| batch.put_item(row, &item(row, None)));
    let held = |row| StoredInteraction {
        item: row,
        feedback: FeedbackNumber::default(),
        weight: 2.5,
        timestamp: Some(i64::from(row)),
    };
    batch.put_user(0, &user(0));
    batch.put_history(0, &(0..COUNT).map(held).collect::<Vec<_>>());
    batch.set_applied(LogPosition(2));
    batch.trim_log(LogPosition(2));
    ahead.commit(batch).wait().expect("durable");
    let mut lift = RequestBatch::default();
    lift.lift_restriction(&user(0));
    for (decides, follows) in [(ahead, behind), (behind, ahead)] {
        let group = vec![restrict(0, 1), lift.clone(), restrict(0, 2), lift.clone()];
        let decided = decides.decide(group).wait().expect("decided");
        for store in [decides, follows] {
            let commit = hand_over(store, received(&decided));
            let outcomes = commit.wait().expect("durable").into_iter();
            outcomes.for_each(|outcome| drop(outcome.expect("accepted")));
        }
        assert_eq!(
            decides.watch_log().borrow().0,
            follows.watch_log().borrow().0
        );
        for store in &stores {
            let log = store
                .read_from(LogPosition(0), usize::MAX)
                .expect("readable");
            let rows = log.into_iter().filter_map(|(_, entry)| match entry {
                Entry::Add(rows) => Some(rows),
                Entry::Erase(_) => None,
            });
            let mut items: Vec<_> = rows.flatten().map(|row| row.item).collect();
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len(), COUNT as usize);
        }
    }
}

#[test]
fn what_was_decided_for_another_position_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let decide = |of: u32| {
        let mut batch = RequestBatch::default();
        batch.append(addition(of, 2));
        store.decide(vec![batch]).wait().expect("decided")
    };
    let (first, second) = (decide(1), decide(2));
    hand_over(&store, first.clone()).wait().expect("durable");
    let before = Contents::read(&store).expect("readable");
    for decided in [first, second] {
        let refused = hand_over(&store, decided).wait();
        let expected = matches!(refused, Err(StoreError::OutOfOrder { next: 2, given: 1 }));
        assert!(expected, "{refused:?}");
    }
    assert_eq!(Contents::read(&store).expect("readable"), before);
    hand_over(&store, decide(3)).wait().expect("it goes on");
}

#[test]
fn without_room_the_leader_refuses_and_what_was_decided_elsewhere_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let roomy = open(&folder.path().join("roomy"));
    let narrow = StoreOptions {
        free_space_min_bytes: u64::MAX,
        ..options()
    };
    let narrow = open_with(&folder.path().join("narrow"), &narrow).expect("opened");
    let mut batch = RequestBatch::default();
    batch.append(addition(1, 2));
    let group = vec![batch, RequestBatch::default()];
    let refused = narrow.decide(group.clone()).wait().expect("decided");
    let outcomes = hand_over(&roomy, received(&refused))
        .wait()
        .expect("durable");
    assert!(
        matches!(outcomes[0], Err(StoreError::NoSpace { .. })),
        "{outcomes:?}"
    );
    assert!(outcomes[1].is_ok(), "nothing was asked for");
    let decided = roomy.decide(group).wait().expect("decided");
    let outcomes = hand_over(&narrow, received(&decided))
        .wait()
        .expect("durable");
    assert_eq!(
        outcomes[0].as_ref().expect("accepted").positions,
        [LogPosition(1)]
    );
}
