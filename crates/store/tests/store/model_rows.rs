//! A user's row of a model is a secret of that user: it goes with the key that it is sealed under.

use recant_store::{LogPosition, Store};
use recant_testkit::store::{commit, erase, history, item, item_id, open, user};
use recant_types::ErasureTarget;

fn rows(store: &Store) -> Vec<(u32, Vec<f32>)> {
    let mut rows = Vec::new();
    store
        .visit_user_factors(|row, values| rows.push((row, values)))
        .expect("readable rows");
    rows.sort_by_key(|(row, _)| *row);
    rows
}

/// Users 1 to 3 with a history and a row each.
fn prepared(data: &std::path::Path) -> Store {
    let store = open(data);
    commit(&store, |batch| {
        for row in 1..=3 {
            batch.put_user(row, &user(row));
            batch.put_history(row, &history(4));
            batch.put_user_factors(row, &[row as f32, 0.5], LogPosition(0));
        }
        (0..12).for_each(|row| batch.put_item(row, &item(row, None)));
    });
    store
}

#[test]
fn rows_are_read_back_and_outlive_a_restart_and_a_compaction() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let held: Vec<_> = (1..=3).map(|row| (row, vec![row as f32, 0.5])).collect();
    assert_eq!(rows(&store), held);
    drop(store);
    let store = open(folder.path());
    assert_eq!(rows(&store), held);
    store.compact().expect("room for a new generation");
    assert_eq!(rows(&store), held);
    commit(&store, |batch| batch.remove_user_factors());
    assert_eq!(rows(&store), []);
}

#[test]
fn an_accepted_erasure_takes_the_row_of_whom_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    erase(&store, 1, ErasureTarget::User(user(1)));
    let pair = ErasureTarget::Pairs(vec![(user(2), item_id(0))]);
    erase(&store, 2, pair);
    assert_eq!(rows(&store), [(3, vec![3.0, 0.5])]);
    drop(store);
    assert_eq!(rows(&open(folder.path())), [(3, vec![3.0, 0.5])]);
}

/// A version that was computed before an erasure is committed after it: its row of that user still
/// knows what was erased, and is not written.
#[test]
fn a_row_that_knows_of_what_was_erased_since_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let pair = ErasureTarget::Pairs(vec![(user(2), item_id(0))]);
    erase(&store, 1, pair);
    let put = |known: u64| {
        commit(&store, |batch| {
            batch.put_user_factors(2, &[7.0, 7.0], LogPosition(known));
            batch.put_user_factors(3, &[8.0, 8.0], LogPosition(known));
            batch.put_user_factors(9, &[9.0, 9.0], LogPosition(known));
        });
        rows(&store)
    };
    let (first, third) = ((1, vec![1.0, 0.5]), (3, vec![8.0, 8.0]));
    assert_eq!(put(0), [first.clone(), third.clone()]);
    assert_eq!(put(1), [first, (2, vec![7.0, 7.0]), third]);
}
