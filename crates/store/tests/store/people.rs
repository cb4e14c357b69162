//! What is said about people: sealed like what they did, gone with the person, and with nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use recant_store::{Entry, ImportSession, LogPosition, Store, Tensor};
use recant_testkit::store::{
    addition, commit, erase, history, item, item_id, open, options, properties, user,
};
use recant_types::{
    ErasureTarget, InvalidProperties, PersonPatch, PersonProperties, PersonSummary, PropertyValue,
};

fn put(store: &Store, of: u32, text: &str) {
    commit(store, |batch| {
        batch.put_properties(&user(of), &properties(text))
    });
}

fn held(store: &Store, of: u32) -> Option<(PersonProperties, usize)> {
    let held = store.person(&user(of)).expect("readable");
    held.map(|held| {
        assert!(held.user == user(of));
        (held.properties, held.interactions)
    })
}

/// A person with a history of three interactions, at the row of their number.
fn put_history(store: &Store, of: u32) {
    commit(store, |batch| {
        for number in 0..7 {
            batch.put_item(number, &item(number, None));
        }
        batch.put_user(of, &user(of));
        batch.put_history(of, &history(3));
    });
}

#[test]
fn what_is_said_about_a_person_is_kept_replaced_and_cleared() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    assert_eq!(held(&store, 1), None);
    put(&store, 1, "");
    assert_eq!(held(&store, 1), None);
    put(&store, 1, "first");
    put_history(&store, 2);
    put(&store, 2, "first");
    commit(&store, |batch| batch.append(addition(3, 2)));
    put(&store, 3, "first");
    put(&store, 3, "second");
    let all = |store: &Store| [1, 2, 3].map(|of| held(store, of));
    let expected = [
        Some((properties("first"), 0)),
        Some((properties("first"), 3)),
        Some((properties("second"), 0)),
    ];
    assert_eq!(all(&store), expected);
    store.compact().expect("compacted");
    assert_eq!(all(&store), expected);
    drop(store);
    let store = open(folder.path());
    assert_eq!(all(&store), expected);
    for of in [1, 2, 3] {
        put(&store, of, "");
    }
    let nothing = PersonProperties::default();
    let expected = [None, Some((nothing.clone(), 3)), Some((nothing, 0))];
    assert_eq!(all(&store), expected);
    drop(store);
    assert_eq!(all(&open(folder.path())), expected);
}

#[test]
fn a_patch_changes_what_is_said_when_it_is_committed_and_nothing_erased_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let patch = |number: f64| PersonPatch {
        sets: [(Arc::from("height"), Some(PropertyValue::Number(number)))].into(),
        ..PersonPatch::default()
    };
    let height = |of| held(&store, of).map(|(said, _)| said.expose().get("height").cloned());
    put(&store, 1, "said");
    put_history(&store, 2);
    for of in [1, 2, 3] {
        let done = commit(&store, |batch| {
            batch.patch_properties(&user(of), patch(41.0))
        });
        assert_eq!(done.refused, None);
        assert_eq!(height(of), Some(Some(PropertyValue::Number(41.0))));
    }
    let (said, _) = held(&store, 1).expect("somebody");
    assert_eq!(said.expose().len(), 1 + properties("said").expose().len());
    let refused = commit(&store, |batch| {
        batch.patch_properties(&user(1), patch(f64::INFINITY))
    });
    assert_eq!(refused.refused, Some(InvalidProperties::NumberNotFinite));
    assert_eq!(held(&store, 1), Some((said, 0)));
    erase(&store, 1, ErasureTarget::User(user(1)));
    commit(&store, |batch| {
        batch.patch_properties(&user(1), patch(42.0))
    });
    let (said, _) = held(&store, 1).expect("somebody again");
    assert_eq!(said.expose().len(), 1, "what was said before is gone");
}

#[test]
fn people_are_listed_in_the_order_of_their_ids_a_page_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    put_history(&store, 10);
    put(&store, 2, "said");
    put(&store, 10, "said");
    commit(&store, |batch| batch.append(addition(1, 2)));
    for _ in 0..2 {
        let listed = |after: Option<u32>, limit| {
            let page = store.persons(after.map(user).as_ref(), limit);
            page.expect("readable")
        };
        let ids = |page: Vec<PersonSummary>| page.into_iter().map(|of| of.user).collect::<Vec<_>>();
        assert!(ids(listed(None, 9)) == [1, 10, 2].map(user));
        assert!(ids(listed(None, 2)) == [1, 10].map(user));
        assert!(ids(listed(Some(10), 9)) == [user(2)]);
        assert!(listed(Some(2), 9).is_empty() && listed(None, 0).is_empty());
        let interactions: Vec<usize> = listed(None, 9).iter().map(|of| of.interactions).collect();
        assert_eq!(interactions, [0, 3, 0]);
        store.compact().expect("compacted");
    }
}

#[test]
fn an_erasure_of_the_person_takes_what_is_said_and_one_of_pairs_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    for of in [1, 2, 3] {
        put(&store, of, "said");
    }
    put_history(&store, 2);
    put_history(&store, 3);
    // One who has nothing else, and one who has.
    erase(&store, 1, ErasureTarget::User(user(1)));
    erase(&store, 2, ErasureTarget::User(user(2)));
    assert_eq!((held(&store, 1), held(&store, 2)), (None, None));
    let pair = |number| vec![(user(3), item_id(number))];
    erase(&store, 3, ErasureTarget::Pairs(pair(0)));
    assert_eq!(held(&store, 3), Some((properties("said"), 2)));
    erase(&store, 4, ErasureTarget::Pairs([pair(3), pair(6)].concat()));
    assert_eq!(held(&store, 3), Some((properties("said"), 0)));
    // What is said after an erasure is new.
    put(&store, 1, "again");
    assert_eq!(held(&store, 1), Some((properties("again"), 0)));
    store.compact().expect("compacted");
    drop(store);
    let store = open(folder.path());
    assert_eq!(
        (held(&store, 2), held(&store, 3)),
        (None, Some((properties("said"), 0)))
    );
    assert_eq!(held(&store, 1), Some((properties("again"), 0)));
}

#[test]
fn somebody_whose_only_interactions_are_with_an_erased_item_is_listed_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    commit(&store, |batch| {
        batch.put_item(0, &item(0, None));
        for of in [1, 2] {
            batch.put_user(of, &user(of));
            batch.put_history(of, &history(1));
        }
        batch.append(addition(3, 1));
    });
    put(&store, 2, "said");
    // Accepted, and not carried out.
    erase(&store, 1, ErasureTarget::Item(item_id(0)));
    assert_eq!((held(&store, 1), held(&store, 3)), (None, None));
    assert_eq!(held(&store, 2), Some((properties("said"), 0)));
    let listed = store.persons(None, 9).expect("readable");
    assert!(listed.iter().map(|of| &of.user).eq([&user(2)]));
}

#[test]
fn a_users_row_of_the_model_stays_when_what_is_said_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    put_history(&store, 1);
    commit(&store, |batch| {
        batch.put_user_factors(1, &[0.5, 2.0], LogPosition(0));
        batch.put_tensor_row(Tensor::ItemFactors, 0, &[1.0]);
    });
    for text in ["first", "second", ""] {
        put(&store, 1, text);
        let mut rows = Vec::new();
        let read = store.visit_user_factors(|row, values| rows.push((row, values)));
        read.expect("readable");
        assert_eq!(rows, [(1, vec![0.5, 2.0])], "{text}");
        assert_eq!(store.history(1).expect("readable"), history(3));
    }
}

#[test]
fn an_import_keeps_what_is_said_and_gives_rows_to_those_who_had_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    put(&store, 1, "said");
    put(&store, 2, "said");
    drop(store);
    let import = |rows: &[(u32, Option<f32>)]| {
        let session = ImportSession::begin(folder.path(), &options()).expect("a session");
        let mut writer = session.writer().expect("a writer");
        for (of, weight) in rows {
            let (of, item) = (user(*of), item_id(0));
            match weight {
                Some(weight) => writer.push(of.expose(), item.expose(), *weight, Some(1)),
                None => writer.withdraw(Default::default(), of.expose(), item.expose(), Some(2)),
            }
            .expect("taken");
        }
        writer.finish().expect("durable");
    };
    let said = |interactions| Some((properties("said"), interactions));
    import(&[(1, Some(2.0)), (3, Some(2.0))]);
    let all = || [1, 2, 3].map(|of| held(&open(folder.path()), of));
    assert_eq!(all(), [said(1), said(0), Some((properties(""), 1))]);
    // The newest rows take both pairs back.
    import(&[(1, None), (3, None)]);
    assert_eq!(all(), [said(0), said(0), None]);
    erase(&open(folder.path()), 1, ErasureTarget::User(user(1)));
    assert_eq!(all(), [None, said(0), None]);
}

#[derive(Debug, Clone)]
enum Step {
    Say(u32, u8),
    SayNothing(u32),
    PutHistory(u32),
    RemoveUser(u32),
    Queue(u32),
    Trim,
    ErasePerson(u32),
    ErasePair(u32, u32),
    Reopen,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    let of = || 0..3_u32;
    prop_oneof![
        4 => (of(), any::<u8>()).prop_map(|(of, said)| Step::Say(of, said)),
        1 => of().prop_map(Step::SayNothing),
        3 => of().prop_map(Step::PutHistory),
        2 => of().prop_map(Step::RemoveUser),
        3 => of().prop_map(Step::Queue),
        1 => Just(Step::Trim),
        2 => of().prop_map(Step::ErasePerson),
        3 => (of(), 0..3_u32).prop_map(|(of, number)| Step::ErasePair(of, 3 * number)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
    ]
}

/// What should be held of a person.
#[derive(Debug, Clone, Default)]
struct Model {
    said: Option<u8>,
    items: Vec<u32>,
    /// Items of the interactions that wait, an addition each.
    queued: Vec<Vec<u32>>,
}

impl Model {
    fn shown(&self) -> Option<(PersonProperties, usize)> {
        let said = self.said.map(|said| properties(&said.to_string()));
        let waits = self.queued.iter().any(|rows| !rows.is_empty());
        let is_held = said.is_some() || waits || !self.items.is_empty();
        is_held.then(|| (said.unwrap_or_default(), self.items.len()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Whatever happens to what people did, what is said about them is the last word, until it is
    /// taken back or the person is erased.
    #[test]
    fn the_last_word_about_a_person_counts(steps in prop::collection::vec(step(), 1..30)) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = open(folder.path());
        let mut people: BTreeMap<u32, Model> = (0..3).map(|of| (of, Model::default())).collect();
        let mut erasures = 0;
        for step in steps {
            match step {
                Step::Say(of, said) => {
                    put(&store, of, &said.to_string());
                    people.entry(of).or_default().said = Some(said);
                }
                Step::SayNothing(of) => {
                    put(&store, of, "");
                    people.entry(of).or_default().said = None;
                }
                Step::PutHistory(of) => {
                    put_history(&store, of);
                    people.entry(of).or_default().items = vec![0, 3, 6];
                }
                Step::RemoveUser(of) => {
                    commit(&store, |batch| batch.remove_user(of));
                    people.entry(of).or_default().items.clear();
                }
                Step::Queue(of) => {
                    // Of items 0 and 1, long ago: an erasure holds back some of it from then on.
                    let before = *store.watch_log().borrow();
                    commit(&store, |batch| batch.append(addition(of, 2)));
                    if *store.watch_log().borrow() > before {
                        let entry = store.read_from(before.next(), 1).expect("readable");
                        let rows = match &entry[0].1 {
                            Entry::Add(rows) => rows.clone(),
                            Entry::Erase(_) => unreachable!("an addition"),
                        };
                        let rows = rows.iter().map(|row| u32::from(row.item == item_id(1)));
                        people.entry(of).or_default().queued.push(rows.collect());
                    }
                }
                Step::Trim => {
                    let newest = *store.watch_log().borrow();
                    commit(&store, |batch| batch.trim_log(newest));
                    people.values_mut().for_each(|of| of.queued.clear());
                }
                Step::ErasePerson(of) => {
                    erasures += 1;
                    erase(&store, erasures, ErasureTarget::User(user(of)));
                    people.insert(of, Model::default());
                }
                Step::ErasePair(of, number) => {
                    erasures += 1;
                    erase(&store, erasures, ErasureTarget::Pairs(vec![(user(of), item_id(number))]));
                    let person = people.entry(of).or_default();
                    person.items.retain(|held| *held != number);
                    person.queued.iter_mut().for_each(|rows| rows.retain(|row| *row != number));
                }
                Step::Reopen => {
                    drop(store);
                    store = open(folder.path());
                }
                Step::Compact => drop(store.compact().expect("compacted")),
            }
            let mut listed = Vec::new();
            for (of, model) in &people {
                prop_assert_eq!(held(&store, *of), model.shown());
                listed.extend(model.shown().map(|_| user(*of)));
            }
            let shown = store.persons(None, usize::MAX).expect("readable");
            prop_assert!(shown.iter().map(|of| &of.user).eq(&listed));
        }
    }
}
