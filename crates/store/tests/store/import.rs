//! Imports into a store: of a pair the newest row counts, wherever it comes from, and every row is
//! accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use recant_store::{ImportSession, ImportSessionError, ImportTotals, Store};
use recant_testkit::store::{commit, erasure, erasure_id, open, options};
use recant_types::{ErasureTarget, ItemId, Names, UnixMillis, UserId};

/// One row: user, item, weight, time. Without a weight it takes its pair back.
type Row = (u8, u8, Option<f32>, Option<i64>);

fn import(data: &Path, rows: &[Row]) -> ImportTotals {
    let session = ImportSession::begin(data, &options()).expect("a store");
    let mut writer = session.writer().expect("a writer");
    for (user, item, weight, time) in rows {
        let (user, item) = (format!("u{user}"), format!("i{item}"));
        match weight {
            Some(weight) => writer.push(&user, &item, *weight, *time),
            None => writer.withdraw(Default::default(), &user, &item, *time),
        }
        .expect("taken");
    }
    writer.finish().expect("durable")
}

/// Everything a store holds, by the names of users and items.
fn held(data: &Path) -> BTreeMap<(String, String), (f32, Option<i64>)> {
    let store: Store = open(data);
    let items: BTreeMap<u32, String> = store
        .items()
        .expect("readable")
        .into_iter()
        .map(|(row, item)| (row, item.id.expose().to_owned()))
        .collect();
    let mut held = BTreeMap::new();
    for (row, user) in store.users().expect("readable") {
        let history = store.history(row).expect("readable");
        assert!(!history.is_empty(), "a user without anything");
        for pair in history {
            let key = (user.expose().to_owned(), items[&pair.item].clone());
            held.insert(key, (pair.weight, pair.timestamp));
        }
    }
    let used: BTreeSet<&String> = held.keys().map(|(_, item)| item).collect();
    assert!(
        items.values().all(|item| used.contains(item)),
        "an item without anything"
    );
    held
}

#[test]
fn the_newest_row_of_a_pair_counts_in_files_and_against_what_is_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let rows = [
        (1, 1, Some(5.0), Some(1_500_000_000)),
        (1, 1, Some(2.0), Some(1_200_000_000)),
    ];
    let totals = import(&data, &rows);
    assert_eq!((totals.added, totals.duplicates), (1, 1));
    let pair = (String::from("u1"), String::from("i1"));
    assert_eq!(held(&data)[&pair].0, 5.0);
    // In milliseconds, and older all the same.
    let totals = import(&data, &[(1, 1, Some(3.0), Some(1_400_000_000_000))]);
    assert_eq!(
        (totals.added, totals.duplicates, held(&data)[&pair].0),
        (0, 1, 5.0)
    );
    import(&data, &[(1, 1, Some(4.0), Some(1_600_000_000))]);
    assert_eq!(held(&data)[&pair].0, 4.0);
    import(&data, &[(1, 1, Some(1.0), None)]);
    assert_eq!(
        held(&data)[&pair].0,
        1.0,
        "without a time it counts as it comes"
    );
}

#[test]
fn a_pair_that_its_newest_row_takes_back_is_held_no_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let rows = [
        (1, 1, Some(5.0), Some(1_200_000_000)),
        (1, 1, None, Some(1_500_000_000)),
        (2, 1, None, Some(1_500_000_000)),
        (2, 1, Some(5.0), Some(1_600_000_000)),
        (3, 2, None, None),
    ];
    let totals = import(&data, &rows);
    assert_eq!(
        (totals.added, totals.duplicates, totals.withdrawn),
        (1, 2, 2)
    );
    assert_eq!((totals.users, totals.items, totals.interactions), (1, 1, 1));
    assert_eq!(held(&data).len(), 1);
    let totals = import(
        &data,
        &[(2, 1, None, Some(1_700_000_000)), (4, 3, Some(1.0), None)],
    );
    assert_eq!(
        (totals.added, totals.duplicates, totals.withdrawn),
        (1, 0, 1)
    );
    let left: Vec<_> = held(&data).into_keys().collect();
    assert_eq!(left, [(String::from("u4"), String::from("i3"))]);
}

/// What is erased stays away by the same rows, even by one that is dated after the erasure; a repeated
/// erasure changes nothing of that.
#[test]
fn a_row_of_tomorrow_that_was_erased_does_not_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let tomorrow = UnixMillis::now().0 + 20 * 60 * 60 * 1_000;
    let rows = [
        (1, 1, Some(1.0), Some(tomorrow)),
        (2, 1, Some(1.0), Some(tomorrow)),
        (2, 2, Some(1.0), Some(tomorrow)),
    ];
    import(&data, &rows);
    let user = |name: &str| UserId::new(name).expect("an id");
    let pair = (user("u2"), ItemId::new("i2").expect("an id"));
    let store = open(&data);
    for number in [1, 2] {
        commit(&store, |batch| {
            let target = ErasureTarget::User(user("u1"));
            batch.append(erasure(erasure_id(number), target));
            let target = ErasureTarget::Pairs(vec![pair.clone()]);
            batch.append(erasure(erasure_id(10 + number), target));
        });
    }
    drop(store);
    let totals = import(&data, &rows);
    assert_eq!(
        (totals.held_back, totals.duplicates, totals.added),
        (2, 1, 0)
    );
    let totals = import(&data, &[(1, 1, Some(1.0), Some(tomorrow + 1))]);
    assert_eq!(
        (totals.held_back, totals.added),
        (0, 1),
        "what happens later is welcome"
    );
}

/// The same of an item, which the worker takes from the histories later than the erasure is accepted.
#[test]
fn a_row_of_tomorrow_that_was_erased_with_its_item_does_not_come_back() {
    let item = ItemId::new("i1").expect("an id");
    let several = Names {
        items: vec![item.clone()],
        ..Names::default()
    };
    for target in [ErasureTarget::Item(item), ErasureTarget::Several(several)] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let tomorrow = UnixMillis::now().0 + 20 * 60 * 60 * 1_000;
        let rows = [
            (1, 1, Some(1.0), Some(tomorrow)),
            (2, 1, Some(1.0), Some(tomorrow + 1)),
            (2, 2, Some(1.0), Some(tomorrow + 2)),
        ];
        import(&data, &rows);
        let store = open(&data);
        let erased = commit(&store, |batch| {
            batch.append(erasure(erasure_id(1), target.clone()));
        });
        let users = store.users().expect("readable");
        let items = store.items().expect("readable");
        let row_of = |id: &str| {
            items
                .iter()
                .find(|(_, it)| it.id.expose() == id)
                .expect("held")
                .0
        };
        commit(&store, |batch| {
            for (row, _) in &users {
                let mut history = store.history(*row).expect("readable");
                history.retain(|held| held.item != row_of("i1"));
                if history.is_empty() {
                    batch.remove_user(*row);
                } else {
                    batch.put_history(*row, &history);
                    batch.renew_key(*row);
                }
            }
            batch.remove_item(row_of("i1"));
            batch.set_applied(erased.positions[0]);
            batch.trim_log(erased.positions[0]);
        });
        drop(store);
        let totals = import(&data, &rows);
        let became = (totals.held_back, totals.duplicates, totals.added);
        assert_eq!(became, (2, 1, 0), "{target:?}");
        let totals = import(&data, &[(1, 1, Some(1.0), Some(tomorrow + 2))]);
        assert_eq!((totals.held_back, totals.added), (0, 1));
    }
}

/// The worker would take what is imported after an erasure of its item was accepted with what is erased.
#[test]
fn rows_of_an_item_whose_erasure_waits_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import(&data, &[(1, 1, Some(1.0), Some(1_000))]);
    let erased = ErasureTarget::Item(ItemId::new("i1").expect("an id"));
    commit(&open(&data), |batch| {
        batch.append(erasure(erasure_id(1), erased));
    });
    let later = UnixMillis::now().0 + 60 * 60 * 1_000;
    let session = ImportSession::begin(&data, &options()).expect("free");
    let mut writer = session.writer().expect("readable");
    writer.push("u1", "i2", 1.0, Some(later)).expect("taken");
    let refused = writer.push("u1", "i1", 1.0, Some(later));
    assert!(
        matches!(refused, Err(ImportSessionError::ItemErasureWaits)),
        "{refused:?}"
    );
    writer
        .push("u1", "i1", 1.0, Some(1_000))
        .expect("held back");
    assert_eq!(writer.finish().expect("durable").held_back, 1);
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let weight = prop_oneof![3 => (1u8..9).prop_map(|w| Some(f32::from(w))), 1 => Just(None)];
    let time = prop_oneof![4 => (1_000i64..1_006).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0u8..3, 0u8..3, weight, time), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A plain map, followed row by row, is the oracle of two imports into one store.
    #[test]
    fn imports_leave_what_a_plain_map_holds_and_account_for_every_row(
        first in rows(),
        second in rows(),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut plain: BTreeMap<(String, String), (f32, Option<i64>)> = BTreeMap::new();
        for rows in [first, second] {
            let mut newest: BTreeMap<(u8, u8), (Option<f32>, Option<i64>)> = plain
                .iter()
                .map(|((user, item), (weight, time))| {
                    let number = |id: &str| id[1..].parse::<u8>().expect("a number");
                    ((number(user), number(item)), (Some(*weight), *time))
                })
                .collect();
            let before = newest.clone();
            for (user, item, weight, time) in &rows {
                let is_older = newest.get(&(*user, *item)).is_some_and(|(_, held)| {
                    matches!((time, held), (Some(time), Some(held)) if time < held)
                });
                if !is_older {
                    newest.insert((*user, *item), (*weight, *time));
                }
            }
            let totals = import(&data, &rows);
            plain = newest
                .iter()
                .filter_map(|((user, item), (weight, time))| {
                    Some(((format!("u{user}"), format!("i{item}")), ((*weight)?, *time)))
                })
                .collect();
            prop_assert_eq!(&held(&data), &plain);
            let sum = totals.added + totals.duplicates + totals.withdrawn + totals.held_back;
            prop_assert_eq!(sum, rows.len() as u64);
            let added = newest.iter().filter(|(pair, (weight, _))| {
                weight.is_some() && !before.contains_key(pair)
            });
            prop_assert_eq!(totals.added, added.count() as u64);
            let withdrawn = newest.values().filter(|(weight, _)| weight.is_none());
            prop_assert_eq!(totals.withdrawn, withdrawn.count() as u64);
            prop_assert_eq!(totals.interactions, plain.len() as u64);
        }
    }
}
