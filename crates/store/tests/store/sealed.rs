//! What the store holds can be read with its keys alone, and an accepted erasure has destroyed them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use recant_store::{Entry, LogPosition, Store};
use recant_testkit::store::{
    Contents, added, addition, commit, database_directory, erase, fill, header, held, history,
    item, item_id, open, properties, user,
};
use recant_types::{ErasureTarget, Event, Interaction, UnixMillis};

/// The slots of persons in a key ring's file, as they lie there.
fn slots(data: &Path) -> Vec<Vec<u8>> {
    let ring = fs::read(data.join("keys").join("ring")).expect("readable");
    ring[16_384 + 16 * 64..]
        .chunks(64)
        .map(<[u8]>::to_vec)
        .collect()
}

/// How many slots held a key before and are zeros now.
fn destroyed(before: &[Vec<u8>], after: &[Vec<u8>]) -> usize {
    let empty = |slot: &Vec<u8>| slot.iter().all(|byte| *byte == 0);
    let pairs = before.iter().zip(after);
    pairs.filter(|(b, a)| !empty(b) && empty(a)).count()
}

/// Users 1 and 2 with items 0, 3, 6, … and something of user 1 that waits in the log.
fn prepared(data: &Path) -> Store {
    let store = open(data);
    commit(&store, |batch| {
        for row in 1..=2 {
            batch.put_user(row, &user(row));
            batch.put_history(row, &history(4));
        }
        (0..12).for_each(|row| batch.put_item(row, &item(row, None)));
        batch.append(addition(1, 3));
    });
    store
}

fn pair(of: u32, item: u32) -> ErasureTarget {
    ErasureTarget::Pairs(vec![(user(of), item_id(item))])
}

fn additions(store: &Store) -> Vec<Interaction> {
    let log = store.read_from(LogPosition(0), 99).expect("readable");
    let additions = log.into_iter().filter_map(|(_, entry)| match entry {
        Entry::Add(interactions) => Some(interactions),
        Entry::Erase(_) => None,
    });
    additions.flatten().collect()
}

#[test]
fn a_user_is_gone_when_the_erasure_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let before = slots(folder.path());
    erase(&store, 1, ErasureTarget::User(user(1)));
    assert_eq!(destroyed(&before, &slots(folder.path())), 2);
    let check = |store: &Store| {
        assert_eq!(store.users().expect("readable"), [(2, user(2))]);
        assert_eq!(store.user(1).expect("readable"), None);
        assert_eq!(store.history(1).expect("readable"), []);
        assert_eq!(store.history(2).expect("readable"), history(4));
        assert_eq!(additions(store), []);
    };
    check(&store);
    drop(store);
    check(&open(folder.path()));
}

#[test]
fn a_pair_is_gone_when_the_erasure_is_accepted_and_the_rest_has_a_new_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let before = slots(folder.path());
    // Item 0 is both in the history and in the log.
    erase(&store, 1, pair(1, 0));
    assert_eq!(destroyed(&before, &slots(folder.path())), 1);
    let Entry::Add(mut waiting) = added(addition(1, 3)) else {
        panic!("an addition");
    };
    waiting.remove(0);
    let check = |store: &Store| {
        assert_eq!(store.history(1).expect("readable"), history(4)[1..]);
        assert_eq!(store.history(2).expect("readable"), history(4));
        assert_eq!(additions(store), waiting);
    };
    check(&store);
    drop(store);
    check(&open(folder.path()));
}

#[test]
fn erasing_what_is_not_there_destroys_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let (before, contents) = (
        slots(folder.path()),
        Contents::read(&store).expect("readable"),
    );
    erase(&store, 1, pair(1, 11));
    erase(&store, 2, pair(7, 0));
    erase(&store, 3, ErasureTarget::User(user(9)));
    assert_eq!(destroyed(&before, &slots(folder.path())), 0);
    let after = Contents::read(&store).expect("readable");
    assert_eq!(after.histories, contents.histories);
    assert_eq!(after.users, contents.users);
    assert_eq!(after.erasures.len(), 3);
}

#[test]
fn what_is_said_about_a_person_is_sealed_anew_whenever_something_of_theirs_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let say = |of: u32, text: &str| {
        let said = properties(text);
        commit(&store, |batch| batch.put_properties(&user(of), &said));
    };
    // How many keys are destroyed meanwhile.
    let destroys = |change: &dyn Fn()| {
        let before = slots(folder.path());
        change();
        destroyed(&before, &slots(folder.path()))
    };
    assert_eq!(destroys(&|| say(2, "first")), 0);
    assert_eq!(destroys(&|| say(2, "second")), 1);
    assert_eq!(destroys(&|| say(2, "second")), 0, "nothing is taken");
    let all = [0, 3, 6, 9].map(|number| (user(2), item_id(number)));
    let all = ErasureTarget::Pairs(all.to_vec());
    assert_eq!(destroys(&|| erase(&store, 1, all.clone())), 1);
    assert_eq!(destroys(&|| say(2, "")), 2, "nothing is left");
    // The worker's word that nothing is held at the row, while something waits and is said.
    say(1, "first");
    let remove = || drop(commit(&store, |batch| batch.remove_user(1)));
    assert_eq!(destroys(&remove), 1);
    assert_eq!(additions(&store).len(), 3);
    assert_eq!(destroys(&|| say(3, "alone")), 0);
    for (number, of) in [(2, 1), (3, 3)] {
        let person = ErasureTarget::User(user(of));
        assert_eq!(destroys(&|| erase(&store, number, person.clone())), 2);
    }
    assert_eq!(store.persons(None, 9).expect("readable"), []);
    // Each person's keys were destroyed when that was due, so opening finds none that is nobody's.
    drop(store);
    let before = slots(folder.path());
    let store = open(folder.path());
    assert_eq!(store.persons(None, 9).expect("readable"), []);
    assert_eq!(destroyed(&before, &slots(folder.path())), 0);
}

#[test]
fn what_waits_gets_a_new_key_when_nothing_else_is_held_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let before = slots(folder.path());
    // As the worker says it when an item that was erased was the only one.
    commit(&store, |batch| batch.remove_user(1));
    assert_eq!(destroyed(&before, &slots(folder.path())), 1);
    let check = |store: &Store| {
        assert_eq!(store.users().expect("readable"), [(2, user(2))]);
        assert_eq!(additions(store).len(), 3);
    };
    check(&store);
    drop(store);
    check(&open(folder.path()));
}

#[test]
fn the_last_pair_takes_the_user_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let before = slots(folder.path());
    let pairs = (0..4).map(|n| (user(2), item_id(3 * n)));
    erase(&store, 1, ErasureTarget::Pairs(pairs.collect()));
    assert_eq!(destroyed(&before, &slots(folder.path())), 2);
    assert_eq!(store.users().expect("readable"), [(1, user(1))]);
}

#[test]
fn a_renewed_key_keeps_everything_and_destroys_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let contents = Contents::read(&store).expect("readable");
    let before = slots(folder.path());
    commit(&store, |batch| batch.renew_key(1));
    assert_eq!(destroyed(&before, &slots(folder.path())), 1);
    assert_eq!(Contents::read(&store).expect("readable"), contents);
    drop(store);
    let read = Contents::read(&open(folder.path())).expect("readable");
    assert_eq!(read, contents);
}

#[test]
fn what_was_under_way_when_an_erasure_was_accepted_is_not_written_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    erase(&store, 1, pair(1, 3));
    erase(&store, 2, ErasureTarget::User(user(2)));
    // The worker has read the log up to 1 and knows of neither.
    let stale = |batch: &mut recant_store::WriteBatch| {
        for row in 1..=2 {
            batch.put_user(row, &user(row));
            batch.put_history(row, &history(4));
        }
        batch.set_applied(LogPosition(1));
    };
    commit(&store, stale);
    let left = |n: usize| [history(4)[0], history(4)[2], history(4)[3]][n];
    assert_eq!(
        store.history(1).expect("readable"),
        [left(0), left(1), left(2)]
    );
    assert_eq!(store.users().expect("readable"), [(1, user(1))]);
    // Then it applies the erasures, and what comes later is welcome.
    commit(&store, |batch| {
        batch.remove_user(2);
        batch.set_applied(LogPosition(3));
        batch.trim_log(LogPosition(3));
    });
    commit(&store, |batch| {
        batch.put_user(2, &user(2));
        batch.put_history(2, &[held(3, 1.0, None)]);
        batch.set_applied(LogPosition(4));
    });
    assert_eq!(store.history(2).expect("readable"), [held(3, 1.0, None)]);
}

#[test]
fn an_erased_user_who_comes_back_has_new_keys_and_stays_through_the_old_erasure() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    erase(&store, 1, ErasureTarget::User(user(1)));
    let mut again = addition(1, 2);
    if let Event::Add(interactions) = &mut again {
        interactions
            .iter_mut()
            .for_each(|added| added.timestamp = None);
    }
    commit(&store, |batch| batch.append(again.clone()));
    // The worker catches up with everything before that.
    commit(&store, |batch| {
        batch.put_user(1, &user(1));
        batch.put_history(1, &history(4));
        batch.set_applied(LogPosition(1));
    });
    assert_eq!(store.user(1).expect("readable"), None);
    commit(&store, |batch| {
        batch.remove_user(1);
        batch.set_applied(LogPosition(2));
        batch.trim_log(LogPosition(2));
    });
    drop(store);
    let store = open(folder.path());
    let log = store.read_from(LogPosition(0), 9).expect("readable");
    assert_eq!(log, [(LogPosition(3), added(again))]);
}

#[test]
fn what_happened_before_an_erasure_is_held_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    erase(&store, 1, pair(1, 0));
    erase(&store, 2, ErasureTarget::User(user(2)));
    erase(&store, 3, ErasureTarget::Item(item_id(5)));
    let second = UnixMillis::now().0 / 1_000;
    let old = [second - 1_000, (second - 1_000) * 1_000];
    let new = [second + 1_000, (second + 1_000) * 1_000];
    let of = |user: u32, item: u32, timestamp| Interaction {
        feedback: Default::default(),
        user: recant_testkit::store::user(user),
        item: item_id(item),
        weight: 1.0,
        timestamp,
    };
    let add = |interactions: Vec<Interaction>| {
        let count = interactions.len();
        let committed = commit(&store, |batch| batch.append(Event::Add(interactions)));
        (count - committed.held_back, committed.positions.len())
    };
    for timestamp in old.map(Some) {
        let named = [
            of(1, 0, timestamp),
            of(2, 7, timestamp),
            of(3, 5, timestamp),
        ];
        assert_eq!(
            add(named.to_vec()),
            (0, 0),
            "nothing is appended for nothing"
        );
        let other = [
            of(1, 1, timestamp),
            of(3, 0, timestamp),
            of(2, 0, timestamp),
        ];
        assert_eq!(add(other.to_vec()), (2, 1));
    }
    for timestamp in [Some(new[0]), Some(new[1]), None] {
        let named = [
            of(1, 0, timestamp),
            of(2, 7, timestamp),
            of(3, 5, timestamp),
        ];
        assert_eq!(add(named.to_vec()), (3, 1));
    }
}

#[test]
fn a_compaction_changes_nothing_but_the_generation() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let store = open(folder.path());
    let contents = Contents::read(&store).expect("readable");
    let ring = || fs::read(folder.path().join("keys").join("ring")).expect("readable");
    let generation_slots = || ring()[16_384..16_384 + 128].to_vec();
    assert!(store.compaction_state().expect("readable").pending_commits > 0);
    for _ in 0..3 {
        let (before, keys) = (database_directory(folder.path()), generation_slots());
        let compaction = store.compact().expect("compacted");
        assert!(compaction.records > 100);
        assert!(!before.exists());
        assert_ne!(generation_slots(), keys, "the key before is destroyed");
        let empty = |half: &[u8]| half.iter().all(|byte| *byte == 0);
        let now = generation_slots();
        assert_eq!(empty(&now[..64]) as u8 + empty(&now[64..]) as u8, 1);
        assert_eq!(Contents::read(&store).expect("readable"), contents);
        let state = store.compaction_state().expect("readable");
        assert_eq!((state.pending_erasures, state.pending_commits), (0, 0));
    }
    let keys = store.receipt_keys().expect("there");
    assert_eq!(keys.published.keys, [keys.signing.public()]);
    drop(store);
    let read = Contents::read(&open(folder.path())).expect("readable");
    assert_eq!(read, contents);
}

#[test]
fn commits_go_on_while_a_compaction_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let store = open(folder.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| {
            let compacted: Result<Vec<_>, _> = (0..6).map(|_| store.compact()).collect();
            done.store(true, Ordering::Release);
            compacted.expect("compacted");
        });
        let mut number = 0_u32;
        while !done.load(Ordering::Acquire) || number < 40 {
            let row = 100 + number % 50;
            commit(&store, |batch| {
                batch.put_user(row, &user(row));
                batch.put_history(row, &history(number % 7 + 1));
                batch.append(addition(row, 1));
                batch.put_model_header(&header(u64::from(number)));
            });
            match number % 3 {
                0 => erase(&store, 50, ErasureTarget::User(user(row))),
                1 => erase(&store, 51, pair(row, 0)),
                _ => {}
            }
            number += 1;
        }
        compacting.join().expect("no panic");
    });
    let contents = Contents::read(&store).expect("readable");
    assert!(contents.users.len() > 20);
    drop(store);
    let read = Contents::read(&open(folder.path())).expect("readable");
    assert_eq!(read, contents);
}

#[test]
fn a_copy_of_the_database_from_before_an_erasure_is_of_no_use_with_the_key_ring_of_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    drop(prepared(&data));
    let aside = folder.path().join("aside");
    recant_testkit::store::copy_directory(&database_directory(&data), &aside);
    let store = open(&data);
    erase(&store, 1, ErasureTarget::User(user(1)));
    drop(store);
    let database = database_directory(&data);
    fs::remove_dir_all(&database).expect("removed");
    recant_testkit::store::copy_directory(&aside, &database);
    // The mark alone would give it away; without it the key is missing all the same.
    let ring = data.join("keys").join("ring");
    let mut bytes = fs::read(&ring).expect("readable");
    let mark = |commit: u64| {
        let mut mark = b"RHW2".to_vec();
        mark.extend(commit.to_le_bytes());
        mark.extend(0_u64.to_le_bytes());
        mark.extend(crc32fast::hash(&mark).to_le_bytes());
        mark
    };
    for at in [4_096, 8_192] {
        bytes[at..at + 24].copy_from_slice(&mark(1));
    }
    fs::write(&ring, bytes).expect("written");
    let refused = Store::open(&data, &recant_testkit::store::options());
    assert!(refused.is_err(), "{refused:?}");
}
