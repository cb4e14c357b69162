//! What was erased stays away by the same rows, whatever the clock said that dated them: however it was
//! named, while it waits to be carried out and after.

use std::path::Path;

use crate::support::{Running, block_on, hyperparameters, item_id, user_id};
use recant_service::load;
use recant_store::{Entry, ImportSession, LogPosition, Store, StoreOptions};
use recant_testkit::store::{commit, erasure, erasure_id};
use recant_types::{ErasureTarget, Event, Interaction, Names, UnixMillis};

const HOUR: i64 = 60 * 60 * 1_000;

/// An interaction that a clock dates so many hours ahead.
fn ahead(user: u8, item: u8, hours: i64) -> Interaction {
    Interaction {
        user: user_id(user),
        item: item_id(item),
        feedback: Default::default(),
        weight: 1.0,
        timestamp: Some(UnixMillis::now().0 + hours * HOUR),
    }
}

/// Every way to name what users 1 and 2 did with item 5, with how many of the rows of [`sent`] it takes.
fn targets() -> Vec<(ErasureTarget, usize)> {
    let several = ErasureTarget::Several;
    vec![
        (ErasureTarget::User(user_id(1)), 2),
        (ErasureTarget::Pairs(vec![(user_id(1), item_id(5))]), 1),
        (ErasureTarget::Item(item_id(5)), 2),
        (
            several(Names {
                items: vec![item_id(5)],
                ..Names::default()
            }),
            2,
        ),
        (
            several(Names {
                users: vec![user_id(1)],
                items: vec![item_id(6)],
                pairs: vec![(user_id(2), item_id(5))],
                ..Names::default()
            }),
            4,
        ),
    ]
}

fn sent() -> Vec<Interaction> {
    vec![
        ahead(1, 5, 20),
        ahead(1, 7, 20),
        ahead(2, 5, 21),
        ahead(2, 6, 22),
        ahead(3, 7, 20),
    ]
}

/// How many rows a plain import of `rows` holds back.
fn held_back_by_import(path: &Path, rows: &[Interaction]) -> u64 {
    let session = ImportSession::begin(path, &StoreOptions::default()).expect("a store");
    let mut writer = session.writer().expect("a writer");
    for row in rows {
        let (user, item) = (row.user.expose(), row.item.expose());
        let pushed = writer.push(user, item, row.weight, row.timestamp);
        pushed.expect("taken");
    }
    writer.finish().expect("durable").held_back
}

#[test]
fn rows_dated_ahead_stay_away_however_they_were_erased() {
    for (target, taken) in targets() {
        let folder = tempfile::tempdir().expect("a folder");
        block_on(async {
            let running = Running::start(folder.path()).await;
            let rows = sent();
            let added = running.service.add(rows.clone()).await.expect("taken");
            assert_eq!(added.held_back, 0);
            running.until_forgotten().await;
            running.erase(target.clone()).await;
            // Carried out by now or not.
            let again = running.service.add(rows.clone()).await.expect("taken");
            assert_eq!(again.held_back, taken, "{target:?}");
            running.until_forgotten().await;
            let again = running.service.add(rows.clone()).await.expect("taken");
            assert_eq!(again.held_back, taken, "{target:?}, carried out");
            let running = running.restart().await;
            let again = running.service.add(rows.clone()).await.expect("taken");
            assert_eq!(again.held_back, taken, "{target:?}, restarted");
            running.until_forgotten().await;
            let mut left = 0;
            for user in 1..=3 {
                let exported = running.service.export(&user_id(user)).await;
                left += exported.expect("readable").len();
            }
            assert_eq!(left, rows.len() - taken, "{target:?}");
            running.guard.stop().await;
            drop((running.service, running.store));
            let held_back = held_back_by_import(folder.path(), &rows);
            assert_eq!(held_back, taken as u64, "{target:?}, imported");
        });
    }
}

/// Carries out everything that waits in the log, as the worker does.
fn carry_out(store: &Store, from: LogPosition, target: &ErasureTarget) -> LogPosition {
    let loaded = load(store, hyperparameters(), 1).expect("readable");
    let mut trainer = loaded.trainer;
    let entries = store.read_from(from, 100).expect("readable");
    let reached = entries.last().map_or(from, |(position, _)| *position);
    let events = entries.into_iter().map(|(_, entry)| match entry {
        Entry::Add(interactions) => Event::Add(interactions),
        Entry::Erase(entry) => erasure(entry.id, target.clone()),
    });
    let applied = trainer.apply(store, events).expect("readable");
    commit(store, |batch| {
        *batch = applied.batch;
        batch.set_applied(reached);
        batch.trim_log(reached);
    });
    reached.next()
}

/// Of an item, between acceptance and the commit that takes it from the histories, whether its rows were
/// learnt before or wait in the log, and with a restart between.
#[test]
fn an_item_that_waits_to_be_erased_takes_nothing_back_that_its_erasure_takes() {
    for (is_learnt, restarts) in [(true, false), (true, true), (false, false), (false, true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Store::open(folder.path(), &StoreOptions::default()).expect("a store");
        let mut store = open();
        let add = |store: &Store, row: &Interaction| {
            let event = Event::Add(vec![row.clone()]);
            commit(store, |batch| batch.append(event)).held_back
        };
        let target = ErasureTarget::Item(item_id(5));
        let (row, later) = (ahead(1, 5, 10), ahead(1, 5, 12));
        let others = ahead(2, 5, 11);
        assert_eq!(add(&store, &row) + add(&store, &ahead(1, 6, 10)), 0);
        let mut next = LogPosition(1);
        if is_learnt {
            next = carry_out(&store, next, &target);
        }
        commit(&store, |batch| {
            batch.append(erasure(erasure_id(1), target.clone()));
        });
        if restarts {
            drop(store);
            store = open();
        }
        assert_eq!(add(&store, &row), 1, "the very row that is to be taken");
        // Of somebody who has nothing of the item, and of the same user later: nothing erased comes back.
        assert_eq!(add(&store, &others) + add(&store, &later), 0);
        assert_eq!(add(&store, &row), 1, "what came later is not erased");
        carry_out(&store, next, &target);
        assert_eq!(add(&store, &row), 1, "{is_learnt} {restarts}");
        let held = |user: u32| store.history(user).expect("readable").len();
        assert_eq!((held(0), held(1)), (2, 1), "items 6 and 5, and 5");
        // Only what was erased raised the tombstone.
        assert_eq!(add(&store, &others), 0);
    }
}
