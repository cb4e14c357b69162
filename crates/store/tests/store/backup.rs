//! A backup returns what it held, without what was erased since, and only beside its key ring.

use std::fs;
use std::path::{Path, PathBuf};

use recant_store::{ImportSession, Restored, Store, StoreError, StoreOptions, Tensor, restore};
use recant_testkit::store::{
    addition, commit, copy_directory, database_directory, erasure, header, history, item, item_id,
    open, options, properties, user,
};
use recant_types::{ErasureFilter, ErasureId, ErasureTarget, Event, Interaction, UnixMillis};

/// Users 0 to 5 with items 0, 3, 6 and 9, factors, a model, and an addition that waits.
fn prepared(data: &Path) -> Store {
    let store = open(data);
    commit(&store, |batch| {
        for row in 0..10 {
            batch.put_item(row, &item(row, (row < 2).then_some("A title")));
            batch.put_tensor_row(Tensor::ItemFactors, row, &[f64::from(row), 0.5]);
        }
        for row in 0..6 {
            batch.put_user(row, &user(row));
            batch.put_history(row, &history(4));
        }
        batch.put_properties(&user(5), &properties("Turin"));
        batch.put_model_header(&header(3));
        batch.append(addition(9, 2));
    });
    store
}

fn backed_up(folder: &Path) -> (PathBuf, PathBuf) {
    let (data, file) = (folder.join("data"), folder.join("backup"));
    let summary = prepared(&data).backup(&file).expect("backed up");
    assert_eq!((summary.users, summary.items), (7, 10));
    assert_eq!(summary.interactions, 6 * 4 + 2);
    assert_eq!(summary.bytes, fs::metadata(&file).expect("there").len());
    (data, file)
}

fn erase(data: &Path, target: ErasureTarget) {
    let event = erasure(ErasureId::generate(), target);
    commit(&open(data), |batch| batch.append(event));
}

fn refusal(result: Result<Restored, StoreError>) -> String {
    match result {
        Err(error @ StoreError::Backup { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_comes_back_when_nothing_was_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path());
    commit(&open(&data), |batch| {
        batch.put_user(7, &user(7));
        batch.put_history(7, &history(2));
    });
    let restored = restore(&file, &data, &options()).expect("restored");
    assert_eq!((restored.users, restored.interactions), (7, 26));
    assert_eq!((restored.unreadable, restored.erased), (0, 0));
    assert!(restored.model);
    let store = open(&data);
    let users: Vec<_> = store.users().expect("readable");
    assert_eq!(users.len(), 7);
    assert!(users.iter().all(|(_, id)| *id != user(7)), "it came later");
    let titled = store.items().expect("readable").into_iter();
    assert_eq!(titled.filter(|(_, item)| item.title.is_some()).count(), 0);
    let said = store.descriptions().expect("readable");
    assert_eq!(said.iter().filter(|said| said.title.is_some()).count(), 2);
    let model = store.model_header().expect("readable").expect("there");
    assert_eq!((model.version, model.certificate), (3, None));
    let mut factors = 0;
    let items = store.items().expect("readable");
    let visited = store.visit_tensor(Tensor::ItemFactors, |row, values| {
        let (_, item) = items.iter().find(|(at, _)| *at == row).expect("an item");
        assert_eq!(
            item.id,
            item_id(values[0] as u32),
            "the factors are its own"
        );
        factors += 1;
    });
    visited.expect("readable");
    assert_eq!(factors, 10);
}

#[test]
fn what_was_erased_since_does_not_come_back_and_the_model_neither() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path());
    erase(&data, ErasureTarget::User(user(0)));
    erase(&data, ErasureTarget::Pairs(vec![(user(1), item_id(3))]));
    erase(&data, ErasureTarget::Item(item_id(6)));
    for _ in 0..2 {
        let restored = restore(&file, &data, &options()).expect("restored");
        assert_eq!((restored.unreadable, restored.erased), (1, 1 + 5));
        assert!(!restored.model);
        let store = open(&data);
        let users = store.users().expect("readable");
        assert!(users.iter().all(|(_, id)| *id != user(0)));
        assert_eq!(store.model_header().expect("readable"), None);
        assert_eq!(
            store
                .erasures(&ErasureFilter::default(), None, 9)
                .expect("readable")
                .len(),
            3
        );
        let mut count = 0;
        let visited = store.visit_histories(|_, held| count += held.len());
        visited.expect("readable");
        assert_eq!(count as u64, restored.interactions);
        assert_eq!(restored.interactions, 26 - 4 - 1 - 5);
    }
}

#[test]
fn what_is_said_about_people_comes_back_unless_they_were_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let store = prepared(&data);
    // Of 0 to 2 there are interactions, of 9 some that wait, of 20 to 22 nothing else; of 5 it was said
    // before.
    let described = [0, 1, 2, 9, 20, 21, 22];
    for of in described {
        let said = properties(&format!("of {of}"));
        commit(&store, |batch| batch.put_properties(&user(of), &said));
    }
    assert_eq!(store.backup(&file).expect("backed up").users, 10);
    drop(store);
    let said = |of: u32| {
        let held = open(&data).person(&user(of)).expect("readable");
        held.map(|held| (held.properties, held.interactions))
    };
    let before = described.map(said);
    erase(&data, ErasureTarget::User(user(0)));
    erase(&data, ErasureTarget::User(user(20)));
    let pairs = [0, 3, 6, 9].map(|number| (user(1), item_id(number)));
    erase(&data, ErasureTarget::Pairs(pairs.to_vec()));
    commit(&open(&data), |batch| {
        // What is said of somebody after their erasure was never in the backup.
        batch.put_properties(&user(20), &properties("again"));
        // Nothing is left of this one, so no key is, either.
        batch.put_properties(&user(21), &properties(""));
        batch.put_properties(&user(2), &properties("later"));
    });
    for _ in 0..2 {
        let restored = restore(&file, &data, &options()).expect("restored");
        assert_eq!((restored.with_properties, restored.erased), (5, 4));
        assert_eq!(restored.unreadable, 2 + 1 + 1);
        let mut expected = before.clone();
        expected[0] = None;
        expected[1] = Some((properties("of 1"), 0));
        // What waited is a part of the history now.
        expected[3] = Some((properties("of 9"), 2));
        (expected[4], expected[5]) = (None, None);
        assert_eq!(described.map(said), expected);
    }
    // What is restored is sealed under keys of its own, and erased like anything else.
    erase(&data, ErasureTarget::User(user(22)));
    let restored = restore(&file, &data, &options()).expect("restored");
    assert_eq!((restored.with_properties, said(22)), (4, None));
}

#[test]
fn a_store_of_an_earlier_version_says_what_was_erased_since() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path());
    erase(&data, ErasureTarget::Pairs(vec![(user(1), item_id(3))]));
    let database = sled::open(database_directory(&data)).expect("opened");
    let version = 3_u32.to_le_bytes();
    let checksum = crc32fast::hash(&[&b"ms"[..], &version].concat());
    let version = [checksum.to_le_bytes(), version].concat();
    database.insert(b"ms", version).expect("written");
    drop(database);
    let restored = restore(&file, &data, &options()).expect("restored");
    assert_eq!((restored.interactions, restored.erased), (25, 1));
    assert_eq!(open(&data).users().expect("readable").len(), 7);
}

#[test]
fn a_lost_database_is_restored_beside_the_key_ring() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path());
    let other = folder.path().join("other");
    copy_directory(&data.join("keys"), &other.join("keys"));
    let restored = restore(&file, &other, &options()).expect("restored");
    assert_eq!(restored.interactions, 26);
    assert_eq!(open(&other).users().expect("readable").len(), 7);
    // But not when the ring knows of an erasure that only the lost database could name.
    erase(&data, ErasureTarget::Pairs(vec![(user(1), item_id(3))]));
    let third = folder.path().join("third");
    copy_directory(&data.join("keys"), &third.join("keys"));
    let said = refusal(restore(&file, &third, &options()));
    assert!(said.contains("since"), "{said}");
}

#[test]
fn a_backup_is_of_no_use_without_its_key_ring() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, file) = backed_up(folder.path());
    let bytes = fs::read(&file).expect("readable");
    for needle in ["user-", "item-", "A title", "Turin", "city"] {
        let found = bytes.windows(needle.len()).any(|w| w == needle.as_bytes());
        assert!(!found, "{needle}");
    }
    let nowhere = folder.path().join("nowhere");
    let said = refusal(restore(&file, &nowhere, &options()));
    assert!(said.contains("key ring"), "{said}");
    drop(open(&nowhere));
    let said = refusal(restore(&file, &nowhere, &options()));
    assert!(said.contains("another key ring"), "{said}");
}

#[test]
fn a_damaged_backup_is_refused_and_the_store_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path());
    let whole = fs::read(&file).expect("readable");
    let damaged = folder.path().join("damaged");
    let places = (0..40).map(|n| n * whole.len() / 40);
    let flipped = places.clone().map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    for bytes in flipped.chain(places.map(|at| whole[..at].to_vec())) {
        fs::write(&damaged, bytes).expect("written");
        let refused = restore(&damaged, &data, &options());
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(open(&data).users().expect("readable").len(), 6);
}

#[test]
fn a_backup_older_than_the_tombstones_or_newer_than_the_ring_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    drop(prepared(&data));
    let early = folder.path().join("early");
    copy_directory(&data, &early);
    erase(&data, ErasureTarget::User(user(0)));
    let file = folder.path().join("backup");
    open(&data).backup(&file).expect("backed up");
    let said = refusal(restore(&file, &early, &options()));
    assert!(said.contains("older"), "{said}");
    erase(&data, ErasureTarget::User(user(1)));
    std::thread::sleep(std::time::Duration::from_millis(2));
    let forgetful = StoreOptions {
        tombstone_days: 0,
        ..options()
    };
    let said = refusal(restore(&file, &data, &forgetful));
    assert!(said.contains("tombstone_days"), "{said}");
}

#[test]
fn an_existing_file_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = backed_up(folder.path());
    let before = fs::read(&file).expect("readable");
    let refused = open(&data).backup(&file);
    assert!(
        matches!(refused, Err(StoreError::Backup { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read(&file).expect("readable"), before);
}

/// An erasure of an item that no worker has carried out yet leaves the data with the restore; by then nobody
/// has looked how late the rows happened that it takes.
#[test]
fn a_row_of_tomorrow_that_a_restore_leaves_out_does_not_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let tomorrow = UnixMillis::now().0 + 20 * 60 * 60 * 1_000;
    let rows = [(0, tomorrow), (1, tomorrow + 1)].map(|(of, time)| Interaction {
        user: user(of),
        item: item_id(of),
        feedback: Default::default(),
        weight: 1.0,
        timestamp: Some(time),
    });
    let add = || {
        let event = Event::Add(rows.to_vec());
        commit(&open(&data), |batch| batch.append(event)).held_back
    };
    assert_eq!(add(), 0);
    open(&data).backup(&file).expect("backed up");
    erase(&data, ErasureTarget::Item(item_id(1)));
    let restored = restore(&file, &data, &options()).expect("restored");
    assert_eq!((restored.interactions, restored.erased), (1, 1));
    assert_eq!(add(), 1, "and the other happened");
}

/// The same of a row that came after the backup, so that only the store as it is holds it, or its log.
#[test]
fn a_row_of_tomorrow_that_only_the_present_store_holds_does_not_come_back() {
    for is_learnt in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
        let row = Interaction {
            user: user(1),
            item: item_id(1),
            feedback: Default::default(),
            weight: 1.0,
            timestamp: Some(UnixMillis::now().0 + 20 * 60 * 60 * 1_000),
        };
        let held_back = |row: &Interaction| {
            let event = Event::Add(vec![row.clone()]);
            commit(&open(&data), |batch| batch.append(event)).held_back
        };
        open(&data).backup(&file).expect("backed up");
        if is_learnt {
            let session = ImportSession::begin(&data, &options()).expect("free");
            let mut writer = session.writer().expect("readable");
            let (user, item) = (row.user.expose(), row.item.expose());
            let taken = writer.push(user, item, row.weight, row.timestamp);
            taken.expect("taken");
            writer.finish().expect("durable");
        } else {
            assert_eq!(held_back(&row), 0);
        }
        erase(&data, ErasureTarget::Item(item_id(1)));
        restore(&file, &data, &options()).expect("restored");
        assert_eq!(held_back(&row), 1, "learnt: {is_learnt}");
        let later = Interaction {
            timestamp: row.timestamp.map(|at| at + 1),
            ..row
        };
        assert_eq!(held_back(&later), 0, "what happens later is welcome");
    }
}
