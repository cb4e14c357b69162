//! Whether the files of the store are whole, whose they are, and who else can read them.

use recant_store::{Current, FileRights, Layout};

use super::facts::directory::{Directory, Unseen};
use super::finding::{Finding, counted};

/// Rights of others than the owner.
const OTHERS: u32 = 0o077;
/// The right of others to write.
const OTHERS_WRITE: u32 = 0o022;

/// What there is to say about the directory.
pub(super) fn findings(directory: &Directory) -> Vec<Finding> {
    let path = directory.path.display();
    match &directory.layout {
        Err(Unseen::Missing) => vec![Finding::problem(
            "directory.there",
            format!("there is no directory {path}"),
            "name the right one with --data-dir, or make a store with `recant import` or \
             `recant serve`",
        )],
        Err(Unseen::NoDirectory) => vec![Finding::problem(
            "directory.there",
            format!("{path} is no directory"),
            "name the right one with --data-dir",
        )],
        Err(Unseen::Refused(reason)) => vec![Finding::unseen(
            "directory.there",
            format!("what lies in {path} could not be seen ({reason})"),
            "run the command as the user that the server runs as, or as root",
        )],
        Ok(layout) => {
            let mut findings = vec![current(layout)];
            findings.extend(leftovers(layout));
            findings.push(rights(layout));
            findings.push(owner(layout, directory.user));
            findings
        }
    }
}

fn current(layout: &Layout) -> Finding {
    const CHECK: &str = "directory.current";
    const RESTORE: &str = "restore a backup with `recant restore`, or import and train into a new directory; \
                           nothing is removed by trying";
    let nothing_else = layout.generations.is_empty() && layout.acknowledged.unwrap_or(0) == 0;
    match layout.current {
        Current::Absent if nothing_else => Finding::ok(CHECK, "there is no store here yet"),
        // Nothing was acknowledged: opening begins anew.
        Current::Absent if layout.acknowledged == Some(0) => Finding::ok(
            CHECK,
            "the making of a store was interrupted here; the next start begins anew",
        ),
        Current::Absent => Finding::problem(
            CHECK,
            "the file CURRENT, which says which generation counts, is missing: the store is refused",
            RESTORE,
        ),
        Current::Unreadable => Finding::problem(
            CHECK,
            "the file CURRENT, which says which generation counts, is damaged: the store is refused",
            RESTORE,
        ),
        Current::Generation(number) if !layout.generations.contains(&number) => Finding::problem(
            CHECK,
            format!(
                "CURRENT names generation {number}, which is not there: the store is refused, as \
                 after a copy of its files while a server compacted"
            ),
            "copy the files again from a server that is stopped, or restore a backup",
        ),
        Current::Generation(_) if !layout.has_key_ring => Finding::problem(
            CHECK,
            "the key ring, keys/ring, is missing: nothing in the store can be read",
            "put the newest key ring back; an old one has keys that were destroyed since",
        ),
        Current::Generation(_) if layout.acknowledged.is_none() => Finding::problem(
            CHECK,
            "the key ring does not say what was acknowledged: the store is refused",
            "put the newest key ring back; an old one has keys that were destroyed since",
        ),
        Current::Generation(number) => Finding::ok(
            CHECK,
            format!("CURRENT names generation {number}, which is there, and there is a key ring"),
        ),
    }
}

fn leftovers(layout: &Layout) -> Vec<Finding> {
    const CHECK: &str = "directory.leftovers";
    if layout.in_use {
        return vec![Finding::ok(
            CHECK,
            "a server has the store open: what lies beside the current generation is its own",
        )];
    }
    let mut findings = Vec::new();
    if layout.leftovers.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            "nothing is left of an interrupted change",
        ));
    } else {
        let names = layout
            .leftovers
            .iter()
            .map(|path| path.display().to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        findings.push(Finding::warning(
            CHECK,
            format!(
                "an interrupted change left {names}: what was erased before it may still be in there \
                 as ciphertext"
            ),
            "start the server, or run `recant compact`: opening the store overwrites and removes it",
        ));
    }
    if !layout.was_closed {
        findings.push(Finding::warning(
            "directory.closed",
            "the last process that had the store open did not close it; it is copied before it is \
             opened again, and nothing that was acknowledged is lost",
            "see the end of the log for why: a kill, a lack of memory, a loss of power",
        ));
    }
    findings
}

fn rights(layout: &Layout) -> Finding {
    const CHECK: &str = "directory.rights";
    let open = |file: &&FileRights| file.mode & OTHERS != 0;
    let is_root = |file: &&FileRights| file.path.as_os_str().is_empty();
    let closed_above = layout
        .files
        .iter()
        .find(is_root)
        .is_some_and(|root| root.mode & OTHERS == 0);
    let keys = layout
        .files
        .iter()
        .find(|file| file.holds_keys && open(file));
    if let Some(key) = keys {
        return Finding::problem(
            CHECK,
            format!(
                "others than the owner have rights on {} (mode {:04o}): whoever reads it and the rest \
                 can read everything",
                key.path.display(),
                key.mode
            ),
            format!(
                "chmod 600 {}; then make new keys with `recant keys rotate`",
                key.path.display()
            ),
        );
    }
    if closed_above {
        return Finding::ok(CHECK, "nobody but the owner can enter the data directory");
    }
    let writable = |file: &&FileRights| {
        file.mode & OTHERS_WRITE != 0 && (is_root(file) || file.path.components().count() == 1)
    };
    if let Some(file) = layout.files.iter().find(writable) {
        let name = if is_root(&file) {
            String::from("the data directory")
        } else {
            file.path.display().to_string()
        };
        return Finding::problem(
            CHECK,
            format!(
                "others than the owner may write to {name} (mode {:04o}): they can destroy the store",
                file.mode
            ),
            "chmod 700 the data directory",
        );
    }
    let mode = layout
        .files
        .iter()
        .find(is_root)
        .map_or(0, |root| root.mode);
    Finding::warning(
        CHECK,
        format!(
            "others than the owner may enter the data directory (mode {mode:04o}) and see its files, \
             though not read what is sealed"
        ),
        "chmod 700 the data directory",
    )
}

fn owner(layout: &Layout, user: u32) -> Finding {
    const CHECK: &str = "directory.owner";
    let root = layout
        .files
        .iter()
        .find(|file| file.path.as_os_str().is_empty());
    let owner = root.map_or(user, |root| root.owner);
    let strangers: Vec<_> = layout
        .files
        .iter()
        .filter(|file| file.owner != owner)
        .collect();
    if let Some(first) = strangers.first() {
        return Finding::problem(
            CHECK,
            format!(
                "the directory belongs to user {owner}, and {} below it to others, such as {} to user \
                 {}: a server of one of them cannot write what belongs to the other",
                counted(strangers.len() as u64, "file"),
                first.path.display(),
                first.owner
            ),
            format!("chown -R {owner} the data directory, and run every command as that user"),
        );
    }
    if owner != user {
        return Finding::warning(
            CHECK,
            format!("the store belongs to user {owner}, and you are user {user}"),
            format!(
                "run commands on it as user {owner}: what others write there, it may not be able to read"
            ),
        );
    }
    Finding::ok(CHECK, "everything in the directory belongs to you")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::finding::Severity;
    use super::*;

    fn file(path: &str, mode: u32) -> FileRights {
        FileRights {
            path: PathBuf::from(path),
            mode,
            owner: 7,
            holds_keys: path.starts_with("keys/"),
        }
    }

    /// A closed store in order.
    fn good() -> Layout {
        Layout {
            current: Current::Generation(3),
            generations: vec![3],
            leftovers: Vec::new(),
            has_key_ring: true,
            acknowledged: Some(12),
            has_master_key: false,
            in_use: false,
            was_closed: true,
            live_bytes: 1 << 20,
            files: vec![
                file("", 0o700),
                file("keys", 0o700),
                file("keys/ring", 0o600),
                file("generations", 0o700),
                file("generations/000003/db", 0o644),
            ],
        }
    }

    fn severity(layout: Layout, check: &str) -> Severity {
        let directory = Directory {
            path: PathBuf::from("data"),
            layout: Ok(layout),
            user: 7,
        };
        let findings = findings(&directory);
        let found = findings.iter().find(|finding| finding.check == check);
        found.expect(check).severity
    }

    #[test]
    fn nothing_is_said_against_a_directory_in_order() {
        let directory = Directory {
            path: PathBuf::from("data"),
            layout: Ok(good()),
            user: 7,
        };
        for finding in findings(&directory) {
            assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
        }
    }

    #[test]
    fn a_pointer_is_held_against_what_is_there() {
        let check = |change: &dyn Fn(&mut Layout)| {
            let mut layout = good();
            change(&mut layout);
            severity(layout, "directory.current")
        };
        assert_eq!(
            check(&|l| l.current = Current::Unreadable),
            Severity::Problem
        );
        assert_eq!(check(&|l| l.current = Current::Absent), Severity::Problem);
        assert_eq!(check(&|l| l.generations = vec![2]), Severity::Problem);
        assert_eq!(check(&|l| l.has_key_ring = false), Severity::Problem);
        assert_eq!(check(&|l| l.acknowledged = None), Severity::Problem);
        // Interrupted before anything was acknowledged.
        let begun = |l: &mut Layout| {
            l.current = Current::Absent;
            l.acknowledged = Some(0);
        };
        assert_eq!(check(&begun), Severity::Ok);
    }

    #[test]
    fn rights_of_others_on_keys_and_on_what_can_be_written_are_problems() {
        let check = |changes: &[(&str, u32)]| {
            let mut layout = good();
            for (path, mode) in changes {
                let found = layout
                    .files
                    .iter_mut()
                    .find(|file| file.path == PathBuf::from(path));
                found.expect(path).mode = *mode;
            }
            severity(layout, "directory.rights")
        };
        assert_eq!(check(&[("", 0o755)]), Severity::Warning);
        assert_eq!(check(&[("", 0o777)]), Severity::Problem);
        assert_eq!(
            check(&[("", 0o755), ("generations", 0o770)]),
            Severity::Problem
        );
        assert_eq!(check(&[("keys/ring", 0o640)]), Severity::Problem);
    }

    #[test]
    fn what_is_left_and_what_was_not_closed_is_said_of_a_stopped_store_alone() {
        let mut layout = good();
        layout.leftovers = vec![PathBuf::from("generations/000004")];
        layout.was_closed = false;
        assert_eq!(
            severity(layout.clone(), "directory.leftovers"),
            Severity::Warning
        );
        assert_eq!(
            severity(layout.clone(), "directory.closed"),
            Severity::Warning
        );
        layout.in_use = true;
        assert_eq!(severity(layout, "directory.leftovers"), Severity::Ok);
    }

    #[test]
    fn files_of_two_owners_are_a_problem() {
        let mut layout = good();
        layout.files[2].owner = 0;
        assert_eq!(severity(layout, "directory.owner"), Severity::Problem);
        let mut layout = good();
        for file in &mut layout.files {
            file.owner = 8;
        }
        assert_eq!(severity(layout, "directory.owner"), Severity::Warning);
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_from_one_that_cannot_be_seen() {
        for (unseen, expected) in [
            (Unseen::Missing, Severity::Problem),
            (Unseen::NoDirectory, Severity::Problem),
            (Unseen::Refused(String::from("denied")), Severity::Unseen),
        ] {
            let directory = Directory {
                path: PathBuf::from("data"),
                layout: Err(unseen),
                user: 7,
            };
            assert_eq!(findings(&directory)[0].severity, expected);
        }
    }
}
