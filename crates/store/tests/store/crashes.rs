//! The process ends in each failpoint of the store: afterwards what was acknowledged is there, and
//! what was erased is gone.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use recant_store::{Entry, FAILPOINTS, LogPosition, Store};
use recant_testkit::store::{
    commit, erasure, history, item, item_id, notes, open, properties, user,
};
use recant_types::{ErasureId, ErasureTarget};

const DIRECTORY: &str = "RECANT_TEST_CRASH_DIRECTORY";

/// Failpoints that the store alone passes in the history below; the others are the service's, those of
/// a rotation and those of a restore.
fn failpoints() -> impl Iterator<Item = &'static str> {
    let ours = ["accept_", "commit_", "ring_", "generation_", "compaction_"];
    FAILPOINTS
        .into_iter()
        .filter(move |name| ours.iter().any(|start| name.starts_with(start)))
}

/// What the child does, noting each step once it is acknowledged. Not a test by itself.
#[test]
#[ignore = "run by the test below in a process of its own"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let mut notes = notes(directory);
    let mut note = |text: String| writeln!(notes, "{text}").expect("noted");
    let store = open(&directory.join("data"));
    for round in 0..3_u32 {
        for number in 0..4 {
            let row = round * 4 + number;
            commit(&store, |batch| {
                batch.put_user(row, &user(row));
                batch.put_item(row * 3, &item(row * 3, None));
                batch.put_history(row, &history(3));
                batch.put_properties(&user(row), &properties("said"));
            });
            note(format!("added {row}"));
        }
        let row = round * 4;
        let whole = erasure(ErasureId::generate(), ErasureTarget::User(user(row)));
        note(format!("erasing {row}"));
        commit(&store, |batch| batch.append(whole));
        note(format!("erased {row}"));
        let pair = ErasureTarget::Pairs(vec![(user(row + 1), item_id(0))]);
        let pair = erasure(ErasureId::generate(), pair);
        note(format!("unpairing {}", row + 1));
        commit(&store, |batch| batch.append(pair));
        note(format!("unpaired {}", row + 1));
        for of in [row + 2, row + 3] {
            let named = ErasureTarget::Restriction(vec![user(of)]);
            let restriction = erasure(ErasureId::generate(), named);
            note(format!("restricting {of}"));
            commit(&store, |batch| batch.append(restriction));
            note(format!("restricted {of}"));
        }
        note(format!("lifting {}", row + 3));
        commit(&store, |batch| batch.lift_restriction(&user(row + 3)));
        note(format!("lifted {}", row + 3));
        store.compact().expect("compacted");
    }
    // More users at once than spare keys are ready for.
    commit(&store, |batch| {
        (100..800).for_each(|row| batch.put_user(row, &user(row)));
    });
    note(String::from("crowded"));
}

fn noted<'a>(notes: &'a str, word: &'a str) -> impl Iterator<Item = u32> + 'a {
    notes
        .lines()
        .filter_map(move |line| line.strip_prefix(word)?.trim().parse().ok())
}

/// What is held of somebody is in one place, whole: processed, kept, or waiting to be processed again.
fn check_restrictions(store: &Store, notes: &str, failpoint: &str) {
    let waiting = |row: u32| {
        let log = store
            .read_from(LogPosition(0), usize::MAX)
            .expect("readable");
        let added = log.into_iter().filter_map(|(_, entry)| match entry {
            Entry::Add(rows) => Some(rows),
            Entry::Erase(_) => None,
        });
        added
            .flatten()
            .filter(|added| added.user == user(row))
            .count()
    };
    let lifting: Vec<u32> = noted(notes, "lifting ").collect();
    let lifted: Vec<u32> = noted(notes, "lifted ").collect();
    let restricted: Vec<u32> = noted(notes, "restricted ").collect();
    for row in noted(notes, "restricting ") {
        let processed = store.history(row).expect("readable").len();
        let kept = store.kept(&user(row)).expect("readable").len();
        let found = (processed, kept, waiting(row));
        let is_restricted = store.is_restricted(&user(row));
        let expected = match () {
            () if lifted.contains(&row) => vec![(0, 0, 3)],
            () if lifting.contains(&row) => vec![(0, 3, 0), (0, 0, 3)],
            () if restricted.contains(&row) => vec![(0, 3, 0)],
            () => vec![(3, 0, 0), (0, 3, 0)],
        };
        assert!(
            expected.contains(&found),
            "{failpoint}: user {row}: {found:?}"
        );
        assert_eq!(is_restricted, kept > 0, "{failpoint}: user {row}");
        let said = store.properties(&user(row)).expect("readable");
        assert_eq!(said, properties("said"), "{failpoint}: user {row}");
    }
}

fn check(directory: &Path, failpoint: &str) {
    let notes = fs::read_to_string(directory.join("notes")).unwrap_or_default();
    let store = open(&directory.join("data"));
    let begun: Vec<u32> = noted(&notes, "erasing ").collect();
    let unpairing: Vec<u32> = noted(&notes, "unpairing ").collect();
    let restricting: Vec<u32> = noted(&notes, "restricting ").collect();
    for row in noted(&notes, "added ") {
        let read = store.history(row).expect("readable");
        if restricting.contains(&row) {
            continue;
        }
        if !begun.contains(&row) {
            assert!(!read.is_empty(), "{failpoint}: user {row} is lost");
            let said = store.properties(&user(row)).expect("readable");
            assert_eq!(said, properties("said"), "{failpoint}: user {row}");
            let least = history(3).len() - usize::from(unpairing.contains(&row));
            assert!(
                read.len() >= least,
                "{failpoint}: something of user {row} is lost"
            );
        }
    }
    for row in noted(&notes, "erased ") {
        assert_eq!(store.user(row).expect("readable"), None, "{failpoint}");
        assert_eq!(store.history(row).expect("readable"), [], "{failpoint}");
        assert_eq!(
            store.person(&user(row)).expect("readable"),
            None,
            "{failpoint}"
        );
    }
    for row in noted(&notes, "unpaired ") {
        let read = store.history(row).expect("readable");
        assert_eq!(read, history(3)[1..], "{failpoint}: user {row}");
    }
    check_restrictions(&store, &notes, failpoint);
    if notes.contains("crowded") {
        assert!(store.users().expect("readable").len() > 700, "{failpoint}");
    }
    store.compact().expect("it goes on");
}

#[test]
fn nothing_is_lost_and_nothing_comes_back_whichever_window_it_is() {
    let program = std::env::current_exe().expect("this program");
    for failpoint in failpoints() {
        let often = failpoint.starts_with("accept_") || failpoint.starts_with("compaction_");
        for count in if often { 1..3 } else { 1..2 } {
            let folder = tempfile::tempdir().expect("a folder");
            let output = Command::new(&program)
                .args(["--exact", "crashes::child", "--ignored"])
                .env(DIRECTORY, folder.path())
                .env("RECANT_CRASH_AT", format!("{failpoint}:{count}"))
                .output()
                .expect("the child starts");
            assert!(!output.status.success(), "{failpoint} is never passed");
            check(folder.path(), failpoint);
        }
    }
}
