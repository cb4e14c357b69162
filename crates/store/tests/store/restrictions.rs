//! What is kept of restricted people is in nobody's way, outlives backups, and comes back as it came.

use std::path::{Path, PathBuf};

use recant_store::{Entry, ImportSession, LogPosition, Store, restore};
use recant_testkit::store::{
    addition, commit, copy_directory, erase, erasure_id, feedback, header, held, history, item,
    item_id, open, options, properties, user,
};
use recant_types::{ErasureTarget, Event, FeedbackNumber, Interaction, PersonSummary, TypedPair};

/// Users 0 to 3 with items 0, 3, 6 and 9 and a model; of 1 an addition waits and something is said.
fn prepared(data: &Path) -> Store {
    let store = open(data);
    commit(&store, |batch| {
        for row in 0..10 {
            batch.put_item(row, &item(row, None));
        }
        for row in 0..4 {
            batch.put_user(row, &user(row));
            batch.put_history(row, &history(4));
        }
        batch.put_properties(&user(1), &properties("Turin"));
        batch.put_model_header(&header(3));
        batch.append(addition(1, 2));
    });
    store
}

fn restrict(store: &Store, number: u8, users: &[u32]) {
    let users = users.iter().map(|of| user(*of)).collect();
    erase(store, number, ErasureTarget::Restriction(users));
}

fn lift(store: &Store, of: u32) {
    commit(store, |batch| batch.lift_restriction(&user(of)));
}

/// Numbers of items and weights of what is kept of somebody.
fn kept(store: &Store, of: u32) -> Vec<(String, f32)> {
    let kept = store.kept(&user(of)).expect("readable").into_iter();
    kept.map(|kept| (kept.item.expose().to_owned(), kept.weight))
        .collect()
}

fn rows(rows: &[(u32, f32)]) -> Vec<(String, f32)> {
    let named = rows.iter().map(|(item, weight)| (item_id(*item), *weight));
    named
        .map(|(item, weight)| (item.expose().to_owned(), weight))
        .collect()
}

/// What waits in the log of somebody.
fn waiting(store: &Store, of: u32) -> Vec<Interaction> {
    let log = store
        .read_from(LogPosition(0), usize::MAX)
        .expect("readable");
    let added = log.into_iter().filter_map(|(_, entry)| match entry {
        Entry::Add(rows) => Some(rows),
        Entry::Erase(_) => None,
    });
    added
        .flatten()
        .filter(|added| added.user == user(of))
        .collect()
}

fn person(store: &Store, of: u32) -> Option<PersonSummary> {
    store.person(&user(of)).expect("readable")
}

#[test]
fn everything_of_a_person_moves_to_what_is_kept_and_back_into_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = prepared(folder.path());
    let before = store.read_from(LogPosition(0), 9).expect("readable").len();
    restrict(&store, 1, &[1, 7]);
    let entries = store.read_from(LogPosition(0), 9).expect("readable");
    assert_eq!(
        entries.len(),
        before,
        "what waited is gone, the restriction came"
    );
    assert_eq!(waiting(&store, 1), []);
    // Of item 0 what came later counts; item 1 waited.
    let expected = rows(&[(0, 2.5), (1, 2.5), (3, 2.0), (6, 3.0), (9, 4.0)]);
    for round in 0..4 {
        assert_eq!(store.user(1).expect("readable"), None);
        assert_eq!(store.users().expect("readable").len(), 3);
        assert_eq!(kept(&store, 1), expected, "{round}");
        let summary = person(&store, 1).expect("somebody");
        assert_eq!((summary.restricted, summary.interactions), (true, 5));
        assert_eq!(summary.properties, properties("Turin"));
        let stranger = person(&store, 7).expect("restricted");
        assert_eq!((stranger.restricted, stranger.interactions), (true, 0));
        let listed = store.persons(None, 9).expect("readable");
        let listed: Vec<_> = listed
            .iter()
            .map(|of| (of.user.clone(), of.restricted))
            .collect();
        let known = [0, 1, 2, 3].map(|of| (user(of), of == 1));
        assert_eq!(listed, known);
        match round {
            0 => drop(store.compact().expect("compacted")),
            1 => {
                // All of it gets another key.
                commit(&store, |batch| {
                    batch.put_properties(&user(1), &properties("Milan"))
                });
                commit(&store, |batch| {
                    batch.put_properties(&user(1), &properties("Turin"))
                });
            }
            2 => {
                drop(store);
                store = open(folder.path());
            }
            _ => {}
        }
    }
    lift(&store, 1);
    lift(&store, 7);
    lift(&store, 8);
    assert_eq!((kept(&store, 1), person(&store, 7)), (Vec::new(), None));
    let came = waiting(&store, 1).into_iter();
    let came = came.map(|row| (row.item.expose().to_owned(), row.weight, row.timestamp));
    let history = history(4)
        .into_iter()
        .map(|held| (held.item, held.weight, held.timestamp));
    let added = [(0, 2.5, Some(0)), (1, 2.5, Some(1))];
    let expected = history.chain(added);
    let expected = expected.map(|(it, weight, at)| (item_id(it).expose().to_owned(), weight, at));
    assert_eq!(came.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert!(!person(&store, 1).expect("somebody").restricted);
}

/// The worker may be anywhere between the commit that holds what entries led to and the one that removes
/// them.
#[test]
fn what_is_in_the_history_already_is_not_kept_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let view = Interaction {
        user: user(1),
        item: item_id(0),
        feedback: feedback(1),
        weight: 2.0,
        timestamp: None,
    };
    commit(&store, |batch| batch.append(Event::Add(vec![view.clone()])));
    let mut in_history = held(0, 2.0, None);
    in_history.feedback = FeedbackNumber(1);
    commit(&store, |batch| {
        batch.put_item(0, &item(0, None));
        batch.put_user(5, &user(1));
        batch.put_history(5, &[in_history]);
        batch.set_applied(LogPosition(1));
    });
    restrict(&store, 1, &[1]);
    // Views add up.
    assert_eq!(kept(&store, 1), rows(&[(0, 2.0)]));
    commit(&store, |batch| batch.append(Event::Add(vec![view])));
    assert_eq!(kept(&store, 1), rows(&[(0, 4.0)]));
}

/// A worker that read it before may write it after: it does not come back.
#[test]
fn what_a_worker_still_writes_of_somebody_who_was_restricted_since_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    restrict(&store, 1, &[1]);
    commit(&store, |batch| {
        batch.put_user(1, &user(1));
        batch.put_history(1, &history(5));
        batch.put_user_factors(1, &[0.5], LogPosition(1));
        batch.set_applied(LogPosition(1));
    });
    assert_eq!(store.users().expect("readable").len(), 3);
    assert_eq!(kept(&store, 1).len(), 5);
    drop(store);
    assert_eq!(open(folder.path()).users().expect("readable").len(), 3);
}

#[test]
fn what_is_kept_is_erased_like_everything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    restrict(&store, 1, &[0, 1, 2, 7]);
    let typed = TypedPair {
        user: user(0),
        item: item_id(9),
        feedback: feedback(0),
    };
    erase(&store, 2, ErasureTarget::Pairs(vec![(user(0), item_id(3))]));
    erase(&store, 3, ErasureTarget::TypedPairs(vec![typed]));
    assert_eq!(kept(&store, 0), rows(&[(0, 1.0), (6, 3.0)]));
    // Of everybody, and at once.
    erase(&store, 4, ErasureTarget::Item(item_id(0)));
    assert_eq!(kept(&store, 0), rows(&[(6, 3.0)]));
    assert_eq!(
        kept(&store, 1),
        rows(&[(1, 2.5), (3, 2.0), (6, 3.0), (9, 4.0)])
    );
    // What is sent again is held back, what is new is kept.
    let again = |at| Interaction {
        user: user(2),
        item: item_id(0),
        feedback: feedback(0),
        weight: 7.0,
        timestamp: at,
    };
    let sent = commit(&store, |batch| {
        batch.append(Event::Add(vec![again(Some(0)), again(None)]))
    });
    assert_eq!((sent.held_back, sent.positions.len()), (1, 0));
    assert_eq!(
        kept(&store, 2),
        rows(&[(0, 7.0), (3, 2.0), (6, 3.0), (9, 4.0)])
    );
    for of in [0, 1, 2, 7] {
        erase(&store, 10 + of as u8, ErasureTarget::User(user(of)));
        assert_eq!((person(&store, of), kept(&store, of)), (None, Vec::new()));
        assert!(!store.is_restricted(&user(of)));
        lift(&store, of);
        assert_eq!(waiting(&store, of), []);
    }
    assert_eq!(store.restricted_count(), 0);
    drop(store);
    let store = open(folder.path());
    assert_eq!((person(&store, 1), store.restricted_count()), (None, 0));
}

#[test]
fn pairs_may_be_all_that_was_kept_and_the_restriction_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    restrict(&store, 1, &[0]);
    let pairs = [0, 3, 6, 9].map(|number| (user(0), item_id(number)));
    erase(&store, 2, ErasureTarget::Pairs(pairs.to_vec()));
    assert_eq!(
        (kept(&store, 0), store.is_restricted(&user(0))),
        (Vec::new(), true)
    );
    let row = Interaction {
        user: user(0),
        item: item_id(5),
        feedback: feedback(0),
        weight: 1.5,
        timestamp: None,
    };
    commit(&store, |batch| batch.append(Event::Add(vec![row])));
    assert_eq!(kept(&store, 0), rows(&[(5, 1.5)]));
}

/// More than one addition may carry, and more than a record may hold.
#[test]
fn a_long_history_is_kept_and_given_back_in_several_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    const COUNT: u32 = 12_345;
    commit(&store, |batch| {
        (0..COUNT).for_each(|row| batch.put_item(row, &item(row, None)));
        let history: Vec<_> = (0..COUNT)
            .map(|row| held(row, 1.0, Some(row.into())))
            .collect();
        batch.put_user(0, &user(0));
        batch.put_history(0, &history);
    });
    restrict(&store, 1, &[0]);
    assert_eq!(kept(&store, 0).len(), COUNT as usize);
    let lifted = commit(&store, |batch| batch.lift_restriction(&user(0)));
    assert_eq!(lifted.positions.len(), 2);
    let items: Vec<_> = waiting(&store, 0).into_iter().map(|row| row.item).collect();
    assert_eq!(items, (0..COUNT).map(item_id).collect::<Vec<_>>());
}

/// A backup of `prepared` with these people restricted.
fn backed_up(folder: &Path, restricted: &[u32]) -> (PathBuf, PathBuf) {
    let (data, file) = (folder.join("data"), folder.join("backup"));
    let store = prepared(&data);
    if !restricted.is_empty() {
        restrict(&store, 1, restricted);
    }
    let summary = store.backup(&file).expect("backed up");
    assert_eq!((summary.users, summary.interactions), (4, 4 * 4 + 2));
    (data, file)
}

#[test]
fn a_backup_from_before_does_not_lift_what_was_restricted_since() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path(), &[]);
    restrict(&open(&data), 2, &[1, 7]);
    for _ in 0..2 {
        let restored = restore(&file, &data, &options()).expect("restored");
        assert_eq!((restored.users, restored.interactions), (3, 12));
        assert_eq!(
            (restored.restricted, restored.erased, restored.unreadable),
            (6, 0, 0)
        );
        assert!(!restored.model, "it has learnt what is restricted since");
        let store = open(&data);
        assert_eq!(kept(&store, 1).len(), 5);
        assert!(store.is_restricted(&user(1)) && store.is_restricted(&user(7)));
        assert_eq!(
            person(&store, 1).expect("somebody").properties,
            properties("Turin")
        );
        assert!(store.erasure(erasure_id(2)).expect("readable").is_some());
    }
    // Nor when only the key ring knows that there was something.
    let other = folder.path().join("other");
    copy_directory(&data.join("keys"), &other.join("keys"));
    let refused = restore(&file, &other, &options()).expect_err("refused");
    assert!(refused.to_string().contains("since"), "{refused}");
}

#[test]
fn a_backup_keeps_restrictions_and_an_end_since_stays_an_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path(), &[0, 1, 2, 7]);
    let other = folder.path().join("other");
    copy_directory(&data.join("keys"), &other.join("keys"));
    let restored = restore(&file, &other, &options()).expect("restored");
    assert_eq!(
        (restored.users, restored.interactions, restored.restricted),
        (1, 4, 14)
    );
    assert!(restored.model);
    let store = open(&other);
    assert_eq!(kept(&store, 1).len(), 5);
    assert_eq!(store.restricted_count(), 4);
    drop(store);
    let store = open(&data);
    lift(&store, 1);
    erase(&store, 2, ErasureTarget::User(user(2)));
    store.compact().expect("compacted");
    drop(store);
    let restored = restore(&file, &data, &options()).expect("restored");
    assert_eq!(
        (restored.users, restored.interactions, restored.restricted),
        (2, 9, 4)
    );
    let store = open(&data);
    assert_eq!(store.restricted_count(), 2);
    assert_eq!((kept(&store, 1), person(&store, 2)), (Vec::new(), None));
    let summary = person(&store, 1).expect("somebody");
    assert_eq!((summary.restricted, summary.interactions), (false, 5));
}

#[test]
fn an_import_adds_to_what_is_kept_and_takes_back_from_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    restrict(&store, 1, &[0, 1, 7]);
    drop(store);
    let session = ImportSession::begin(folder.path(), &options()).expect("a session");
    let mut writer = session.writer().expect("a writer");
    let at = Some(2_000_000_000);
    for (of, item, weight) in [
        (0, 3, Some(8.0)),
        (0, 6, None),
        (0, 50, Some(1.0)),
        (7, 51, Some(2.0)),
    ] {
        let (of, item) = (user(of), item_id(item));
        let taken = match weight {
            Some(weight) => writer.push(of.expose(), item.expose(), weight, at),
            None => writer.withdraw(FeedbackNumber::default(), of.expose(), item.expose(), at),
        };
        taken.expect("taken");
    }
    // Older than what took the pair back.
    let (of, item) = (user(0), item_id(6));
    writer
        .push(of.expose(), item.expose(), 9.0, Some(1))
        .expect("taken");
    let (of, item) = (user(2), item_id(52));
    writer
        .push(of.expose(), item.expose(), 1.0, at)
        .expect("taken");
    let totals = writer.finish().expect("durable");
    drop(session);
    assert_eq!((totals.restricted, totals.added), (5, 1));
    assert_eq!((totals.users, totals.interactions), (2, 9));
    let store = open(folder.path());
    assert_eq!(
        kept(&store, 0),
        rows(&[(0, 1.0), (3, 8.0), (50, 1.0), (9, 4.0)])
    );
    assert_eq!(kept(&store, 7), rows(&[(51, 2.0)]));
    assert_eq!(kept(&store, 1).len(), 5);
    let items = store.items().expect("readable");
    let is_known = |number| items.iter().any(|(_, item)| item.id == item_id(number));
    assert!(is_known(52) && !is_known(50) && !is_known(51));
}
