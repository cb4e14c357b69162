//! A restart at every step that the log takes: wherever the run before ended, the next one goes on
//! from there and ends where an uninterrupted one does.

use std::path::Path;

use crate::support::{
    Plain, Row, Running, assert_predicts_like_a_retrain, block_on, hyperparameters, item_id,
    train_from_scratch, user_id,
};
use recant_service::load;
use recant_store::{Entry, LogPosition, Store, StoreOptions, WriteBatch};
use recant_types::{
    ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, Event, Interaction, UnixMillis,
};

fn row(user: u8, item: u8) -> Row {
    Row {
        user,
        item,
        quarters: 4,
        // In the future, so that no erasure of this test holds it back.
        timestamp: Some(4_000_000_000 + i64::from(user) * 100 + i64::from(item)),
    }
}

fn imported() -> Plain {
    let mut plain = Plain::default();
    let rows = (0..6).flat_map(|user| (0..8).map(move |item| (user, item)));
    let kept: Vec<Row> = rows
        .filter(|(user, item)| (user * 3 + item * 5) % 4 < 2)
        .map(|(user, item)| row(user, item))
        .collect();
    plain.add(&kept);
    plain
}

/// What is in the log: every kind of entry, some about the same user, item and pair.
fn entries(plain: &mut Plain) -> Vec<Event> {
    let erasure = |number: u8, target| Event::Erase {
        id: erasure_id(number),
        accepted_at: UnixMillis::now(),
        target,
    };
    let added = [row(7, 1), row(7, 2), row(0, 7)];
    // Later than everything of theirs that is erased.
    let again = [Row {
        timestamp: Some(4_000_001_000),
        ..row(2, 2)
    }];
    plain.add(&added);
    plain.0.remove(&(1, 1));
    plain.0.remove(&(7, 2));
    plain.0.retain(|(user, _), _| *user != 2);
    plain.add(&again);
    plain.0.retain(|(_, item), _| *item != 4);
    vec![
        addition(&added),
        erasure(
            1,
            ErasureTarget::Pairs(vec![(user_id(1), item_id(1)), (user_id(7), item_id(2))]),
        ),
        erasure(2, ErasureTarget::User(user_id(2))),
        addition(&again),
        erasure(3, ErasureTarget::Item(item_id(4))),
    ]
}

fn addition(rows: &[Row]) -> Event {
    let interactions = rows.iter().map(|row| Interaction {
        feedback: Default::default(),
        user: user_id(row.user),
        item: item_id(row.item),
        weight: row.weight(),
        timestamp: row.timestamp,
    });
    Event::Add(interactions.collect())
}

fn erasure_id(number: u8) -> ErasureId {
    ErasureId::from_bytes([number; 16])
}

/// A trained store with the entries in its log, and what must be left in the end.
fn accepted(path: &Path) -> (Plain, Vec<Event>) {
    let mut plain = imported();
    plain.import(path);
    train_from_scratch(path);
    let entries = entries(&mut plain);
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let mut batch = WriteBatch::default();
    entries
        .iter()
        .cloned()
        .for_each(|event| batch.append(event));
    store.commit(batch).wait().expect("accepted");
    (plain, entries)
}

/// Does what a run does that ends between its two commits: the first `count` entries have left the
/// data, and the stored model has not heard of it.
fn erase_without_learning(path: &Path, entries: &[Event], count: usize) {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let mut trainer = load(&store, hyperparameters(), 1)
        .expect("readable")
        .trainer;
    // What the log holds of them: what was erased meanwhile is gone from the additions.
    let read = store.read_from(LogPosition(1), count).expect("readable");
    let read = read.into_iter().map(|(position, entry)| match entry {
        Entry::Add(interactions) => Event::Add(interactions),
        Entry::Erase(_) => entries[position.0 as usize - 1].clone(),
    });
    let applied = trainer.apply(&store, read);
    let mut batch = applied.expect("readable").batch;
    batch.set_applied(LogPosition(count as u64));
    for event in &entries[..count] {
        let Event::Erase { id, .. } = event else {
            continue;
        };
        let record = store.erasure(*id).expect("readable").expect("known");
        batch.put_erasure(&ErasureRecord {
            status: ErasureStatus::Erased,
            erased_at: Some(UnixMillis::now()),
            model_version_before: Some(1),
            ..record
        });
    }
    store.commit(batch).wait().expect("stored");
}

/// Starts on what is there and checks that it ends as if nothing had happened in between.
async fn assert_ends_well(path: &Path, plain: &Plain) {
    let running = Running::start(path).await;
    running.until_certified().await;
    running.assert_holds(plain).await;
    for number in 1..=3 {
        let record = running.service.erasure(erasure_id(number)).await;
        let record = record.expect("readable").expect("known");
        assert_eq!(record.status, ErasureStatus::Certified);
        let times = [
            Some(record.accepted_at),
            record.erased_at,
            record.forgotten_at,
            record.certified_at,
        ];
        assert!(times.iter().all(Option::is_some), "a state was skipped");
        // States are shown to the minute; the times that a step of this test wrote itself are exact.
        assert!(times.iter().all(|time| *time >= Some(record.accepted_at)));
        assert!(record.forgotten_at <= record.certified_at);
        assert!(record.model_version_before < record.model_version_after);
    }
    let store = running.store.clone();
    assert_eq!(
        store
            .read_from(LogPosition(1), 100)
            .expect("readable")
            .len(),
        0,
        "the log still holds what was learnt"
    );
    drop(store);
    assert_predicts_like_a_retrain(running, plain, &path.with_extension("other")).await;
}

#[test]
fn after_every_number_of_entries_that_left_the_data() {
    let entries = entries(&mut Plain::default()).len();
    for count in 0..=entries {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let (plain, entries) = accepted(&path);
        if count > 0 {
            erase_without_learning(&path, &entries, count);
        }
        block_on(assert_ends_well(&path, &plain));
    }
}

#[test]
fn after_the_model_has_forgotten_and_before_it_is_certified() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    let (plain, _) = accepted(&path);
    block_on(async {
        let running = Running::start(&path).await;
        running.until_forgotten().await;
        // Whether refining got anywhere by now or not.
        running.guard.stop().await;
    });
    block_on(assert_ends_well(&path, &plain));
}

#[test]
fn after_everything_is_certified_nothing_changes_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    let (plain, _) = accepted(&path);
    block_on(async {
        let running = Running::start(&path).await;
        running.until_certified().await;
        let before = running.service.model();
        let running = running.restart().await;
        let after = running.service.model();
        assert_eq!(before.version, after.version);
        assert_eq!(before.certificate, after.certificate);
        running.guard.stop().await;
    });
    block_on(assert_ends_well(&path, &plain));
}
