//! Types of feedback in the store: kept apart, erased apart, kept from coming back apart.

use recant_store::{
    Entry, ImportSession, LogPosition, Store, StoreError, StoreOptions, StoredInteraction, restore,
};
use recant_testkit::store::{
    commit, erase, feedback, feedback_rules, held, item, item_id, open, open_with, options, user,
};
use recant_types::{
    ErasureTarget, Event, FeedbackNumber, FeedbackType, Interaction, TypedPair, UnixMillis,
};

fn typed(item: u32, number: u8, weight: f32) -> StoredInteraction {
    StoredInteraction {
        feedback: FeedbackNumber(number),
        ..held(item, weight, None)
    }
}

fn event(of: u32, with: u32, number: u8, timestamp: Option<i64>) -> Interaction {
    Interaction {
        user: user(of),
        item: item_id(with),
        feedback: feedback(number),
        weight: 1.0,
        timestamp,
    }
}

fn typed_pair(of: u32, with: u32, number: u8) -> ErasureTarget {
    ErasureTarget::TypedPairs(vec![TypedPair {
        user: user(of),
        item: item_id(with),
        feedback: feedback(number),
    }])
}

/// A store of one user with two items, one of them with all types.
fn filled(folder: &std::path::Path) -> Store {
    let store = open(folder);
    commit(&store, |batch| {
        batch.name_feedback_types(vec![feedback(1), feedback(2)]);
        batch.put_user(0, &user(1));
        batch.put_item(0, &item(0, None));
        batch.put_item(1, &item(1, None));
        let history = [
            typed(0, 0, 1.0),
            typed(0, 1, 2.0),
            typed(0, 2, 3.0),
            typed(1, 1, 4.0),
        ];
        batch.put_history(0, &history);
    });
    store
}

#[test]
fn an_erasure_of_one_type_leaves_the_others_of_the_pair() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    erase(&store, 1, typed_pair(1, 0, 1));
    let left = [typed(0, 0, 1.0), typed(0, 2, 3.0), typed(1, 1, 4.0)];
    assert_eq!(store.history(0).expect("readable"), left);
    drop(store);
    assert_eq!(open(folder.path()).history(0).expect("readable"), left);
}

#[test]
fn what_waits_in_the_log_loses_the_type_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let rows = vec![
        event(1, 0, 0, None),
        event(1, 0, 2, None),
        event(1, 3, 2, None),
    ];
    commit(&store, |batch| batch.append(Event::Add(rows)));
    erase(&store, 1, typed_pair(1, 0, 2));
    let entries = store.read_from(LogPosition(1), 9).expect("readable");
    let left = Entry::Add(vec![event(1, 0, 0, None), event(1, 3, 2, None)]);
    assert_eq!(entries[0].1, left);
    erase(&store, 2, typed_pair(1, 0, 0));
    erase(&store, 3, typed_pair(1, 3, 2));
    let entries = store.read_from(LogPosition(1), 9).expect("readable");
    assert!(
        !entries
            .iter()
            .any(|(_, entry)| matches!(entry, Entry::Add(_))),
        "nothing is left"
    );
}

#[test]
fn what_was_erased_of_one_type_stays_away_and_the_others_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    erase(&store, 1, typed_pair(1, 0, 1));
    let long_ago = Some(UnixMillis::now().0 - 1_000_000);
    let rows = vec![
        event(1, 0, 1, long_ago),
        event(1, 0, 2, long_ago),
        event(1, 1, 1, long_ago),
    ];
    let committed = commit(&store, |batch| batch.append(Event::Add(rows)));
    assert_eq!(committed.held_back, 1);
    drop(store);
    let session = ImportSession::begin(folder.path(), &options()).expect("a session");
    let mut writer = session.writer().expect("a writer");
    for number in 0..3 {
        let number = writer.feedback_number(&feedback(number)).expect("a rule");
        let pushed = writer.push_typed(number, "user-1", "item-0", 1.0, long_ago);
        pushed.expect("taken");
    }
    assert_eq!(writer.finish().expect("durable").held_back, 1);
}

#[test]
fn a_commit_that_knows_nothing_of_the_erasure_does_not_bring_the_type_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = filled(folder.path());
    let knew = *store.watch_log().borrow();
    erase(&store, 1, typed_pair(1, 0, 2));
    commit(&store, |batch| {
        batch.put_history(0, &[typed(0, 0, 1.0), typed(0, 2, 3.0), typed(1, 1, 4.0)]);
        batch.set_applied(knew);
    });
    let left = [typed(0, 0, 1.0), typed(1, 1, 4.0)];
    assert_eq!(store.history(0).expect("readable"), left);
}

#[test]
fn a_backup_brings_types_back_by_name_and_leaves_out_what_was_erased_since() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let store = filled(&data);
    commit(&store, |batch| {
        batch.append(Event::Add(vec![event(1, 1, 1, None)]))
    });
    store.backup(&file).expect("backed up");
    erase(&store, 1, typed_pair(1, 0, 2));
    drop(store);
    restore(&file, &data, &options()).expect("restored");
    let store = open(&data);
    let types = store.feedback_types();
    let mut found = Vec::new();
    let items = store.items().expect("readable");
    let visited = store.visit_histories(|_, history| {
        for held in history {
            let (_, record) = items
                .iter()
                .find(|(row, _)| *row == held.item)
                .expect("an item");
            let name = types[usize::from(held.feedback.0)].clone();
            found.push((record.id.clone(), name, held.weight));
        }
    });
    visited.expect("readable");
    found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    // The event that waited adds up with the one that was held, as the rule of its type says.
    let expected = [
        (item_id(0), feedback(0), 1.0),
        (item_id(0), feedback(1), 2.0),
        (item_id(1), feedback(1), 5.0),
    ];
    assert_eq!(found, expected);
}

/// The worker has taken an event into the history, and not from the log yet.
#[test]
fn a_backup_does_not_count_twice_what_is_in_the_log_and_in_the_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let store = filled(&data);
    commit(&store, |batch| {
        batch.append(Event::Add(vec![event(1, 1, 1, None)]))
    });
    commit(&store, |batch| {
        batch.put_history(0, &[typed(1, 1, 5.0)]);
        batch.set_applied(LogPosition(1));
    });
    let summary = store.backup(&file).expect("backed up");
    assert_eq!(summary.interactions, 1);
    drop(store);
    restore(&file, &data, &options()).expect("restored");
    let mut weights = Vec::new();
    let visited = open(&data).visit_histories(|_, history| {
        weights.extend(history.iter().map(|held| held.weight));
    });
    visited.expect("readable");
    assert_eq!(weights, [5.0]);
}

#[test]
fn a_type_without_a_rule_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path()));
    let without = StoreOptions {
        feedback: Default::default(),
        ..options()
    };
    let store = open_with(folder.path(), &without).expect("it opens, to be exported from");
    let error = store.feedback().expect_err("nobody says what they mean");
    assert!(matches!(error, StoreError::UnknownFeedbackType(_)));
    assert!(
        error.to_string().contains("[feedback.types.view]"),
        "{error}"
    );
    drop(store);
    let session = ImportSession::begin(folder.path(), &without).expect("a session");
    assert!(session.writer().is_err());
}

#[test]
fn there_are_as_many_types_as_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let name = |number: u32| FeedbackType::new(&format!("type-{number}")).expect("a name");
    commit(&store, |batch| {
        batch.name_feedback_types((1..128).map(name).collect())
    });
    assert_eq!(store.feedback_types().len(), 128);
    let mut batch = recant_store::WriteBatch::default();
    batch.name_feedback_types(vec![name(128)]);
    let refused = store.commit(batch).wait();
    assert!(
        matches!(refused, Err(StoreError::TooManyFeedbackTypes)),
        "{refused:?}"
    );
    assert_eq!(store.feedback_types().len(), 128, "and the store goes on");
    let last = commit(&store, |batch| {
        let rows = vec![Interaction {
            feedback: name(127),
            ..event(1, 0, 0, None)
        }];
        batch.append(Event::Add(rows));
    });
    let entries = store.read_from(last.positions[0], 1).expect("readable");
    let Entry::Add(rows) = &entries[0].1 else {
        panic!("an addition");
    };
    assert_eq!(rows[0].feedback, name(127));
}

#[test]
fn an_import_puts_events_of_a_type_together_as_its_rule_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let session = ImportSession::begin(folder.path(), &options()).expect("a session");
    let mut writer = session.writer().expect("a writer");
    let rows = [
        (0, 1.0, 9),
        (0, 4.0, 5),
        (1, 1.0, 9),
        (1, 4.0, 5),
        (2, 1.0, 9),
        (2, 4.0, 5),
    ];
    for (number, weight, time) in rows {
        let number = writer.feedback_number(&feedback(number)).expect("a rule");
        writer
            .push_typed(number, "u", "i", weight, Some(time))
            .expect("taken");
    }
    let totals = writer.finish().expect("durable");
    assert_eq!(
        (totals.added, totals.duplicates, totals.interactions),
        (3, 3, 3)
    );
    drop(session);
    let history = open(folder.path()).history(0).expect("readable");
    let expected = [(0, 1.0), (1, 5.0), (2, 4.0)];
    let expected = expected.map(|(number, weight)| StoredInteraction {
        timestamp: Some(9),
        ..typed(0, number, weight)
    });
    assert_eq!(history, expected);
    assert_eq!(feedback_rules().len(), 2);
}
