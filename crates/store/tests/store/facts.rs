//! Facts: every store ends with the same records, a state never goes back, a time never changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use recant_receipt::ChainHead;
use recant_store::{
    Brought, CertifiedErasure, Decided, EntryObserver, Fact, ForgottenErasure, LogEntry, LogKey,
    LogPosition, RequestBatch, Settlement, Store,
};
use recant_testkit::store::{erasure, erasure_id, item_id, open, user};
use recant_types::{
    Certificate, ErasureFilter, ErasureId, ErasureRecord, ErasureStatus, ErasureTarget,
    ItemDescription, UnixMillis,
};
use zeroize::Zeroizing;

/// Erasures that a history may be about; the last ones are never accepted.
const ERASURES: u8 = 6;

#[derive(Debug, Clone)]
enum Step {
    Erase(u8),
    Forgotten(Vec<u8>, u64),
    /// With whether the receipts go on from the end of the chain.
    Certified(Vec<u8>, u64, bool),
    Refused(Vec<u8>, bool),
    Settled(u8, bool),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(0..ERASURES, 1..4);
    prop_oneof![
        4 => (0..ERASURES - 1).prop_map(Step::Erase),
        4 => (some(), 1..9u64).prop_map(|(ids, at)| Step::Forgotten(ids, at)),
        4 => (some(), 1..9u64, prop::bool::weighted(0.8))
            .prop_map(|(ids, at, fits)| Step::Certified(ids, at, fits)),
        2 => (some(), any::<bool>()).prop_map(|(ids, why)| Step::Refused(ids, why)),
        1 => (0..3u8, prop::bool::weighted(0.8)).prop_map(|(node, fits)| Step::Settled(node, fits)),
        1 => Just(Step::Reopen),
    ]
}

/// Everything that facts write.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    records: Vec<ErasureRecord>,
    receipts: Vec<Option<String>>,
    settlements: Vec<Settlement>,
    head: ChainHead,
    nodes: Vec<Option<[u8; 32]>>,
}

impl Written {
    fn of(store: &Store) -> Self {
        let filter = ErasureFilter::default();
        let receipts = (0..ERASURES).map(|n| store.receipt(erasure_id(n)).expect("readable"));
        let nodes = (0..64).map(|n| store.receipt_node(n).expect("readable"));
        Self {
            records: store.erasures(&filter, None, usize::MAX).expect("readable"),
            receipts: receipts.collect(),
            settlements: store.settlements().expect("readable"),
            head: store.receipt_head().expect("readable"),
            nodes: nodes.collect(),
        }
    }
}

/// What is told of one store.
#[derive(Default)]
struct Heard(Mutex<Vec<Brought>>);

impl EntryObserver for Heard {
    fn brought(&self, brought: Vec<Brought>) {
        self.0.lock().expect("no panic").extend(brought);
    }
}

/// Stores that follow one log; the first decides.
struct Machine {
    folder: tempfile::TempDir,
    stores: Vec<Store>,
    heard: Vec<Arc<Heard>>,
    entries: u64,
    erased: Vec<u8>,
}

impl Machine {
    fn new() -> Self {
        let mut machine = Self {
            folder: tempfile::tempdir().expect("a folder"),
            stores: Vec::new(),
            heard: (0..3).map(|_| Arc::default()).collect(),
            entries: 0,
            erased: Vec::new(),
        };
        machine.reopen();
        machine
    }

    fn reopen(&mut self) {
        self.stores.clear();
        for (number, heard) in self.heard.iter().enumerate() {
            let store = open(&self.folder.path().join(number.to_string()));
            store.observe_entries(Arc::clone(heard) as Arc<dyn EntryObserver>);
            self.stores.push(store);
        }
    }

    fn commit(&mut self, batch: RequestBatch) {
        let decided = self.stores[0].decide(vec![batch]).wait().expect("decided");
        let bytes: Vec<_> = decided.iter().map(Decided::to_bytes).collect();
        self.entries += 1;
        for store in &self.stores {
            let read = |bytes: &Vec<u8>| Decided::from_bytes(bytes).expect("whole");
            let entry = LogEntry {
                decided: bytes.iter().map(read).collect(),
                mark: self.entries.to_le_bytes().to_vec(),
                key: LogKey::new(0, self.entries, Zeroizing::new([self.entries as u8; 32])),
                places: Vec::new(),
            };
            let outcomes = store.commit_entry(entry).wait().expect("durable");
            outcomes
                .into_iter()
                .for_each(|outcome| drop(outcome.expect("accepted")));
        }
    }

    /// The end of the chain, as the next receipts go on from it or not.
    fn head(&self, fits: bool) -> ChainHead {
        let mut head = self.stores[0].receipt_head().expect("readable");
        head.sequence += if fits { 0 } else { 5 };
        head
    }

    fn fact(&self, step: &Step) -> Option<Fact> {
        let ids = |numbers: &[u8]| -> Vec<_> { numbers.iter().map(|n| erasure_id(*n)).collect() };
        Some(match step {
            Step::Erase(_) | Step::Reopen => return None,
            Step::Forgotten(numbers, at) => Fact::Forgotten {
                learnt: LogPosition(*at),
                erasures: ids(numbers)
                    .into_iter()
                    .map(|id| forgotten(id, *at))
                    .collect(),
            },
            Step::Certified(numbers, at, fits) => {
                let mut head = self.head(*fits);
                let (mut receipts, mut nodes) = (Vec::new(), Vec::new());
                for id in ids(numbers) {
                    let compact = format!("receipt {} of {id}", head.sequence + 1);
                    head = ChainHead::from_last(head.sequence + 1, &compact);
                    nodes.push((head.sequence, [head.sequence as u8; 32]));
                    receipts.push((id, compact));
                }
                Fact::Certified {
                    erasures: ids(numbers)
                        .into_iter()
                        .map(|id| certified(id, *at))
                        .collect(),
                    receipts,
                    nodes,
                    head,
                }
            }
            Step::Refused(numbers, why) => Fact::Refused {
                ids: ids(numbers),
                reason: format!("for the reason {why}"),
            },
            Step::Settled(node, fits) => {
                let head = self.head(*fits);
                let receipt = format!("settlement {}", head.sequence + 1);
                Fact::Settled {
                    node: format!("n{node}"),
                    upto: self.entries,
                    head: ChainHead::from_last(head.sequence + 1, &receipt),
                    receipt,
                    nodes: Vec::new(),
                }
            }
        })
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Erase(number) if self.erased.contains(number) => {}
            Step::Erase(number) => {
                self.erased.push(*number);
                let target = ErasureTarget::User(user(u32::from(*number)));
                let mut batch = RequestBatch::default();
                batch.append(erasure(erasure_id(*number), target));
                self.commit(batch);
            }
            Step::Reopen => self.reopen(),
            step => {
                let fact = self.fact(step).expect("a fact");
                let before = Written::of(&self.stores[0]);
                self.commit(RequestBatch::fact(fact.clone()));
                let once = Written::of(&self.stores[0]);
                forwards_only(&before.records, &once.records);
                self.commit(RequestBatch::fact(fact));
                assert_eq!(
                    Written::of(&self.stores[0]),
                    once,
                    "the second time it did something"
                );
            }
        }
    }

    fn check(&self) {
        let first = Written::of(&self.stores[0]);
        for store in &self.stores[1..] {
            assert_eq!(Written::of(store), first);
        }
        let heard = |n: usize| self.heard[n].0.lock().expect("no panic").clone();
        assert_eq!(heard(1), heard(0));
        assert_eq!(heard(2), heard(0));
        // Whoever listened knows every record as it is.
        let mut known: HashMap<ErasureId, ErasureStatus> = HashMap::new();
        for brought in heard(0) {
            match brought {
                Brought::Erasure { id, .. } => drop(known.insert(id, ErasureStatus::Accepted)),
                Brought::Reached(records) => {
                    known.extend(records.iter().map(|record| (record.id, record.status)));
                }
                other => panic!("{other:?}"),
            }
        }
        let held = first
            .records
            .iter()
            .map(|record| (record.id, record.status));
        assert_eq!(known, held.collect());
    }
}

fn forgotten(id: ErasureId, at: u64) -> ForgottenErasure {
    ForgottenErasure {
        id,
        erased_at: UnixMillis(at as i64),
        forgotten_at: UnixMillis(at as i64 + 1),
        model_version_before: at,
        model_version_after: at + 1,
    }
}

fn certified(id: ErasureId, at: u64) -> CertifiedErasure {
    CertifiedErasure {
        id,
        certified_at: UnixMillis(at as i64 + 2),
        certified_version: at + 2,
        certified_position: LogPosition(at),
        certificate: Certificate::residual(1e-9, 1e-6),
    }
}

/// No state goes back and what is there stays.
fn forwards_only(before: &[ErasureRecord], after: &[ErasureRecord]) {
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        assert!(before.status <= after.status, "{before:?} {after:?}");
        let times = |it: &ErasureRecord| [it.erased_at, it.forgotten_at, it.certified_at];
        for (before, after) in times(before).into_iter().zip(times(after)) {
            assert!(before.is_none() || before == after);
        }
        let versions = |it: &ErasureRecord| {
            [
                it.model_version_before,
                it.model_version_after,
                it.certified_version,
            ]
        };
        for (before, after) in versions(before).into_iter().zip(versions(after)) {
            assert!(before.is_none() || before == after);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_store_writes_the_same_facts_down_and_goes_forwards_only(
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut machine = Machine::new();
        for step in &steps {
            machine.take(step);
        }
        machine.check();
    }
}

#[test]
fn an_erasure_goes_through_all_of_its_states_and_a_settlement_is_kept_beside_its_receipt() {
    let mut machine = Machine::new();
    machine.take(&Step::Erase(1));
    machine.take(&Step::Certified(vec![1], 3, true));
    let record = |machine: &Machine| {
        let record = machine.stores[2].erasure(erasure_id(1)).expect("readable");
        record.expect("known")
    };
    assert_eq!(record(&machine).status, ErasureStatus::Accepted);
    machine.take(&Step::Forgotten(vec![1], 4));
    machine.take(&Step::Refused(vec![1], true));
    let failed = record(&machine);
    assert_eq!(failed.status, ErasureStatus::Forgotten);
    assert_eq!(failed.failure.as_deref(), Some("for the reason true"));
    assert_eq!(
        (failed.model_version_before, failed.model_version_after),
        (Some(4), Some(5))
    );
    machine.take(&Step::Certified(vec![1], 6, true));
    machine.take(&Step::Settled(2, true));
    machine.take(&Step::Reopen);
    let done = record(&machine);
    assert_eq!(
        (done.status, done.failure),
        (ErasureStatus::Certified, None)
    );
    assert_eq!(done.certified_version, Some(8));
    let settlements = machine.stores[1].settlements().expect("readable");
    assert_eq!(settlements.len(), 1);
    assert_eq!(settlements[0].node, "n2");
    assert_eq!(settlements[0].receipt, "settlement 3");
    let mut chain = Vec::new();
    let visit = |compact: &str| chain.push(compact.to_owned());
    machine.stores[1].visit_receipts(visit).expect("readable");
    chain.sort();
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[1], "settlement 3");
    let head = machine.stores[1].receipt_head().expect("readable");
    assert_eq!(head, ChainHead::from_last(3, "settlement 3"));
}

#[test]
fn what_is_said_about_items_is_told_in_order_and_again_with_an_entry_that_comes_again() {
    let machine = Machine::new();
    let (store, heard) = (&machine.stores[0], &machine.heard[0]);
    let said = |title: &str| {
        let mut said = ItemDescription::of(item_id(1));
        said.title = Some(title.into());
        said
    };
    let mut batch = RequestBatch::default();
    batch.put_description(&said("one"));
    batch.put_description(&said("two"));
    batch.append(erasure(erasure_id(1), ErasureTarget::Item(item_id(1))));
    batch.remove_description(&item_id(1));
    let decided = store.decide(vec![batch]).wait().expect("decided");
    let entry = LogEntry {
        decided,
        mark: vec![1],
        key: LogKey::new(0, 1, Zeroizing::new([1; 32])),
        places: Vec::new(),
    };
    store.commit_entry(entry.clone()).wait().expect("durable");
    let first = std::mem::take(&mut *heard.0.lock().expect("no panic"));
    let changes = [
        Brought::Described(said("one")),
        Brought::Described(said("two")),
        Brought::Undescribed(item_id(1)),
    ];
    assert_eq!(first[..3], changes);
    assert!(matches!(&first[3..], [Brought::Erasure { id, .. }] if *id == erasure_id(1)));
    store.commit_entry(entry).wait().expect("applied already");
    assert_eq!(*heard.0.lock().expect("no panic"), first);
}
