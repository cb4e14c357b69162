//! Any sequence of batches leaves what a plain map would hold, restarts in between or not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use recant_store::{Entry, LogPosition, Store, StoredInteraction, Tensor, WriteBatch};
use recant_testkit::store::{Contents, added, addition, history, item, open, properties, user};
use recant_types::{PersonPatch, PersonProperties, PropertyValue};

#[derive(Debug, Clone)]
enum Step {
    PutUser(u32, u32),
    RemoveUser(u32),
    /// Nothing is said when there is no text.
    PutProperties(u32, Option<u8>),
    /// One property is said, or not any more; the others stay.
    PatchProperties(u32, Option<u8>),
    PutItem(u32, Option<u8>),
    RemoveItem(u32),
    PutHistory(u32, u32),
    RemoveHistory(u32),
    PutFactors(u32, Vec<f64>),
    RemoveFactors(u32),
    RemoveAllFactors,
    SetApplied(u64),
    Append(u32, u32),
    /// Trims so many of the entries that there are.
    Trim(u64),
}

/// What the store should hold.
#[derive(Debug, Default)]
struct Model {
    users: BTreeMap<u32, u32>,
    properties: BTreeMap<u32, PersonProperties>,
    items: BTreeMap<u32, Option<u8>>,
    histories: BTreeMap<u32, Vec<StoredInteraction>>,
    factors: BTreeMap<u32, Vec<f64>>,
    applied: u64,
    log: BTreeMap<u64, Entry>,
    newest: u64,
}

fn title(number: Option<u8>) -> Option<String> {
    number.map(|number| format!("title {number}"))
}

/// Says an age, or takes it back.
fn patch(age: Option<u8>) -> PersonPatch {
    let age = age.map(|age| PropertyValue::Number(f64::from(age)));
    PersonPatch {
        sets: [("age".into(), age)].into(),
        ..PersonPatch::default()
    }
}

impl Model {
    fn take(&mut self, steps: &[Step]) -> WriteBatch {
        let mut batch = WriteBatch::default();
        // A batch's entries are appended after its changes, so they are out of reach of a trim.
        let mut appended = Vec::new();
        for step in steps {
            match step {
                Step::PutUser(row, number) => {
                    batch.put_user(*row, &user(*number));
                    if self.users.insert(*row, *number) != Some(*number) {
                        self.histories.remove(row);
                    }
                }
                Step::RemoveUser(row) => {
                    batch.remove_user(*row);
                    self.users.remove(row);
                    self.histories.remove(row);
                }
                Step::PutProperties(number, text) => {
                    let text = text.map_or_else(String::new, |text| text.to_string());
                    batch.put_properties(&user(*number), &properties(&text));
                    self.properties.insert(*number, properties(&text));
                }
                Step::PatchProperties(number, value) => {
                    let patch = patch(*value);
                    let said = self.properties.entry(*number).or_default();
                    *said = patch.apply(said).expect("within bounds");
                    batch.patch_properties(&user(*number), patch);
                }
                Step::PutItem(row, number) => {
                    batch.put_item(*row, &item(*row, title(*number).as_deref()));
                    self.items.insert(*row, *number);
                }
                Step::RemoveItem(row) => {
                    batch.remove_item(*row);
                    self.items.remove(row);
                }
                // A history belongs to a user.
                Step::PutHistory(row, _) if !self.users.contains_key(row) => {}
                Step::PutHistory(row, length) => {
                    batch.put_history(*row, &history(*length));
                    self.histories.insert(*row, history(*length));
                }
                Step::RemoveHistory(row) => {
                    batch.put_history(*row, &[]);
                    self.histories.remove(row);
                }
                Step::PutFactors(row, values) => {
                    batch.put_tensor_row(Tensor::ItemFactors, *row, values);
                    self.factors.insert(*row, values.clone());
                }
                Step::RemoveFactors(row) => {
                    batch.remove_tensor_row(Tensor::ItemFactors, *row);
                    self.factors.remove(row);
                }
                Step::RemoveAllFactors => {
                    batch.remove_tensor(Tensor::ItemFactors);
                    self.factors.clear();
                }
                Step::SetApplied(position) => {
                    batch.set_applied(LogPosition(*position));
                    self.applied = *position;
                }
                // Nothing is appended for nothing.
                Step::Append(_, 0) => {}
                Step::Append(of, length) => {
                    batch.append(addition(*of, *length));
                    appended.push(addition(*of, *length));
                }
                Step::Trim(count) => {
                    let first = self.log.keys().next().copied().unwrap_or(self.newest + 1);
                    let last = (first + count).min(self.newest);
                    batch.trim_log(LogPosition(last));
                    self.log.retain(|position, _| *position > last);
                }
            }
        }
        for event in appended {
            self.newest += 1;
            self.log.insert(self.newest, added(event));
        }
        batch
    }

    fn check(&self, store: &Store) {
        let contents = Contents::read(store).expect("readable");
        let users = self.users.iter().map(|(row, number)| (*row, user(*number)));
        assert!(contents.users.into_iter().eq(users));
        for (number, said) in &self.properties {
            let held = store.person(&user(*number)).expect("readable");
            let held = held.map(|held| held.properties).unwrap_or_default();
            assert_eq!(&held, said);
        }
        let said = self.properties.values().filter(|said| !said.is_empty());
        let held = contents.people.iter();
        let held = held.filter(|person| !person.properties.is_empty());
        assert_eq!(held.count(), said.count());
        let items = self.items.iter();
        let items = items.map(|(row, number)| (*row, item(*row, title(*number).as_deref())));
        assert!(contents.items.into_iter().eq(items));
        // An empty history is one that is not held.
        let histories = self
            .histories
            .clone()
            .into_iter()
            .filter(|(_, held)| !held.is_empty());
        assert!(contents.histories.into_iter().eq(histories));
        assert!(contents.factors.into_iter().eq(self.factors.clone()));
        assert_eq!(contents.applied, LogPosition(self.applied));
        let log = self.log.clone().into_iter();
        let log = log.map(|(position, event)| (LogPosition(position), event));
        assert!(contents.log.into_iter().eq(log));
        assert_eq!(contents.newest, LogPosition(self.newest));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let row = || 0..6_u32;
    // Now and then longer than one chunk.
    let length = prop_oneof![4 => 0..4_u32, 1 => 1_900..4_000_u32];
    prop_oneof![
        // No two rows get the same user.
        (row(), 0..3_u32).prop_map(|(row, number)| Step::PutUser(row, row + 6 * number)),
        row().prop_map(Step::RemoveUser),
        (0..18_u32, any::<Option<u8>>())
            .prop_map(|(number, text)| Step::PutProperties(number, text)),
        (0..18_u32, any::<Option<u8>>())
            .prop_map(|(number, value)| Step::PatchProperties(number, value)),
        (row(), any::<Option<u8>>()).prop_map(|(row, number)| Step::PutItem(row, number)),
        row().prop_map(Step::RemoveItem),
        (row(), length.clone()).prop_map(|(row, length)| Step::PutHistory(row, length)),
        row().prop_map(Step::RemoveHistory),
        (row(), prop::collection::vec(-1e3..1e3, 0..9))
            .prop_map(|(row, values)| Step::PutFactors(row, values)),
        row().prop_map(Step::RemoveFactors),
        Just(Step::RemoveAllFactors),
        (0..1_000_u64).prop_map(Step::SetApplied),
        (row(), length).prop_map(|(of, length)| Step::Append(of, length)),
        (0..4_u64).prop_map(Step::Trim),
    ]
}

/// Batches, each with whether it is waited for at once, and whether the store is opened again.
fn batches() -> impl Strategy<Value = Vec<(Vec<Step>, bool, bool)>> {
    let batch = prop::collection::vec(step(), 0..12);
    prop::collection::vec((batch, any::<bool>(), prop::bool::weighted(0.3)), 1..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_store_holds_what_a_map_would_hold(batches in batches()) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open(folder.path());
        let mut model = Model::default();
        let mut under_way = Vec::new();
        for (steps, wait, reopen) in batches {
            under_way.push(store.commit(model.take(&steps)));
            if wait || reopen {
                for commit in under_way.drain(..) {
                    commit.wait().expect("durable");
                }
                model.check(&store);
            }
            if reopen {
                drop(store);
                store = open(folder.path());
                model.check(&store);
            }
        }
        // Closing the store waits for what was handed over.
        drop(store);
        model.check(&open(folder.path()));
    }
}
