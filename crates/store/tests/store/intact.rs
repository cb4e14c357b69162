//! Opening and restoring destroy nothing that is intact, let nobody else in, and follow no links.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use recant_store::{ImportSession, Store, StoreError, restore};
use recant_testkit::store::{
    Contents, commit, copy_directory, erasure, erasure_id, fill, item, open, options, user,
};
use recant_types::ErasureTarget;

/// Every file below `generations`, with its bytes.
fn generations(data: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn read(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, files);
            } else {
                let bytes = fs::read(&path).expect("readable");
                files.insert(path, bytes);
            }
        }
    }
    let mut files = BTreeMap::new();
    read(&data.join("generations"), &mut files);
    assert!(files.len() > 1, "there is something to lose");
    files
}

#[test]
fn a_restore_of_no_backup_takes_nothing_from_a_store_without_its_pointer() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = fill(folder.path());
    let (pointer, before) = (folder.path().join("CURRENT"), generations(folder.path()));
    let text = fs::read(&pointer).expect("readable");
    fs::remove_file(&pointer).expect("removed");
    let damaged = folder.path().join("damaged");
    fs::write(&damaged, b"RECANTBK and no more").expect("written");
    for backup in [Path::new("/nonexistent"), &damaged] {
        let refused = restore(backup, folder.path(), &options());
        assert!(refused.is_err(), "{refused:?}");
        assert!(
            generations(folder.path()) == before,
            "a generation was changed"
        );
    }
    fs::write(&pointer, text).expect("put back");
    let read = Contents::read(&open(folder.path())).expect("readable");
    assert!(read == contents);
}

#[test]
fn a_pointer_to_a_generation_that_is_missing_costs_no_other_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = fill(folder.path());
    let pointer = folder.path().join("CURRENT");
    let stale = fs::read(&pointer).expect("readable");
    open(folder.path()).compact().expect("compacted");
    let text = fs::read(&pointer).expect("readable");
    assert_ne!(stale, text);
    // As a copy of the files across a compaction leaves it.
    fs::write(&pointer, stale).expect("written");
    let before = generations(folder.path());
    let refused = Store::open(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
    let refused = ImportSession::begin(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
    let refused = restore(Path::new("/nonexistent"), folder.path(), &options());
    assert!(refused.is_err(), "{refused:?}");
    assert!(
        generations(folder.path()) == before,
        "a generation was changed"
    );
    fs::write(&pointer, text).expect("put back");
    let read = Contents::read(&open(folder.path())).expect("readable");
    assert!(read == contents);
}

#[test]
fn a_store_whose_ring_and_pointer_are_elsewhere_is_not_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = fill(folder.path());
    let before = generations(folder.path());
    let aside = folder.path().join("aside");
    fs::create_dir(&aside).expect("made");
    for name in ["CURRENT", "keys"] {
        fs::rename(folder.path().join(name), aside.join(name)).expect("moved");
    }
    let refused = Store::open(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
    assert!(
        generations(folder.path()) == before,
        "a generation was changed"
    );
    for name in ["CURRENT", "keys"] {
        fs::rename(aside.join(name), folder.path().join(name)).expect("moved back");
    }
    let read = Contents::read(&open(folder.path())).expect("readable");
    assert!(read == contents);
}

#[test]
fn leftovers_go_once_the_current_generation_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let leftover = folder.path().join("generations").join("000009");
    fs::create_dir(&leftover).expect("made");
    fs::write(leftover.join("db"), "left over").expect("written");
    drop(open(folder.path()));
    assert!(!leftover.exists());
}

/// A store whose key ring was put aside before the last dozen erasures.
fn store_with_an_old_ring(data: &Path) -> PathBuf {
    let store = open(data);
    for number in 0..5 {
        commit(&store, |batch| {
            batch.put_user(number, &user(number));
            batch.put_item(number, &item(number, None));
        });
    }
    let aside = data.join("ring-aside");
    fs::copy(data.join("keys").join("ring"), &aside).expect("copied");
    for number in 0..12 {
        let target = ErasureTarget::User(user(u32::from(number)));
        commit(&store, |batch| {
            batch.append(erasure(erasure_id(number), target))
        });
    }
    aside
}

#[test]
fn an_old_key_ring_is_refused_by_opening_and_by_restoring() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let backup = folder.path().join("backup");
    let store = open(&data);
    commit(&store, |batch| batch.put_user(9, &user(9)));
    store.backup(&backup).expect("written");
    drop(store);
    let aside = store_with_an_old_ring(&data);
    fs::copy(&aside, data.join("keys").join("ring")).expect("put back");
    let refused = Store::open(&data, &options());
    assert!(
        matches!(refused, Err(StoreError::OldKeyRing { .. })),
        "{refused:?}"
    );
    let refused = restore(&backup, &data, &options());
    assert!(
        matches!(refused, Err(StoreError::OldKeyRing { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_follows_the_end_of_a_backup_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data);
    commit(&store, |batch| batch.put_user(0, &user(0)));
    store.backup(&backup).expect("written");
    drop(store);
    restore(&backup, &data, &options()).expect("it is whole");
    let mut bytes = fs::read(&backup).expect("readable");
    bytes.push(0);
    fs::write(&backup, bytes).expect("written");
    let refused = restore(&backup, &data, &options());
    assert!(
        matches!(refused, Err(StoreError::Backup { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_backup_follows_no_planted_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let theirs = folder.path().join("theirs");
    fs::write(&theirs, "theirs").expect("written");
    symlink(&theirs, folder.path().join("backup.partial")).expect("planted");
    let store = open(&data);
    store.backup(&backup).expect("written");
    assert_eq!(fs::read(&theirs).expect("readable"), b"theirs");
    assert!(fs::symlink_metadata(&backup).expect("there").is_file());
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("nowhere"), &dangling).expect("planted");
    let refused = store.backup(&dangling);
    assert!(
        matches!(refused, Err(StoreError::Backup { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_store_is_made_for_its_owner_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("deep").join("data");
    let store = open(&data);
    store.receipt_keys().expect("made");
    let mode = |path: &str| fs::metadata(data.join(path)).expect("there").mode() & 0o777;
    for directory in ["", "generations", "keys"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    let files = [
        "LOCK",
        "OPEN",
        "CURRENT",
        "keys/ring",
        "keys/master",
        "keys/receipts.json",
    ];
    for file in files {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    drop(store);
    // As an earlier version made it.
    let lock = data.join("LOCK");
    fs::set_permissions(&lock, Permissions::from_mode(0o644)).expect("ours");
    drop(open(&data));
    assert_eq!(mode("LOCK"), 0o600);
}

#[test]
fn a_copy_of_a_whole_closed_store_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let contents = fill(&data);
    copy_directory(&data, &copy);
    assert!(Contents::read(&open(&copy)).expect("readable") == contents);
}
