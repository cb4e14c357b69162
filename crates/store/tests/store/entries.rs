//! Entries of a shared log: the mark is written with what they say, the key with what they destroy.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use recant_store::{
    Committed, Decided, FAILPOINTS, ImportSession, Inspected, LogEntry, LogKey, MasterKeySource,
    RequestBatch, Store, StoreError, StoreOptions, SyncObserver, WriteBatch, inspect, restore,
    rotate_master_key,
};
use recant_testkit::store::{
    Contents, addition, commit, copy_directory, erasure, erasure_id, item_id, notes, open,
    open_with, options, properties, user,
};
use recant_types::ErasureTarget;
use zeroize::Zeroizing;

const DIRECTORY: &str = "RECANT_TEST_ENTRIES_DIRECTORY";

/// Bytes of a key that lies in a ring sealed; no two epochs have the same.
fn key(epoch: u64) -> LogKey {
    LogKey::new(0, epoch, Zeroizing::new([epoch as u8 + 1; 32]))
}

fn entry(number: u64, epoch: u64, decided: Vec<Decided>) -> LogEntry {
    LogEntry {
        decided,
        mark: number.to_le_bytes().to_vec(),
        key: key(epoch),
        places: Vec::new(),
    }
}

/// The number in the mark, and the epoch of the key, which is the key of that epoch.
fn stands_at(store: &Store) -> (Option<u64>, Option<u64>) {
    let mark = store.mark().expect("readable");
    let number = mark.map(|mark| u64::from_le_bytes(mark.try_into().expect("a number")));
    let held = store.log_key().expect("readable");
    let epoch = held.map(|held| {
        assert_eq!(held.expose(), key(held.epoch()).expose());
        held.epoch()
    });
    (number, epoch)
}

fn adding(of: u32) -> RequestBatch {
    let mut batch = RequestBatch::default();
    batch.append(addition(of, 3));
    batch.put_properties(&user(of), &properties("said"));
    batch
}

fn erasing(of: u32) -> RequestBatch {
    let mut batch = RequestBatch::default();
    batch.append(erasure(erasure_id(of as u8), ErasureTarget::User(user(of))));
    batch
}

fn decide(store: &Store, requests: Vec<RequestBatch>) -> Vec<Decided> {
    store.decide(requests).wait().expect("decided")
}

fn accepted(store: &Store, entry: LogEntry) -> Vec<Committed> {
    let outcomes = store.commit_entry(entry).wait().expect("durable");
    let outcomes = outcomes.into_iter();
    outcomes.map(|it| it.expect("accepted")).collect()
}

/// A store with two entries, in epoch 1, and everything of user 0 erased.
fn prepared(data: &Path) -> Store {
    let store = open(data);
    assert_eq!(stands_at(&store), (None, None));
    let decided = decide(&store, vec![adding(0), adding(1)]);
    accepted(&store, entry(1, 0, decided));
    assert_eq!(stands_at(&store), (Some(1), Some(0)));
    let decided = decide(&store, vec![erasing(0)]);
    assert!(decided[0].takes_back());
    accepted(&store, entry(2, 1, decided));
    assert_eq!(stands_at(&store), (Some(2), Some(1)));
    store
}

/// How much of a store cannot be read, as whoever looks into it is told.
fn unreadable(data: &Path) -> u64 {
    let scratch = tempfile::tempdir().expect("a folder");
    let seen = inspect(data, &options(), scratch.path()).expect("looked into");
    let Inspected::Contents(seen) = seen else {
        panic!("{seen:?}")
    };
    seen.unreadable
}

#[test]
fn mark_and_key_outlive_a_start_a_compaction_and_another_master_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let shown = Contents::read(&store).expect("readable");
    store.compact().expect("compacted");
    // The worker's own commits have no part in it.
    commit(&store, |batch| {
        batch.set_applied(recant_store::LogPosition(1))
    });
    assert_eq!(stands_at(&store), (Some(2), Some(1)));
    drop(store);
    rotate_master_key(folder.path(), &options(), &MasterKeySource::Beside).expect("rotated");
    assert_eq!(unreadable(folder.path()), 0);
    let copy = tempfile::tempdir().expect("a folder");
    copy_directory(folder.path(), copy.path());
    let ring = copy.path().join("keys").join("ring");
    let mut bytes = fs::read(&ring).expect("readable");
    bytes[16_384 + 8 * 64..][..64].fill(0);
    fs::write(&ring, bytes).expect("written");
    assert_eq!(unreadable(copy.path()), 1, "an epoch without its key");
    let store = open(folder.path());
    assert_eq!(stands_at(&store), (Some(2), Some(1)));
    assert_eq!(
        Contents::read(&store).expect("readable").people,
        shown.people
    );
    // An entry may say nothing that concerns a store.
    accepted(&store, entry(3, 1, Vec::new()));
    assert_eq!(stands_at(&store), (Some(3), Some(1)));
}

#[test]
fn an_entry_that_comes_again_is_answered_as_before_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = prepared(folder.path());
    let decided = decide(&store, vec![adding(0), erasing(1), adding(2)]);
    let third = entry(3, 2, decided);
    let answers = accepted(&store, third.clone());
    assert_eq!(answers[0].held_back, 3, "it happened before the erasure");
    let before = Contents::read(&store).expect("readable");
    assert_eq!(accepted(&store, third), answers);
    assert_eq!(Contents::read(&store).expect("readable"), before);
    assert_eq!(stands_at(&store), (Some(3), Some(2)));
}

#[test]
fn a_key_never_goes_back_and_a_mark_fits_into_a_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let single = open(&folder.path().join("single"));
    let refused = single.advance_log_key(&key(1));
    assert!(
        matches!(refused, Err(StoreError::FollowsNoLog)),
        "{refused:?}"
    );
    let store = prepared(&folder.path().join("data"));
    let refused = store.commit_entry(entry(3, 0, Vec::new())).wait();
    let went_back =
        |refused: &StoreError| matches!(refused, StoreError::LogKeyWentBack { held: 1, given: 0 });
    assert!(went_back(&refused.expect_err("refused")));
    assert!(went_back(
        &store.advance_log_key(&key(0)).expect_err("refused")
    ));
    let long = LogEntry {
        mark: vec![7; 40_000],
        ..entry(3, 1, Vec::new())
    };
    let refused = store.commit_entry(long).wait();
    assert!(
        matches!(refused, Err(StoreError::MarkTooLong(40_000))),
        "{refused:?}"
    );
    assert_eq!(stands_at(&store), (Some(2), Some(1)));
    store.advance_log_key(&key(4)).expect("written");
    assert_eq!(stands_at(&store), (Some(2), Some(4)));
}

/// Hands its own log's entries over once more: the ring could not be written, the database could.
#[test]
fn an_entry_whose_key_did_not_reach_the_ring_may_be_handed_over_again() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(prepared(folder.path()));
    let fails: Arc<AtomicBool> = Arc::default();
    let armed = Arc::clone(&fails);
    let observer = SyncObserver::new(move |_, path| {
        if path.ends_with("ring") && armed.swap(false, Ordering::Relaxed) {
            return Err(std::io::Error::other("the disk says no"));
        }
        Ok(())
    });
    let options = StoreOptions {
        sync_observer: Some(observer),
        ..options()
    };
    let store = open_with(folder.path(), &options).expect("opened");
    let third = entry(3, 2, decide(&store, vec![erasing(1)]));
    fails.store(true, Ordering::Relaxed);
    store
        .commit_entry(third.clone())
        .wait()
        .expect_err("refused");
    let answers = accepted(&store, third);
    assert_eq!(answers[0].records[0].id, erasure_id(1));
    assert_eq!(stands_at(&store), (Some(3), Some(2)));
    assert_eq!(Contents::read(&store).expect("readable").people, []);
}

#[test]
fn a_backup_has_neither_and_whoever_restores_it_follows_no_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let store = prepared(&data);
    store.backup(&file).expect("backed up");
    drop(store);
    let other = folder.path().join("other");
    copy_directory(&data.join("keys"), &other.join("keys"));
    restore(&file, &other, &options()).expect("restored");
    assert_eq!(stands_at(&open(&other)), (None, None));
    let store = open(&other);
    let decided = decide(&store, vec![adding(5)]);
    accepted(&store, entry(9, 7, decided));
    assert_eq!(stands_at(&store), (Some(9), Some(7)));
}

/// One that a command is refused with because the directory belongs to a cluster.
fn is_refused<T>(answer: Result<T, impl std::error::Error>) {
    let refused = answer.err().expect("refused").to_string();
    assert_eq!(refused, StoreError::BelongsToCluster.to_string());
    assert!(refused.contains("cluster's leader"), "{refused}");
}

#[test]
fn what_belongs_to_a_cluster_is_changed_by_entries_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let store = prepared(&data);
    store.backup(&file).expect("backed up");
    let before = Contents::read(&store).expect("readable");
    let mut described = RequestBatch::default();
    described.remove_description(&item_id(1));
    let mut lifted = RequestBatch::default();
    lifted.lift_restriction(&user(1));
    for request in [adding(5), erasing(1), described, lifted] {
        is_refused(store.commit(request).wait());
    }
    let mut batch = WriteBatch::default();
    batch.append(addition(5, 1));
    is_refused(store.commit(batch).wait());
    is_refused(store.check_single());
    assert_eq!(Contents::read(&store).expect("readable"), before);
    // What was asked for together with one that is refused is accepted all the same.
    let decided = decide(&store, vec![adding(6)]);
    let refused = store.commit(adding(5));
    let third = store.commit_entry(entry(3, 1, decided));
    is_refused(refused.wait());
    third.wait().expect("durable");
    drop(store);
    is_refused(restore(&file, &data, &options()));
    let session = ImportSession::begin(&data, &options()).expect("a session");
    is_refused(session.writer());
    drop(session);
    let store = open(&data);
    is_refused(store.commit(adding(5)).wait());
    let before = Contents::read(&store).expect("readable");
    store.leave_cluster().expect("durable");
    store.check_single().expect("by itself");
    assert_eq!(stands_at(&store), (None, None));
    assert_eq!(Contents::read(&store).expect("readable"), before);
    store.commit(adding(5)).wait().expect("durable");
    store.leave_cluster().expect("it has left already");
    drop(store);
    let session = ImportSession::begin(&data, &options()).expect("a session");
    session
        .writer()
        .expect("a writer")
        .finish()
        .expect("durable");
    drop(session);
    restore(&file, &data, &options()).expect("restored");
    assert_eq!(stands_at(&open(&data)), (None, None));
}

/// The entries of the child below, by number: odd ones add two users, even ones erase the first of them.
fn requests(number: u64) -> Vec<RequestBatch> {
    let of = number as u32;
    if number % 2 == 1 {
        vec![adding(of), adding(100 + of)]
    } else {
        vec![erasing(of - 1)]
    }
}

/// The epoch after an entry.
fn epoch_after(number: u64) -> u64 {
    number / 2
}

/// What the child does, noting each entry before and after. Not a test by itself.
#[test]
#[ignore = "run by the test below in a process of its own"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let mut notes = notes(directory);
    let store = open(&directory.join("data"));
    for number in 1..=8 {
        let decided = decide(&store, requests(number));
        let bytes: Vec<Vec<u8>> = decided.iter().map(Decided::to_bytes).collect();
        let text = serde_json::to_vec(&bytes).expect("bytes");
        fs::write(directory.join(format!("entry-{number}")), text).expect("written");
        writeln!(notes, "begun {number}").expect("noted");
        accepted(&store, entry(number, epoch_after(number), decided));
        writeln!(notes, "done {number}").expect("noted");
        if number % 4 == 0 {
            store.compact().expect("compacted");
        }
    }
}

fn last_noted(notes: &str, word: &str) -> u64 {
    let mut numbers = notes.lines().filter_map(|line| line.strip_prefix(word));
    let last = numbers.next_back().map(|number| number.trim().parse());
    last.map_or(0, |number| number.expect("a number"))
}

fn check(directory: &Path, failpoint: &str) {
    let notes = fs::read_to_string(directory.join("notes")).unwrap_or_default();
    let (begun, done) = (last_noted(&notes, "begun"), last_noted(&notes, "done"));
    let store = open(&directory.join("data"));
    let (number, epoch) = stands_at(&store);
    let number = number.unwrap_or(0);
    assert!((done..=begun).contains(&number), "{failpoint}: {number}");
    if number == 0 {
        assert_eq!(epoch, None, "{failpoint}: a key without a mark");
        return;
    }
    // The key is never ahead of the mark, and at most an entry behind it.
    let behind = (number > 1).then(|| epoch_after(number - 1));
    let at = Some(epoch_after(number));
    assert!(
        epoch == at || epoch == behind,
        "{failpoint}: {epoch:?} at {number}"
    );
    assert!(
        number != done || begun > done || epoch == at,
        "{failpoint}: it was answered"
    );
    let is_there = |of: u64| store.person(&user(of as u32)).expect("readable").is_some();
    for odd in (1..=8).step_by(2) {
        let (added, erased) = (odd <= number, odd < number);
        assert_eq!(
            is_there(odd),
            added && !erased,
            "{failpoint}: {odd} at {number}"
        );
        assert_eq!(is_there(100 + odd), added, "{failpoint}: {odd} at {number}");
    }
    let before = Contents::read(&store).expect("readable");
    // Either way on: by the key alone, or by the entry once more.
    if begun % 2 == 0 {
        store
            .advance_log_key(&key(epoch_after(number)))
            .expect("written");
    } else {
        let text = fs::read(directory.join(format!("entry-{number}"))).expect("readable");
        let bytes: Vec<Vec<u8>> = serde_json::from_slice(&text).expect("bytes");
        let read = |bytes: &Vec<u8>| Decided::from_bytes(bytes).expect("whole");
        let decided = bytes.iter().map(read).collect();
        accepted(&store, entry(number, epoch_after(number), decided));
    }
    assert_eq!(stands_at(&store), (Some(number), at), "{failpoint}");
    assert_eq!(
        Contents::read(&store).expect("readable"),
        before,
        "{failpoint}"
    );
    let next = number + 1;
    let decided = decide(&store, requests(next));
    accepted(&store, entry(next, epoch_after(next), decided));
    assert_eq!(stands_at(&store), (Some(next), Some(epoch_after(next))));
}

#[test]
fn an_entry_is_there_whole_or_not_at_all_whichever_window_it_is() {
    let program = std::env::current_exe().expect("this program");
    let windows = ["accept_", "commit_", "generation_", "compaction_"];
    let is_passed = |name: &&str| windows.iter().any(|start| name.starts_with(start));
    for failpoint in FAILPOINTS.into_iter().filter(is_passed) {
        for count in 1..=2 {
            let folder = tempfile::tempdir().expect("a folder");
            let output = Command::new(&program)
                .args(["--exact", "entries::child", "--ignored"])
                .env(DIRECTORY, folder.path())
                .env("RECANT_CRASH_AT", format!("{failpoint}:{count}"))
                .output()
                .expect("the child starts");
            assert!(!output.status.success(), "{failpoint} is never passed");
            check(folder.path(), failpoint);
        }
    }
}
