//! Any sequence of additions, erasures, replays, crashes, compactions, backups and restores leaves
//! what a plain map would hold.
//!
//! The machine plays the worker: what was accepted is applied when it says so. A crash is a copy of
//! the directory while the store is open, from which everything goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use recant_service::Resolver;
use recant_service::load;
use recant_store::{Entry, Store, restore};
use recant_testkit::store::{commit, copy_directory, erasure, item_id, open, options, user};
use recant_types::{ErasureId, ErasureTarget, Event, IalsHyperparameters, Interaction, UnixMillis};

const USERS: u32 = 4;
const ITEMS: u32 = 5;

#[derive(Debug, Clone)]
enum Step {
    /// Users, items, weights, and whether it happened long ago.
    Add(Vec<(u32, u32, u8, bool)>),
    EraseUser(u32),
    ErasePairs(Vec<(u32, u32)>),
    EraseItem(u32),
    /// The worker applies everything, or but the last entry.
    Apply(bool),
    Crash,
    Reopen,
    Compact,
    Backup,
    /// Restores the last backup.
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0..USERS, 0..ITEMS, 1..9_u8, prop::bool::weighted(0.3));
    let pair = (0..USERS, 0..ITEMS);
    prop_oneof![
        6 => prop::collection::vec(row, 1..5).prop_map(Step::Add),
        2 => (0..USERS).prop_map(Step::EraseUser),
        4 => prop::collection::vec(pair, 1..4).prop_map(Step::ErasePairs),
        2 => (0..ITEMS).prop_map(Step::EraseItem),
        4 => any::<bool>().prop_map(Step::Apply),
        1 => Just(Step::Crash),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
        2 => Just(Step::Backup),
        1 => Just(Step::Restore),
    ]
}

type Pairs = BTreeMap<(u32, u32), u8>;

/// What was erased.
#[derive(Debug, Clone, Default)]
struct Erased {
    users: BTreeSet<u32>,
    pairs: BTreeSet<(u32, u32)>,
    items: BTreeSet<u32>,
}

impl Erased {
    fn names(&self, user: u32, item: u32) -> bool {
        self.users.contains(&user)
            || self.items.contains(&item)
            || self.pairs.contains(&(user, item))
    }
}

struct Copied {
    file: PathBuf,
    held: Pairs,
    erased_since: Erased,
}

/// The store under test and the map it is held against.
struct Machine {
    folder: tempfile::TempDir,
    data: PathBuf,
    store: Option<Store>,
    held: Pairs,
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
            held: Pairs::new(),
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

    fn add(&mut self, rows: &[(u32, u32, u8, bool)]) {
        let interaction = |(of, item, weight, long_ago): &(u32, u32, u8, bool)| Interaction {
            user: user(*of),
            item: item_id(*item),
            weight: f32::from(*weight),
            timestamp: long_ago.then_some(1_000_000_000),
        };
        let event = Event::Add(rows.iter().map(interaction).collect());
        let committed = commit(self.store(), |batch| batch.append(event));
        let mut held_back = 0;
        for (of, item, weight, long_ago) in rows {
            if *long_ago && self.erased.names(*of, *item) {
                held_back += 1;
            } else {
                self.held.insert((*of, *item), *weight);
            }
        }
        assert_eq!(committed.held_back, held_back);
    }

    fn erase(&mut self, target: ErasureTarget, note: impl Fn(&mut Erased)) {
        let event = erasure(ErasureId::generate(), target);
        commit(self.store(), |batch| batch.append(event));
        let mut named = Erased::default();
        note(&mut named);
        self.held.retain(|(of, item), _| !named.names(*of, *item));
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
        held.retain(|(of, item), _| !backup.erased_since.names(*of, *item));
        assert_eq!(restored.interactions, held.len() as u64);
        self.held = held;
        self.store = Some(open(&self.data));
    }

    /// Applies everything and compares.
    fn check(&mut self) {
        apply(self.store(), true);
        assert_eq!(read(self.store()), self.held);
        self.store = None;
        self.store = Some(open(&self.data));
        assert_eq!(read(self.store()), self.held);
    }
}

/// Does what the worker does with the log, and trims it.
fn apply(store: &Store, all: bool) {
    let hyperparameters = IalsHyperparameters {
        dim: 2,
        alpha0: 0.3,
        lambda: 0.1,
        nu: 1.0,
    };
    let mut trainer = load(store, hyperparameters, 1).expect("readable").trainer;
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
}

fn read(store: &Store) -> Pairs {
    let number = |id: &str| -> u32 {
        let (_, number) = id.rsplit_once('-').expect("a number");
        number.parse().expect("a number")
    };
    let users: BTreeMap<u32, _> = store.users().expect("readable").into_iter().collect();
    let items: BTreeMap<u32, _> = store.items().expect("readable").into_iter().collect();
    let mut pairs = Pairs::new();
    let visited = store.visit_histories(|row, held| {
        for held in held {
            let pair = (
                number(users[&row].expose()),
                number(items[&held.item].id.expose()),
            );
            pairs.insert(pair, held.weight as u8);
        }
    });
    visited.expect("readable");
    pairs
}

/// No file under `data` holds any of the ids.
fn assert_illegible(data: &Path) {
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
