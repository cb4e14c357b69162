//! Any sequence of additions, imports, erasures, restrictions and their ends, replays, crashes,
//! compactions, backups and restores leaves what a plain map would hold, of every type of feedback, and
//! the matrix that is learnt from what it says of those who are not restricted.
//!
//! The machine plays the worker: what was accepted is applied when it says so. A crash is a copy of
//! the directory while the store is open, from which everything goes on.

use crate::support::assert_illegible;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;
use recant_service::{Hour, Resolver, Trainer, load};
use recant_store::{Entry, ImportSession, Store, restore};
use recant_testkit::store::{
    FEEDBACK, commit, copy_directory, erasure, feedback, item_id, open, options, user,
};
use recant_types::{
    ErasureId, ErasureTarget, Event, FeedbackNumber, IalsHyperparameters, Interaction, Names,
    TypedPair, UnixMillis,
};

const USERS: u32 = 4;
const ITEMS: u32 = 5;

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Row>),
    EraseUser(u32),
    ErasePairs(Vec<(u32, u32)>),
    /// Of pairs what is of one type.
    EraseTyped(Vec<Key>),
    /// A user, an item, a pair and of another pair what is of one type.
    EraseSeveral(u32, u32, (u32, u32), Key),
    EraseItem(u32),
    Restrict(Vec<u32>),
    Lift(Vec<u32>),
    /// While the store is closed, once everything is applied.
    Import(Vec<Row>),
    /// The worker applies everything, or but the last entry.
    Apply(bool),
    Crash,
    Reopen,
    Compact,
    Backup,
    /// Restores the last backup.
    Restore,
}

/// User, item and number of a type of feedback.
type Key = (u32, u32, u8);

#[derive(Debug, Clone)]
struct Row {
    key: Key,
    weight: u8,
    long_ago: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || (0..USERS, 0..ITEMS, 0..FEEDBACK.len() as u8);
    let row = (key(), 1..9_u8, prop::bool::weighted(0.3));
    let row = row.prop_map(|(key, weight, long_ago)| Row {
        key,
        weight,
        long_ago,
    });
    let pair = || (0..USERS, 0..ITEMS);
    let several = (0..USERS, 0..ITEMS, pair(), key());
    let rows = prop::collection::vec(row, 1..5);
    let users = || prop::collection::vec(0..USERS, 1..3);
    prop_oneof![
        6 => rows.clone().prop_map(Step::Add),
        1 => rows.prop_map(Step::Import),
        4 => users().prop_map(Step::Restrict),
        3 => users().prop_map(Step::Lift),
        2 => (0..USERS).prop_map(Step::EraseUser),
        4 => prop::collection::vec(pair(), 1..4).prop_map(Step::ErasePairs),
        4 => prop::collection::vec(key(), 1..4).prop_map(Step::EraseTyped),
        1 => several.prop_map(|(user, item, pair, key)| Step::EraseSeveral(user, item, pair, key)),
        2 => (0..ITEMS).prop_map(Step::EraseItem),
        4 => any::<bool>().prop_map(Step::Apply),
        1 => Just(Step::Crash),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
        2 => Just(Step::Backup),
        1 => Just(Step::Restore),
    ]
}

/// The weight of everything that is held.
type Events = BTreeMap<Key, f32>;

/// Weight and target of every pair, as they are learnt.
type Pairs = BTreeMap<(u32, u32), (f32, f32)>;

/// What was erased.
#[derive(Debug, Clone, Default)]
struct Erased {
    users: BTreeSet<u32>,
    pairs: BTreeSet<(u32, u32)>,
    typed: BTreeSet<Key>,
    items: BTreeSet<u32>,
}

impl Erased {
    fn names(&self, key: Key) -> bool {
        let (user, item, _) = key;
        self.users.contains(&user)
            || self.items.contains(&item)
            || self.pairs.contains(&(user, item))
            || self.typed.contains(&key)
    }
}

fn typed_pair(key: &Key) -> TypedPair {
    TypedPair {
        user: user(key.0),
        item: item_id(key.1),
        feedback: feedback(key.2),
    }
}

struct Copied {
    file: PathBuf,
    held: Events,
    erased_since: Erased,
}

/// The store under test and the map it is held against.
struct Machine {
    folder: tempfile::TempDir,
    data: PathBuf,
    store: Option<Store>,
    /// Everything that is held, processed or kept.
    held: Events,
    /// Whose is kept.
    restricted: BTreeSet<u32>,
    erased: Erased,
    backup: Option<Copied>,
    count: u32,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        Self {
            store: Some(open(&data)),
            data,
            folder,
            held: Events::new(),
            restricted: BTreeSet::new(),
            erased: Erased::default(),
            backup: None,
            count: 0,
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    fn fresh_path(&mut self, name: &str) -> PathBuf {
        self.count += 1;
        self.folder.path().join(format!("{name}-{}", self.count))
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Add(rows) => self.add(rows),
            Step::EraseUser(of) => {
                self.erase(ErasureTarget::User(user(*of)), |erased| {
                    erased.users.insert(*of);
                });
            }
            Step::ErasePairs(pairs) => {
                let ids = pairs.iter().map(|(u, i)| (user(*u), item_id(*i)));
                self.erase(ErasureTarget::Pairs(ids.collect()), |erased| {
                    erased.pairs.extend(pairs);
                });
            }
            Step::EraseTyped(keys) => {
                let named = keys.iter().map(typed_pair).collect();
                self.erase(ErasureTarget::TypedPairs(named), |erased| {
                    erased.typed.extend(keys);
                });
            }
            Step::EraseSeveral(of, item, pair, key) => {
                let names = Names {
                    users: vec![user(*of)],
                    items: vec![item_id(*item)],
                    pairs: vec![(user(pair.0), item_id(pair.1))],
                    typed_pairs: vec![typed_pair(key)],
                };
                self.erase(names.into(), |erased| {
                    erased.users.insert(*of);
                    erased.items.insert(*item);
                    erased.pairs.insert(*pair);
                    erased.typed.insert(*key);
                });
            }
            Step::Restrict(users) => {
                let named = users.iter().map(|of| user(*of)).collect();
                let event = erasure(ErasureId::generate(), ErasureTarget::Restriction(named));
                commit(self.store(), |batch| batch.append(event));
                self.restricted.extend(users);
            }
            Step::Lift(users) => {
                commit(self.store(), |batch| {
                    users
                        .iter()
                        .for_each(|of| batch.lift_restriction(&user(*of)));
                });
                self.restricted.retain(|of| !users.contains(of));
            }
            Step::Import(rows) => self.import(rows),
            Step::EraseItem(item) => {
                self.erase(ErasureTarget::Item(item_id(*item)), |erased| {
                    erased.items.insert(*item);
                });
            }
            Step::Apply(all) => apply(self.store(), *all),
            Step::Crash => {
                let copy = self.fresh_path("crashed");
                copy_directory(&self.data, &copy);
                self.data = copy;
                self.store = Some(open(&self.data));
            }
            Step::Reopen => {
                self.store = None;
                self.store = Some(open(&self.data));
            }
            Step::Compact => drop(self.store().compact().expect("compacted")),
            Step::Backup => {
                let file = self.fresh_path("backup");
                let summary = self.store().backup(&file).expect("backed up");
                assert!(summary.interactions >= self.held.len() as u64);
                self.backup = Some(Copied {
                    file,
                    held: self.held.clone(),
                    erased_since: Erased::default(),
                });
            }
            Step::Restore => self.restore(),
        }
    }

    fn add(&mut self, rows: &[Row]) {
        let interaction = |row: &Row| Interaction {
            user: user(row.key.0),
            item: item_id(row.key.1),
            feedback: feedback(row.key.2),
            weight: f32::from(row.weight),
            timestamp: row.long_ago.then_some(1_000_000_000),
        };
        let event = Event::Add(rows.iter().map(interaction).collect());
        let committed = commit(self.store(), |batch| batch.append(event));
        let mut held_back = 0;
        for row in rows {
            if row.long_ago && self.erased.names(row.key) {
                held_back += 1;
            } else {
                hold(&mut self.held, row);
            }
        }
        assert_eq!(committed.held_back, held_back);
    }

    fn import(&mut self, rows: &[Row]) {
        apply(self.store(), true);
        self.store = None;
        let session = ImportSession::begin(&self.data, &options()).expect("a session");
        let mut writer = session.writer().expect("a writer");
        // Rows without a time are as new as those that are sent.
        writer.after_erasures();
        let (mut held_back, mut restricted) = (0, 0);
        for row in rows {
            let number = writer.feedback_number(&feedback(row.key.2)).expect("known");
            let (user, item) = (user(row.key.0), item_id(row.key.1));
            let (user, item) = (user.expose(), item.expose());
            let at = row.long_ago.then_some(1_000_000_000);
            let taken = writer.push_typed(number, user, item, f32::from(row.weight), at);
            taken.expect("taken");
            if row.long_ago && self.erased.names(row.key) {
                held_back += 1;
                continue;
            }
            restricted += u64::from(self.restricted.contains(&row.key.0));
            hold(&mut self.held, row);
        }
        let totals = writer.finish().expect("durable");
        drop(session);
        assert_eq!(
            (totals.held_back, totals.restricted),
            (held_back, restricted)
        );
        let parts = totals.added + totals.duplicates + held_back + restricted;
        assert_eq!(parts, rows.len() as u64);
        assert_eq!(totals.interactions, self.processed().len() as u64);
        self.store = Some(open(&self.data));
    }

    /// What is held of those who are not restricted.
    fn processed(&self) -> Events {
        let held = self.held.iter();
        let held = held.filter(|((user, ..), _)| !self.restricted.contains(user));
        held.map(|(key, weight)| (*key, *weight)).collect()
    }

    /// What is kept is the rest, and what is known of each person says so.
    fn assert_kept(&self) {
        let store = self.store();
        for of in 0..USERS {
            let is_restricted = self.restricted.contains(&of);
            assert_eq!(store.is_restricted(&user(of)), is_restricted);
            let kept = store.kept(&user(of)).expect("readable").into_iter();
            let kept: Events = kept
                .map(|kept| {
                    let number = FEEDBACK.iter().position(|it| *it == kept.feedback.as_str());
                    let number = number.expect("a type of these tests") as u8;
                    ((of, number_of(kept.item.expose()), number), kept.weight)
                })
                .collect();
            let held = self.held.iter().filter(|((user, ..), _)| *user == of);
            let held: Events = held.map(|(key, weight)| (*key, *weight)).collect();
            assert_eq!(
                kept,
                if is_restricted {
                    held.clone()
                } else {
                    Events::new()
                }
            );
            let person = store.person(&user(of)).expect("readable");
            let expected =
                (is_restricted || !held.is_empty()).then_some((is_restricted, held.len()));
            assert_eq!(person.map(|of| (of.restricted, of.interactions)), expected);
        }
    }

    fn erase(&mut self, target: ErasureTarget, note: impl Fn(&mut Erased)) {
        let event = erasure(ErasureId::generate(), target);
        commit(self.store(), |batch| batch.append(event));
        let mut named = Erased::default();
        note(&mut named);
        self.held.retain(|key, _| !named.names(*key));
        // With the person goes the restriction.
        self.restricted.retain(|of| !named.users.contains(of));
        note(&mut self.erased);
        if let Some(backup) = &mut self.backup {
            note(&mut backup.erased_since);
        }
    }

    fn restore(&mut self) {
        let Some(backup) = &self.backup else {
            return;
        };
        self.store = None;
        let restored = restore(&backup.file, &self.data, &options()).expect("restored");
        let mut held = backup.held.clone();
        held.retain(|key, _| !backup.erased_since.names(*key));
        self.held = held;
        assert_eq!(restored.interactions, self.processed().len() as u64);
        self.store = Some(open(&self.data));
    }

    /// Applies everything and compares.
    fn check(&mut self) {
        apply(self.store(), true);
        assert_eq!(read(self.store()), self.processed());
        self.assert_kept();
        self.store = None;
        self.store = Some(open(&self.data));
        assert_eq!(read(self.store()), self.processed());
        self.assert_kept();
        let expected = learnt(&self.processed());
        for matrix in matrices(&loaded(self.store())) {
            assert!(matrix.keys().eq(expected.keys()));
            for (found, expected) in matrix.values().zip(expected.values()) {
                let close = |a: f32, b: f32| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
                assert!(close(found.0, expected.0) && close(found.1, expected.1));
            }
        }
    }
}

/// Puts a row beside what is held of its pair and type, as the type's rule says.
fn hold(held: &mut Events, row: &Row) {
    let new = f32::from(row.weight);
    let before = held.get(&row.key).copied();
    let together = match (row.key.2, before) {
        (1, Some(before)) => before + new,
        (2, Some(before)) => before.max(new),
        _ => new,
    };
    held.insert(row.key, together);
}

/// What is to be learnt of what is held: the weighted mean of the targets, of the weights that count.
fn learnt(held: &Events) -> Pairs {
    let mut pairs = Pairs::new();
    for ((user, item, number), weight) in held {
        let (share, target) = [(1.0, 1.0), (0.5, 1.0), (2.0, 0.0)][usize::from(*number)];
        let pair = pairs.entry((*user, *item)).or_insert((0.0, 0.0));
        pair.0 += weight * share;
        pair.1 += weight * share * target;
    }
    for (weight, target) in pairs.values_mut() {
        *target /= *weight;
    }
    pairs
}

fn hyperparameters() -> IalsHyperparameters {
    IalsHyperparameters {
        dim: 2,
        alpha0: 0.3,
        lambda: 0.1,
        nu: 1.0,
    }
}

/// The number at the end of an id of these tests.
fn number_of(id: &str) -> u32 {
    let (_, number) = id.rsplit_once('-').expect("a number");
    number.parse().expect("a number")
}

/// Weight and target of every pair of a trainer's matrix, found from the side of the users and from that
/// of the items.
fn matrices(trainer: &Trainer) -> [Pairs; 2] {
    let number = number_of;
    let (users, items) = (trainer.users.directory(), trainer.items.directory());
    let user = |row: u32| number(users.id(row).expect("a user").expose());
    let item = |row: u32| number(items.id(row).expect("an item").expose());
    let (mut by_user, mut by_item) = (Pairs::new(), Pairs::new());
    for row in 0..trainer.matrix.user_rows() as u32 {
        for entry in trainer.matrix.user(row) {
            by_user.insert((user(row), item(entry.index)), (entry.weight, entry.target));
        }
    }
    for row in 0..trainer.matrix.item_rows() as u32 {
        for entry in trainer.matrix.item(row) {
            by_item.insert((user(entry.index), item(row)), (entry.weight, entry.target));
        }
    }
    [by_user, by_item]
}

/// Does what the worker does with the log, and trims it.
fn apply(store: &Store, all: bool) {
    let mut trainer = loaded(store);
    let applied = store.applied().expect("readable");
    let mut entries = store.read_from(applied.next(), 1_000).expect("readable");
    if !all {
        entries.pop();
    }
    let Some(reached) = entries.last().map(|(position, _)| *position) else {
        return;
    };
    let mut events = Vec::new();
    for (_, entry) in entries {
        events.push(match entry {
            Entry::Add(interactions) => Event::Add(interactions),
            Entry::Erase(entry) => {
                let mut resolver = Resolver::new(&trainer, store.hasher());
                for event in &events {
                    if let Event::Add(interactions) = event {
                        resolver.learn(interactions);
                    }
                }
                Event::Erase {
                    id: entry.id,
                    accepted_at: UnixMillis(0),
                    target: resolver.target(&entry.named),
                }
            }
        });
    }
    let mut changes = trainer.apply(store, events).expect("readable");
    trainer.release_empty_items(&mut changes);
    changes.batch.set_applied(reached);
    changes.batch.trim_log(reached);
    store.commit(changes.batch).wait().expect("durable");
    // What was changed in memory is what anybody would read now.
    let again = loaded(store);
    assert_eq!(matrices(&trainer), matrices(&again));
    assert_eq!(unseen(&trainer), unseen(&again));
    let counts = |trainer: &Trainer| trainer.popular.iter().collect::<Vec<_>>();
    assert_eq!(counts(&trainer), counts(&again));
    assert_eq!(hours(&trainer), hours(&again));
}

fn loaded(store: &Store) -> Trainer {
    load(store, hyperparameters(), 1).expect("readable").trainer
}

/// The rows of items that do not count as seen, of each user who has some.
fn unseen(trainer: &Trainer) -> BTreeMap<u32, Vec<u32>> {
    let users = trainer.unseen.iter();
    users.map(|(user, items)| (*user, items.to_vec())).collect()
}

/// When the items that somebody wanted were wanted, by row.
fn hours(trainer: &Trainer) -> BTreeMap<u32, Vec<(Hour, u32)>> {
    let rows = 0..trainer.items.directory().capacity() as u32;
    let hours = rows.map(|row| (row, trainer.activity.items().of(row).to_vec()));
    hours.filter(|(_, hours)| !hours.is_empty()).collect()
}

fn read(store: &Store) -> Events {
    let number = number_of;
    let users: BTreeMap<u32, _> = store.users().expect("readable").into_iter().collect();
    let items: BTreeMap<u32, _> = store.items().expect("readable").into_iter().collect();
    let types = store.feedback_types();
    let feedback = |number: FeedbackNumber| {
        let name = types[usize::from(number.0)].as_str();
        let place = FEEDBACK.iter().position(|known| *known == name);
        place.expect("a type of these tests") as u8
    };
    let mut events = Events::new();
    let visited = store.visit_histories(|row, held| {
        for held in held {
            let key = (
                number(users[&row].expose()),
                number(items[&held.item].id.expose()),
                feedback(held.feedback),
            );
            events.insert(key, held.weight);
        }
    });
    visited.expect("readable");
    events
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_holds_what_a_map_would_hold(steps in prop::collection::vec(step(), 1..30)) {
        let mut machine = Machine::new();
        for step in &steps {
            machine.take(step);
        }
        machine.check();
        assert_illegible(machine.folder.path());
    }
}
