//! The state of one node's store, taken by another: afterwards it is as if that one had applied every entry.
//!
//! The transfer is meddled with: whenever some of it has been handed over, the next step of a history is
//! taken, an entry among them, the worker's turn, a compaction. So records that were sent change, erasures
//! take what was sent already, and events of a type that adds up come in between.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use recant_store::{
    ContentDigest, ContentSlice, Decided, Entry, LogEntry, LogKey, Named, RequestBatch, Store,
    StoreError, StoredInteraction, import_state, restore, wipe,
};
use recant_testkit::store::{
    Contents, addition, copy_directory, erasure, erasure_id, item_id, open, open_with, options,
    properties, user,
};
use recant_types::{
    ErasureFilter, ErasureRecord, ErasureTarget, Event, FeedbackType, Interaction, PersonSummary,
};
use zeroize::Zeroizing;

use crate::decided::{Asked, Callers, ITEMS, USERS, asked, work};

const DIRECTORY: &str = "RECANT_TEST_TRANSFER_DIRECTORY";

/// People beside those of the history, so that a transfer has several pages.
const OTHERS: u32 = 40;

#[derive(Debug, Clone)]
enum Step {
    /// Requests that are decided, and come to the leader with one entry.
    Group(Vec<Asked>),
    /// The follower applies what it lacks.
    Follow,
    /// The worker of the leader, or of the follower, applies what waits.
    Work(bool),
    Compact(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(asked(), 1..5).prop_map(Step::Group),
        2 => Just(Step::Follow),
        3 => any::<bool>().prop_map(Step::Work),
        1 => any::<bool>().prop_map(Step::Compact),
    ]
}

/// A node that leads, one that follows at its own pace, and the log between them.
struct Nodes {
    folder: tempfile::TempDir,
    leader: Store,
    follower: Store,
    /// What was decided with each entry; the first has number 1.
    log: Vec<Vec<Vec<u8>>>,
    callers: Callers,
}

fn entry(number: u64, decided: &[Vec<u8>]) -> LogEntry {
    let read = |bytes: &Vec<u8>| Decided::from_bytes(bytes).expect("whole");
    LogEntry {
        decided: decided.iter().map(read).collect(),
        mark: number.to_le_bytes().to_vec(),
        key: LogKey::new(0, number, Zeroizing::new([number as u8; 32])),
        places: Vec::new(),
    }
}

fn number(mark: &[u8]) -> u64 {
    u64::from_le_bytes(mark.try_into().expect("a number"))
}

fn stands_at(store: &Store) -> u64 {
    let mark = store.mark().expect("readable").expect("a mark");
    let key = store.log_key().expect("readable").expect("a key");
    assert_eq!(key.epoch(), number(&mark));
    assert_eq!(key.expose(), &[number(&mark) as u8; 32]);
    number(&mark)
}

fn exported(store: &Store) -> Vec<u8> {
    let mut sent = Vec::new();
    let summary = store.export_state(&mut sent).expect("sent");
    assert_eq!(summary.bytes, sent.len() as u64);
    sent
}

fn taken(sent: &[u8], directory: &Path) -> Store {
    import_state(sent, directory, &options()).expect("taken");
    open(directory)
}

fn adding(of: u32) -> RequestBatch {
    let mut batch = RequestBatch::default();
    batch.append(addition(of, 3));
    batch.put_properties(&user(of), &properties("said"));
    batch
}

fn erasing(of: u32) -> RequestBatch {
    let mut batch = RequestBatch::default();
    let id = erasure_id(of as u8);
    batch.append(erasure(id, ErasureTarget::User(user(of))));
    batch
}

impl Nodes {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let leader = open(&folder.path().join("leader"));
        leader.commit_entry(entry(1, &[])).wait().expect("durable");
        let follower = taken(&exported(&leader), &folder.path().join("follower"));
        let mut nodes = Self {
            folder,
            leader,
            follower,
            log: vec![Vec::new()],
            callers: Callers::default(),
        };
        nodes.decide((100..100 + OTHERS).map(adding).collect());
        nodes.take(&Step::Work(true));
        nodes
    }

    fn decide(&mut self, requests: Vec<RequestBatch>) {
        let decided = self.leader.decide(requests).wait().expect("decided");
        self.log
            .push(decided.iter().map(Decided::to_bytes).collect());
        self.catch_up(&self.leader);
    }

    /// Applies what a node's store lacks.
    fn catch_up(&self, store: &Store) {
        for next in stands_at(store) as usize..self.log.len() {
            let entry = entry(next as u64 + 1, &self.log[next]);
            store.commit_entry(entry).wait().expect("durable");
        }
    }

    fn node(&self, leads: bool) -> &Store {
        if leads { &self.leader } else { &self.follower }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Group(asked) => {
                let batches = asked.iter().map(|asked| self.callers.batch(asked));
                let batches = batches.collect();
                self.decide(batches);
            }
            Step::Follow => self.catch_up(&self.follower),
            Step::Work(leads) => {
                let store = self.node(*leads);
                let (held, before) = (Held::of(store), digest(store));
                store.commit(work(store)).wait().expect("durable");
                assert_eq!(
                    digest(store),
                    before,
                    "the worker's turn changed the digest"
                );
                assert_eq!(Held::of(store), held);
            }
            Step::Compact(leads) => {
                let store = self.node(*leads);
                let before = digest(store);
                store.compact().expect("compacted");
                assert_eq!(digest(store), before, "a compaction changed the digest");
            }
        }
    }

    /// Sends the leader's state while these steps are taken; returns what was sent.
    fn send_meddled_with(&mut self, steps: Vec<Step>) -> Vec<u8> {
        let leader = self.leader.clone();
        let mut meddling = Meddling {
            nodes: self,
            steps: steps.into_iter(),
            sent: Vec::new(),
        };
        let summary = leader.export_state(&mut meddling).expect("sent");
        let Meddling { steps, sent, .. } = meddling;
        assert!(number(&summary.mark) <= self.log.len() as u64);
        steps.for_each(|step| self.take(&step));
        sent
    }
}

/// Takes a step of a history whenever something is written.
struct Meddling<'a> {
    nodes: &'a mut Nodes,
    steps: std::vec::IntoIter<Step>,
    sent: Vec<u8>,
}

impl Write for Meddling<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sent.extend_from_slice(bytes);
        if let Some(step) = self.steps.next() {
            self.nodes.take(&step);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Pair = (String, String, FeedbackType);

/// What a store holds, whatever of it is in the histories: read through its public interface, for the
/// digest to be held against.
#[derive(Debug, PartialEq)]
struct Held {
    pairs: BTreeMap<Pair, (f32, Option<i64>)>,
    kept: Vec<Interaction>,
    restricted: Vec<bool>,
    said: Vec<recant_types::PersonProperties>,
    described: Vec<Option<recant_types::ItemDescription>>,
    next: u64,
}

impl Held {
    fn of(store: &Store) -> Self {
        let types = store.feedback().expect("they have rules");
        let users: BTreeMap<u32, _> = store.users().expect("readable").into_iter().collect();
        let items: BTreeMap<u32, _> = store.items().expect("readable").into_iter().collect();
        let mut pairs: BTreeMap<Pair, StoredInteraction> = BTreeMap::new();
        let visit = |row: u32, held: &[StoredInteraction]| {
            for held in held {
                let key = (
                    users[&row].expose().to_owned(),
                    items[&held.item].id.expose().to_owned(),
                    types.name(held.feedback),
                );
                pairs.insert(key, *held);
            }
        };
        store.visit_histories(visit).expect("readable");
        let applied = store.applied().expect("readable");
        for (_, entry) in store
            .read_from(applied.next(), usize::MAX)
            .expect("readable")
        {
            match entry {
                Entry::Add(rows) => {
                    for row in rows {
                        let new = StoredInteraction {
                            item: 0,
                            feedback: types.number(&row.feedback).expect("known"),
                            weight: row.weight,
                            timestamp: row.timestamp,
                        };
                        let (of, with) = (row.user.expose(), row.item.expose());
                        pairs
                            .entry((of.to_owned(), with.to_owned(), row.feedback))
                            .and_modify(|held| *held = held.together_with(new, &types))
                            .or_insert(new);
                    }
                }
                Entry::Erase(erased) => {
                    let named = erased.named.items().map(|named| named.parts());
                    let named = named.unwrap_or_default();
                    pairs.retain(|(_, with, _), _| {
                        let id = recant_types::ItemId::new(with).expect("an id");
                        !named.contains(&Named::Item(store.hasher().item(&id)))
                    });
                }
            }
        }
        let people = || (0..USERS).chain(100..100 + OTHERS).map(user);
        let said = |of| store.properties(&of).expect("readable");
        Self {
            pairs: pairs
                .into_iter()
                .map(|(key, held)| (key, (held.weight, held.timestamp)))
                .collect(),
            kept: people()
                .flat_map(|of| store.kept(&of).expect("readable"))
                .collect(),
            restricted: people().map(|of| store.is_restricted(&of)).collect(),
            said: people().map(said).collect(),
            described: (0..ITEMS)
                .map(|of| store.description(&item_id(of)).expect("readable"))
                .collect(),
            next: store.watch_log().borrow().0,
        }
    }
}

fn digest(store: &Store) -> ContentDigest {
    store.content_digest(ContentSlice::WHOLE).expect("readable")
}

/// The same in parts, by three first bits of the hashes.
fn sliced(store: &Store) -> Vec<ContentDigest> {
    let slices = (0..8).map(|number| ContentSlice::new(3, number).expect("three bits"));
    let each = slices.map(|slice| store.content_digest(slice).expect("readable"));
    each.collect()
}

/// What everybody is shown once the worker has applied everything.
fn shown(store: &Store) -> (Held, ContentDigest, Vec<PersonSummary>, Vec<ErasureRecord>) {
    store.commit(work(store)).wait().expect("durable");
    let all = ErasureFilter::default();
    (
        Held::of(store),
        digest(store),
        store.persons(None, usize::MAX).expect("readable"),
        store.erasures(&all, None, usize::MAX).expect("readable"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whoever_takes_the_state_is_as_if_it_had_applied_every_entry(
        before in prop::collection::vec(step(), 0..6),
        meanwhile in prop::collection::vec(step(), 0..10),
    ) {
        let mut nodes = Nodes::new();
        before.iter().for_each(|step| nodes.take(step));
        let sent = nodes.send_meddled_with(meanwhile);
        let joined = taken(&sent, &nodes.folder.path().join("joined"));
        nodes.catch_up(&joined);
        nodes.catch_up(&nodes.follower);
        let expected = (Held::of(&nodes.leader), digest(&nodes.leader));
        prop_assert_eq!(expected.1.rows, (expected.0.pairs.len() + expected.0.kept.len()) as u64);
        for store in [&nodes.follower, &joined] {
            prop_assert_eq!(stands_at(store), nodes.log.len() as u64);
            prop_assert_eq!(&(Held::of(store), digest(store)), &expected);
            prop_assert_eq!(sliced(store), sliced(&nodes.leader));
            let rows: u64 = sliced(store).iter().map(|slice| slice.rows).sum();
            prop_assert_eq!(rows, expected.1.rows);
        }
        let expected = shown(&nodes.leader);
        for store in [&nodes.follower, &joined] {
            prop_assert_eq!(&shown(store), &expected);
        }
    }

    /// Equal digests are of equal contents, and different ones of different contents.
    #[test]
    fn a_digest_differs_when_anything_that_is_held_does(
        groups in prop::collection::vec(prop::collection::vec(asked(), 1..3), 1..6),
    ) {
        let mut nodes = Nodes::new();
        let mut seen: Vec<(Held, u128)> = Vec::new();
        for group in groups {
            nodes.take(&Step::Group(group));
            let now = (Held::of(&nodes.leader), digest(&nodes.leader).sum);
            for (held, sum) in &seen {
                prop_assert_eq!(*held == now.0, *sum == now.1);
            }
            seen.push(now);
        }
    }
}

#[test]
fn an_event_that_is_in_the_state_does_not_count_again() {
    let mut nodes = Nodes::new();
    let mut batch = RequestBatch::default();
    let view = |of: u32| Interaction {
        user: user(of),
        item: item_id(1),
        feedback: recant_testkit::store::feedback(1),
        weight: 1.0,
        timestamp: None,
    };
    batch.append(Event::Add((0..3).map(view).collect()));
    nodes.decide(vec![batch.clone()]);
    let leader = nodes.leader.clone();
    let mut again = vec![batch.clone(), batch];
    let mut meddling = OnWrite {
        sent: Vec::new(),
        then: || {
            if let Some(batch) = again.pop() {
                nodes.decide(vec![batch]);
            }
        },
    };
    leader.export_state(&mut meddling).expect("sent");
    let sent = meddling.sent;
    let joined = taken(&sent, &nodes.folder.path().join("joined"));
    nodes.catch_up(&joined);
    let held = Held::of(&joined);
    let of_first = (
        user(0).expose().to_owned(),
        item_id(1).expose().to_owned(),
        recant_testkit::store::feedback(1),
    );
    assert_eq!(held.pairs[&of_first].0, 3.0);
    assert_eq!(held, Held::of(&leader));
}

/// Calls a function whenever something is written.
struct OnWrite<F> {
    sent: Vec<u8>,
    then: F,
}

impl<F: FnMut()> Write for OnWrite<F> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sent.extend_from_slice(bytes);
        (self.then)();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn who_is_erased_after_being_sent_is_in_what_was_sent_and_not_in_what_was_taken() {
    let mut nodes = Nodes::new();
    let leader = nodes.leader.clone();
    let mut erased = false;
    let mut meddling = OnWrite {
        sent: Vec::new(),
        then: || {
            // Once the log's key has gone over the state stands: by then it is too late.
            if !std::mem::replace(&mut erased, true) {
                nodes.decide((100..100 + OTHERS).map(erasing).collect());
            }
        },
    };
    let summary = leader.export_state(&mut meddling).expect("sent");
    let sent = meddling.sent;
    assert_eq!(number(&summary.mark), nodes.log.len() as u64);
    // What the ids of all of them begin with: which of them were sent by then is a matter of pseudonyms.
    let start = b"user-1";
    let is_in = |bytes: &[u8]| bytes.windows(start.len()).any(|window| window == start);
    assert!(is_in(&sent), "nobody was sent before the erasure");
    let data = nodes.folder.path().join("joined");
    let joined = taken(&sent, &data);
    assert_eq!(joined.persons(None, usize::MAX).expect("readable"), []);
    assert_eq!(digest(&joined), digest(&leader));
    drop(joined);
    for_each_file(&data, &mut |path, bytes| {
        assert!(!is_in(bytes), "{}", path.display());
    });
}

fn for_each_file(directory: &Path, look: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            for_each_file(&path, look);
        } else {
            look(&path, &fs::read(&path).expect("readable"));
        }
    }
}

/// Some of everything that a transfer carries.
fn filled() -> Nodes {
    let mut nodes = Nodes::new();
    let restriction = erasure(
        erasure_id(1),
        ErasureTarget::Restriction(vec![user(101), user(102)]),
    );
    let mut batch = RequestBatch::default();
    batch.append(restriction);
    nodes.decide(vec![batch, erasing(103), adding(0)]);
    nodes
}

#[test]
fn a_cut_or_damaged_state_leaves_no_store_and_an_intact_one_may_follow() {
    let nodes = filled();
    let sent = exported(&nodes.leader);
    let data = nodes.folder.path().join("joined");
    let cuts = (0..8)
        .map(|part| sent.len() * part / 8)
        .chain([sent.len() - 1]);
    let mut refused: Vec<Vec<u8>> = cuts.map(|end| sent[..end].to_vec()).collect();
    for part in 0..8 {
        let mut flipped = sent.clone();
        flipped[sent.len() * part / 8 + 5] ^= 4;
        refused.push(flipped);
    }
    for bytes in refused {
        let error = import_state(&bytes[..], &data, &options()).expect_err("refused");
        assert!(matches!(error, StoreError::Transfer { .. }), "{error}");
        assert!(!data.join("CURRENT").exists());
        let generations = fs::read_dir(data.join("generations"));
        assert_eq!(
            generations.map_or(0, Iterator::count),
            0,
            "something was left"
        );
    }
    let joined = taken(&sent, &data);
    assert_eq!(Held::of(&joined), Held::of(&nodes.leader));
    assert_eq!(digest(&joined), digest(&nodes.leader));
    // It serves its own backups and its own state from then on.
    let backup = nodes.folder.path().join("backup");
    joined.backup(&backup).expect("backed up");
    let third = taken(&exported(&joined), &nodes.folder.path().join("third"));
    assert_eq!(digest(&third), digest(&nodes.leader));
    drop((joined, third));
    let other = nodes.folder.path().join("other");
    copy_directory(&data.join("keys"), &other.join("keys"));
    restore(&backup, &other, &options()).expect("restored");
    let left = Contents::read(&open(&other)).expect("readable");
    assert_eq!(
        left.people.len(),
        open(&data)
            .persons(None, usize::MAX)
            .expect("readable")
            .len()
    );
}

#[test]
fn what_cannot_be_sent_or_taken_is_refused() {
    let nodes = filled();
    let single = open(&nodes.folder.path().join("single"));
    let refused = single.export_state(Vec::new());
    assert!(
        matches!(refused, Err(StoreError::FollowsNoLog)),
        "{refused:?}"
    );
    let sent = exported(&nodes.leader);
    drop(single);
    let data = nodes.folder.path().join("single");
    let refused = import_state(&sent[..], &data, &options());
    assert!(
        matches!(refused, Err(StoreError::HoldsAStore { .. })),
        "{refused:?}"
    );
    open(&data);
    let mut newer = sent;
    newer[8] = 2;
    let refused = import_state(&newer[..], &nodes.folder.path().join("new"), &options());
    let error = refused.expect_err("refused").to_string();
    assert!(error.contains("bring both nodes to one version"), "{error}");
}

#[test]
fn a_wiped_directory_opens_nothing_and_takes_another_state() {
    let nodes = filled();
    let sent = exported(&nodes.leader);
    let data = nodes.folder.path().join("joined");
    let joined = taken(&sent, &data);
    let backup = nodes.folder.path().join("backup");
    joined.backup(&backup).expect("backed up");
    let locked = wipe(&data, &options());
    assert!(
        matches!(locked, Err(StoreError::Locked { .. })),
        "{locked:?}"
    );
    drop(joined);
    let copy = nodes.folder.path().join("copy");
    copy_directory(&data, &copy);
    wipe(&data, &options()).expect("wiped");
    wipe(&data, &options()).expect("it is done already");
    for name in ["CURRENT", "OPEN", "keys/ring"] {
        assert!(!data.join(name).exists(), "{name} is left");
    }
    assert_eq!(
        fs::read_dir(data.join("generations"))
            .expect("there")
            .count(),
        0
    );
    let restored = restore(&backup, &data, &options());
    assert!(
        matches!(restored, Err(StoreError::Backup { .. })),
        "{restored:?}"
    );
    // Another ring does not open what a thief copied before.
    let joined = taken(&sent, &data);
    assert_eq!(digest(&joined), digest(&nodes.leader));
    drop(joined);
    fs::remove_dir_all(copy.join("keys")).expect("removed");
    copy_directory(&data.join("keys"), &copy.join("keys"));
    open_with(&copy, &options()).expect_err("its keys are gone");
}

/// Takes the state that lies in a file, or wipes. Not a test by itself.
#[test]
#[ignore = "run by the tests below in a process of its own"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let data = directory.join("data");
    if directory.join("wipe").exists() {
        wipe(&data, &options()).expect("wiped");
    } else {
        let sent = fs::read(directory.join("sent")).expect("readable");
        drop(taken(&sent, &data));
    }
}

fn end_at(directory: &Path, failpoint: &str) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "transfer::child", "--ignored"])
        .env(DIRECTORY, directory)
        .env("RECANT_CRASH_AT", failpoint)
        .output()
        .expect("the child starts");
    assert!(!output.status.success(), "{failpoint} is never passed");
}

#[test]
fn an_end_in_the_middle_of_a_transfer_leaves_no_store_or_a_whole_one() {
    let nodes = filled();
    let sent = exported(&nodes.leader);
    for failpoint in [
        "transfer_middle:1",
        "transfer_middle:50",
        "ring_before_create",
        "generation_begun",
        "generation_before_pointer",
        "generation_pointer_written",
        "generation_after_rename",
        "generation_after_switch",
        "generation_old_removed",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("sent"), &sent).expect("written");
        end_at(folder.path(), failpoint);
        let data = folder.path().join("data");
        let joined = match import_state(&sent[..], &data, &options()) {
            // It was the current one already.
            Err(StoreError::HoldsAStore { .. }) => open(&data),
            taken => {
                taken.expect("taken");
                open(&data)
            }
        };
        assert_eq!(stands_at(&joined), nodes.log.len() as u64, "{failpoint}");
        assert_eq!(digest(&joined), digest(&nodes.leader), "{failpoint}");
    }
}

#[test]
fn an_end_in_the_middle_of_a_wipe_leaves_what_nobody_opens_until_it_is_done_again() {
    let nodes = filled();
    let sent = exported(&nodes.leader);
    for failpoint in [
        "wipe_after_header",
        "generation_old_zeroed:1",
        "generation_old_zeroed:2",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        drop(taken(&sent, &data));
        fs::write(folder.path().join("wipe"), "").expect("written");
        end_at(folder.path(), failpoint);
        let refused = open_with(&data, &options());
        assert!(
            matches!(refused, Err(StoreError::Wiped)),
            "{failpoint}: {refused:?}"
        );
        let refused = import_state(&sent[..], &data, &options());
        assert!(refused.is_err(), "{failpoint}");
        wipe(&data, &options()).expect("wiped");
        let joined = taken(&sent, &data);
        assert_eq!(digest(&joined), digest(&nodes.leader), "{failpoint}");
    }
}
