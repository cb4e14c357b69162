//! A store that is not what was acknowledged is refused; it never shows other data or less.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use recant_store::{ImportSession, Store, StoreError};
use recant_testkit::store::{
    Contents, addition, commit, copy_directory, database_directory, erasure, erasure_id, fill,
    open, options, user,
};
use recant_types::ErasureTarget;

/// Where the marks are in the key ring.
const MARKS: [usize; 2] = [4_096, 8_192];

/// A store that was closed, and a commit later was put back to what it was before.
fn a_store_put_back(data: &Path, commits: u8) {
    let aside = data.with_extension("aside");
    copy_directory(&database_directory(data), &aside);
    let store = open(data);
    for number in 0..commits {
        let target = ErasureTarget::User(user(1));
        commit(&store, |batch| {
            batch.append(erasure(erasure_id(100 + number), target))
        });
    }
    drop(store);
    let database = database_directory(data);
    fs::remove_dir_all(&database).expect("removed");
    fs::rename(&aside, &database).expect("put back");
}

/// Every file under a directory with its bytes, to see that nothing was touched.
fn files(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let bytes = fs::read(&path).expect("readable");
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

#[test]
fn a_database_from_before_acknowledged_commits_is_refused() {
    for commits in [1, 2, 3, 10] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        fill(&data);
        a_store_put_back(&data, commits);
        let refused = Store::open(&data, &options());
        match refused {
            Err(StoreError::Behind { held, acknowledged }) => {
                assert_eq!(held + u64::from(commits), acknowledged);
            }
            other => panic!("{commits} commits: {other:?}"),
        }
    }
}

#[test]
fn an_import_does_not_make_a_store_that_went_back_look_whole() {
    for commits in [1, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        fill(&data);
        a_store_put_back(&data, commits);
        let refused = ImportSession::begin(&data, &options());
        assert!(
            matches!(refused, Err(StoreError::Behind { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn an_import_into_a_store_without_its_key_ring_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    fs::remove_file(folder.path().join("keys").join("ring")).expect("removed");
    let refused = ImportSession::begin(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
}

#[test]
fn an_emptied_database_is_refused_and_left_for_inspection() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fill(&data);
    let database = database_directory(&data);
    fs::File::options()
        .write(true)
        .open(database.join("db"))
        .and_then(|file| file.set_len(0))
        .expect("emptied");
    for entry in fs::read_dir(&database).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("snap."))
        {
            fs::remove_file(path).expect("removed");
        }
    }
    let refused = Store::open(&data, &options());
    assert!(
        matches!(refused, Err(StoreError::Behind { .. })),
        "{refused:?}"
    );
    assert!(database.exists(), "what is left may still be of use");
}

#[test]
fn a_store_without_its_key_ring_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    fs::remove_file(folder.path().join("keys").join("ring")).expect("removed");
    let refused = Store::open(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_mark_with_one_torn_slot_still_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = fill(folder.path());
    let path = folder.path().join("keys").join("ring");
    let whole = fs::read(&path).expect("readable");
    let numbers =
        MARKS.map(|at| u64::from_le_bytes(whole[at + 4..at + 12].try_into().expect("eight bytes")));
    // The place that the next commit would write is the older one.
    let older = MARKS[usize::from(numbers[0] > numbers[1])];
    for length in 0..24 {
        let mut torn = whole.clone();
        torn[older + length..older + 24].fill(0xff);
        fs::write(&path, &torn).expect("written");
        let read = Contents::of(&open(folder.path())).expect("readable");
        assert_eq!(read, contents);
    }
}

#[test]
fn a_mark_with_two_damaged_slots_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let path = folder.path().join("keys").join("ring");
    let mut bytes = fs::read(&path).expect("readable");
    MARKS.iter().for_each(|at| bytes[at + 7] ^= 1);
    fs::write(&path, &bytes).expect("written");
    let refused = Store::open(folder.path(), &options());
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_damaged_pointer_is_refused_and_nothing_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = fill(folder.path());
    let path = folder.path().join("CURRENT");
    let whole = fs::read(&path).expect("readable");
    let generations = folder.path().join("generations");
    let before = files(&generations);
    let mut damaged: Vec<Vec<u8>> = (0..whole.len()).map(|n| whole[..n].to_vec()).collect();
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x80;
        damaged.push(bytes.clone());
        bytes[byte] ^= 0x81;
        damaged.push(bytes);
    }
    damaged.push(b"000001 00000000\n".to_vec());
    for bytes in damaged {
        fs::write(&path, &bytes).expect("written");
        let refused = Store::open(folder.path(), &options());
        assert!(refused.is_err(), "{bytes:?}");
        assert!(files(&generations) == before, "{bytes:?}");
    }
    fs::remove_file(&path).expect("removed");
    Store::open(folder.path(), &options()).expect_err("there is no CURRENT");
    fs::write(&path, &whole).expect("written");
    assert_eq!(
        Contents::of(&open(folder.path())).expect("readable"),
        contents
    );
}

#[test]
fn a_missing_generation_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    fs::remove_dir_all(database_directory(folder.path())).expect("removed");
    let refused = Store::open(folder.path(), &options());
    assert!(refused.is_err(), "{refused:?}");
    let again = Store::open(folder.path(), &options());
    assert!(again.is_err(), "{again:?}");
}

/// What opening and reading everything comes to.
fn outcome(data: &Path) -> Result<Contents, StoreError> {
    Contents::of(&Store::open(data, &options())?)
}

/// Damages the database file of a copy in each of the ways given, and checks what is read.
fn never_silently_different(damages: impl Iterator<Item = (String, Box<dyn Fn(&mut Vec<u8>)>)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole");
    let contents = fill(&whole);
    let mut refused = 0;
    for (what, damage) in damages {
        let copy = folder.path().join("copy");
        copy_directory(&whole, &copy);
        let file = database_directory(&copy).join("db");
        let mut bytes = fs::read(&file).expect("readable");
        damage(&mut bytes);
        fs::write(&file, &bytes).expect("written");
        let read = catch_unwind(AssertUnwindSafe(|| outcome(&copy)));
        match read.unwrap_or_else(|_| panic!("{what}: a panic instead of an error")) {
            Ok(read) => assert!(
                read == contents,
                "{what}: read without complaint, but different"
            ),
            Err(_) => refused += 1,
        }
        fs::remove_dir_all(&copy).expect("removed");
    }
    assert!(refused > 0, "some damage must have hit something");
}

#[test]
fn a_flipped_bit_is_noticed_or_does_no_harm() {
    let bits = (0..60_u64).map(|number| {
        // Spread by a multiplicative hash, so that every run hits the same places.
        let place = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let damage = move |bytes: &mut Vec<u8>| {
            let bit = place % (bytes.len() as u64 * 8);
            bytes[bit as usize / 8] ^= 1 << (bit % 8);
        };
        (
            format!("bit {number}"),
            Box::new(damage) as Box<dyn Fn(&mut Vec<u8>)>,
        )
    });
    never_silently_different(bits);
}

#[test]
fn a_database_cut_short_is_refused_or_whole() {
    let cuts = (0..20_usize).map(|twentieth| {
        let damage = move |bytes: &mut Vec<u8>| {
            let length = bytes.len() / 20 * twentieth;
            bytes.truncate(length);
        };
        (
            format!("{twentieth}/20 left"),
            Box::new(damage) as Box<dyn Fn(&mut Vec<u8>)>,
        )
    });
    never_silently_different(cuts);
}

#[test]
fn a_sector_of_zeros_is_noticed_or_does_no_harm() {
    let sectors = (0..40_usize).map(|number| {
        let damage = move |bytes: &mut Vec<u8>| {
            let sectors = bytes.len() / 512;
            let start = sectors * number / 40 * 512;
            bytes[start..start + 512].fill(0);
        };
        (
            format!("sector {number}/40"),
            Box::new(damage) as Box<dyn Fn(&mut Vec<u8>)>,
        )
    });
    never_silently_different(sectors);
}

#[test]
fn a_store_goes_on_after_it_was_refused_and_put_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    fill(&data);
    let store = open(&data);
    commit(&store, |batch| batch.append(addition(7, 2)));
    let contents = Contents::of(&store).expect("readable");
    drop(store);
    let (whole, file) = (
        folder.path().join("whole"),
        database_directory(&data).join("db"),
    );
    fs::copy(&file, &whole).expect("copied");
    let bytes = fs::read(&file).expect("readable");
    fs::write(&file, &bytes[..bytes.len() / 2]).expect("cut");
    outcome(&data).expect_err("half of it is gone");
    fs::copy(&whole, &file).expect("put back");
    // Whether the snapshot beside the file is still the one it was is sled's business: what
    // counts is that the data are whole or refused.
    if let Ok(read) = outcome(&data) {
        assert!(read == contents);
    }
}

#[test]
fn after_an_unclean_stop_the_database_is_copied_before_it_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let contents = fill(&data);
    assert!(!data.join("OPEN").exists(), "it was closed");
    let copy = data.join("generations").join("before-recovery");
    // A process that was killed leaves this.
    fs::write(data.join("OPEN"), "").expect("written");
    assert_eq!(outcome(&data).expect("whole"), contents);
    assert!(!copy.exists() && !data.join("OPEN").exists());
    let database = database_directory(&data).join("db");
    let whole = fs::read(&database).expect("readable");
    fs::write(data.join("OPEN"), "").expect("written");
    fs::write(&database, &whole[..whole.len() / 3]).expect("cut");
    let before = fs::read(&database).expect("readable");
    for _ in 0..2 {
        outcome(&data).expect_err("most of it is gone");
        assert!(data.join("OPEN").exists(), "it was never open and whole");
        assert!(fs::read(copy.join("db")).expect("readable") == before);
    }
}
