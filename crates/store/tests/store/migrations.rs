//! A store that an earlier version of the program wrote is read as it was meant.
//!
//! `fixtures/store-v1.txt` holds the keys and values of a version 1 database as its first program
//! wrote them, one record a line. It must never change: it stands for the stores that exist.

use std::fs;
use std::path::Path;

use recant_store::{Entry, ErasureEntry, Idempotency, LogPosition, Store, StoreError, WriteBatch};
use recant_testkit::store::{
    Contents, added, addition, append_once, commit, copy_directory, database_directory, erasure_id,
    fill, header, held, item, item_id, open, options, user,
};
use recant_types::{
    Certificate, ErasureFilter, ErasureRecord, ErasureStatus, ErasureTarget, Event, TargetKind,
    UnixMillis,
};

const FIXTURE: &str = include_str!("fixtures/store-v1.txt");

/// In the year 2100, so that the idempotency key is remembered whenever the test runs.
const LATER: UnixMillis = UnixMillis(4_102_444_800_000);
const THEN: UnixMillis = UnixMillis(1_700_000_000_123);

const IDEMPOTENCY: Idempotency = Idempotency {
    key: [0xab; 32],
    request: [0xcd; 32],
};

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16);
    digits.map(|pair| byte(pair).expect("two digits")).collect()
}

fn fixture() -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = FIXTURE.lines().filter(|line| !line.starts_with('#'));
    let records = lines.map(|line| line.split_once(' ').expect("a key and a value"));
    records
        .map(|(key, value)| (bytes(key), bytes(value)))
        .collect()
}

fn checked(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(&[key, payload].concat());
    [&checksum.to_le_bytes(), payload].concat()
}

/// Writes the files of a store by hand, as docs/store.md describes them.
fn write_store(data: &Path, records: &[(Vec<u8>, Vec<u8>)], acknowledged: u64) {
    let generations = data.join("generations");
    fs::create_dir_all(&generations).expect("made");
    let database = sled::open(generations.join("000001")).expect("made");
    for (key, value) in records {
        database.insert(key, value.as_slice()).expect("put");
    }
    database.flush().expect("flushed");
    drop(database);
    let checksum = crc32fast::hash(b"000001");
    fs::write(data.join("CURRENT"), format!("000001 {checksum:08x}\n")).expect("written");
    let mut slot = b"RHW1".to_vec();
    slot.extend(acknowledged.to_le_bytes());
    slot.extend(crc32fast::hash(&slot).to_le_bytes());
    let mut mark = vec![0; 4096];
    mark.splice(..16, slot.iter().copied());
    mark.extend(slot);
    fs::write(data.join("high-water"), mark).expect("written");
}

fn last_commit(records: &[(Vec<u8>, Vec<u8>)]) -> u64 {
    let (_, value) = records.iter().find(|(key, _)| key == b"mc").expect("there");
    u64::from_le_bytes(value[4..].try_into().expect("eight bytes"))
}

/// Opens the fixture in a directory of its own.
fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let records = fixture();
    write_store(folder.path(), &records, last_commit(&records));
    let store = open(folder.path());
    (folder, store)
}

fn pending_target() -> ErasureTarget {
    ErasureTarget::Pairs(vec![(user(1), item_id(2)), (user(2), item_id(1))])
}

fn certified() -> ErasureRecord {
    ErasureRecord {
        id: erasure_id(1),
        position: 2,
        kind: TargetKind::User,
        pairs: None,
        commitment: None,
        requested_by: None,
        shared_entry: None,
        status: ErasureStatus::Certified,
        accepted_at: THEN,
        erased_at: Some(UnixMillis(THEN.0 + 1)),
        forgotten_at: Some(UnixMillis(THEN.0 + 2)),
        certified_at: Some(UnixMillis(THEN.0 + 3)),
        certified_version: None,
        certified_position: None,
        model_version_before: Some(5),
        model_version_after: Some(6),
        certificate: Some(Certificate::residual(2.5e-10, 1e-8)),
        failure: None,
    }
}

fn failed() -> ErasureRecord {
    ErasureRecord {
        status: ErasureStatus::Failed,
        failure: Some(String::from("the model could not be updated")),
        ..ErasureRecord::accepted(erasure_id(2), 3, &ErasureTarget::Item(item_id(9)), THEN)
    }
}

fn long_history() -> Vec<recant_store::StoredInteraction> {
    vec![
        held(0, 1.0, None),
        held(1, 2.5, Some(1_700_000_000)),
        held(70_000, f32::MIN_POSITIVE, Some(i64::MIN)),
    ]
}

#[test]
fn the_fixture_covers_every_kind_of_record() {
    let kinds: String = fixture()
        .iter()
        .map(|(key, _)| char::from(key[0]))
        .collect();
    for kind in "muihtlek".chars() {
        assert!(kinds.contains(kind), "{kind}");
    }
    for meta in [b"ms", b"mc", b"ma", b"mn", b"mm"] {
        assert!(fixture().iter().any(|(key, _)| key == meta), "{meta:?}");
    }
}

#[test]
fn users_items_and_histories_of_version_1_are_read() {
    let (_folder, store) = opened();
    assert_eq!(
        store.users().expect("readable"),
        [(0, user(1)), (258, user(2))]
    );
    let items = [
        (0, item(1, Some("Plain “title”"))),
        (1, item(2, None)),
        (70_000, item(3, Some(""))),
    ];
    assert_eq!(store.items().expect("readable"), items);
    // The pair of user 1 and item 2 is in the erasure that waits: it is carried out.
    let mut left = long_history();
    left.retain(|held| held.item != 1);
    assert_eq!(store.history(0).expect("readable"), left);
    assert_eq!(store.history(258).expect("readable"), [held(1, 1.0, None)]);
}

#[test]
fn the_model_of_version_1_is_read() {
    let (_folder, store) = opened();
    let contents = Contents::read(&store).expect("readable");
    assert_eq!(contents.header, Some(header(6)));
    let rows = [
        (0, vec![0.5, -0.25, 1.0 / 3.0]),
        (70_000, vec![1.0, 2.0, -0.0]),
    ];
    assert_eq!(contents.factors, rows);
    assert!(contents.factors[1].1[2].is_sign_negative());
}

#[test]
fn the_log_and_the_erasures_of_version_1_are_read() {
    let (_folder, store) = opened();
    assert_eq!(store.applied().expect("readable"), LogPosition(3));
    assert_eq!(*store.watch_log().borrow(), LogPosition(5));
    let pending = Entry::Erase(ErasureEntry {
        id: erasure_id(3),
        accepted_at: LATER,
        named: store.hasher().named(&pending_target()),
    });
    let log = store.read_from(LogPosition(0), 9).expect("readable");
    let first = (LogPosition(4), added(addition(3, 2)));
    assert_eq!(log, [first, (LogPosition(5), pending)]);
    let mut accepted = ErasureRecord::accepted(erasure_id(3), 5, &pending_target(), LATER);
    // It was not counted then.
    accepted.pairs = None;
    let erasures = store
        .erasures(&ErasureFilter::default(), None, 9)
        .expect("readable");
    assert_eq!(erasures, [accepted, failed(), certified()]);
}

#[test]
fn an_idempotency_key_of_version_1_is_remembered() {
    let (_folder, store) = opened();
    let again = |idempotency| {
        let mut batch = WriteBatch::default();
        let event = Event::Erase {
            id: erasure_id(4),
            accepted_at: LATER,
            target: pending_target(),
        };
        append_once(&mut batch, event, idempotency);
        store.commit(batch).wait()
    };
    let known = again(IDEMPOTENCY).expect("known");
    assert_eq!(known.records[0].id, erasure_id(3));
    assert_eq!(known.positions, []);
    let other = Idempotency {
        request: [0; 32],
        ..IDEMPOTENCY
    };
    let refused = again(other);
    assert!(
        matches!(refused, Err(StoreError::IdempotencyKeyReused)),
        "{refused:?}"
    );
}

#[test]
fn a_store_of_version_1_is_written_on() {
    let (folder, store) = opened();
    let next = commit(&store, |batch| batch.append(addition(9, 1)));
    assert_eq!(next.positions, [LogPosition(6)]);
    drop(store);
    let log = open(folder.path()).read_from(LogPosition(6), 9);
    assert_eq!(
        log.expect("readable"),
        [(LogPosition(6), added(addition(9, 1)))]
    );
}

#[test]
fn a_store_from_the_future_is_refused_by_a_message_with_both_versions() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut records = fixture();
    for (key, value) in &mut records {
        if key == b"ms" {
            *value = checked(key, &1_234_u32.to_le_bytes());
        }
    }
    write_store(folder.path(), &records, last_commit(&records));
    for _ in 0..2 {
        let error = Store::open(folder.path(), &options()).expect_err("from the future");
        let StoreError::FromTheFuture {
            found: 1_234,
            known,
        } = error
        else {
            panic!("{error:?}");
        };
        let said = error.to_string();
        assert!(
            said.contains("1234") && said.contains(&known.to_string()),
            "{said}"
        );
    }
}

#[test]
fn a_value_at_a_key_it_was_not_written_for_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut records = fixture();
    let users: Vec<usize> = (0..records.len())
        .filter(|n| records[*n].0[0] == b'u')
        .collect();
    let moved = records[users[0]].1.clone();
    records[users[1]].1 = moved;
    write_store(folder.path(), &records, last_commit(&records));
    let refused = Store::open(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
    assert!(folder.path().join("high-water").exists(), "it is as it was");
}

#[test]
fn nothing_of_a_version_1_store_stays_legible() {
    let (folder, store) = opened();
    drop(store);
    assert!(!folder.path().join("high-water").exists());
    assert!(!folder.path().join("generations").join("000001").exists());
    let mut folders = vec![folder.path().to_owned()];
    let (mut files, needles) = (0, ["user-1", "user-2", "item-2", "title"]);
    while let Some(directory) = folders.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = fs::read(&path).expect("readable");
            for needle in needles {
                let found = bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
                assert!(!found, "{needle} in {}", path.display());
            }
        }
    }
    assert!(files > 3, "there is something to look at");
    let plain: Vec<u8> = fixture().into_iter().flat_map(|(_, value)| value).collect();
    for needle in needles {
        let found = plain.windows(needle.len()).any(|w| w == needle.as_bytes());
        assert!(found, "{needle} is in the version 1 records");
    }
}

#[test]
fn a_kill_before_the_mark_was_written_leaves_a_store_that_opens() {
    // A new generation counts from the switch on; its mark is written just after it.
    let folder = tempfile::tempdir().expect("a folder");
    let records = fixture();
    write_store(folder.path(), &records, last_commit(&records) - 1);
    let contents = Contents::read(&open(folder.path())).expect("readable");
    assert_eq!(contents.erasures.len(), 3);
}

#[test]
fn a_generation_that_was_never_finished_is_removed() {
    let (folder, store) = opened();
    let contents = Contents::read(&store).expect("readable");
    drop(store);
    let current = database_directory(folder.path());
    let next = folder.path().join("generations").join("000007");
    copy_directory(&current, &next);
    fs::remove_file(next.join("db")).expect("half of it is missing");
    fs::write(folder.path().join("CURRENT.new"), "0000").expect("half written");
    assert_eq!(
        Contents::read(&open(folder.path())).expect("readable"),
        contents
    );
    assert!(current.exists() && !next.exists());
    assert!(!folder.path().join("CURRENT.new").exists());
}

#[test]
fn a_new_store_has_the_records_that_the_document_lists() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    let database = sled::open(database_directory(folder.path())).expect("opened");
    let records: Vec<_> = database
        .iter()
        .map(|record| record.expect("readable"))
        .collect();
    let keys: Vec<&[u8]> = records.iter().map(|(key, _)| key.as_ref()).collect();
    assert_eq!(keys, [b"ma", b"mc", b"mg", b"mn", b"ms"]);
    for (key, value) in &records {
        match key.as_ref() {
            // The one value that is not sealed.
            b"ms" => assert_eq!(value, &*checked(b"ms", &5_u32.to_le_bytes())),
            // Slot, nonce, eight bytes, tag; the first generation's key is in slot 1.
            b"ma" | b"mc" | b"mn" => {
                assert_eq!(
                    (value.len(), &value[..4]),
                    (4 + 24 + 8 + 16, &[1, 0, 0, 0][..])
                );
            }
            _ => assert_eq!(value[..4], [1, 0, 0, 0]),
        }
    }
    let current = fs::read_to_string(folder.path().join("CURRENT")).expect("readable");
    assert_eq!(
        current,
        format!("000001 {:08x}\n", crc32fast::hash(b"000001"))
    );
}

#[test]
fn stores_of_earlier_versions_are_brought_up_to_date_with_everything_in_them() {
    for version in 2..5 {
        bring_up_to_date(version);
    }
}

fn bring_up_to_date(version: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = fill(folder.path());
    let database = sled::open(database_directory(folder.path())).expect("opened");
    let version = checked(b"ms", &version.to_le_bytes());
    database.insert(b"ms", version).expect("written");
    drop(database);
    for _ in 0..2 {
        let store = open(folder.path());
        assert_eq!(Contents::read(&store).expect("readable"), contents);
    }
    assert!(folder.path().join("generations").join("000002").exists());
}
