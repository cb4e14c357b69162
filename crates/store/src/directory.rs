//! The files of a store, and which of them are current.
//!
//! `LOCK` is held by the one process that uses the directory. `generations/NNNNNN` are databases;
//! `CURRENT` names the current one. A new generation is built beside it and becomes the
//! current one by a single rename, so a kill at any moment leaves the old one or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::private;
use crate::sync::Syncs;
use crate::zeroing;

pub(crate) const LOCK: &str = "LOCK";
pub(crate) const CURRENT: &str = "CURRENT";
pub(crate) const CURRENT_NEW: &str = "CURRENT.new";
pub(crate) const GENERATIONS: &str = "generations";
pub(crate) const COPY: &str = "before-recovery";

/// A store's directory, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    syncs: Syncs,
    /// Locked as long as this lives.
    lock: File,
}

impl Drop for Directory {
    /// Gives the lock back by name: closing the file would not do while a child that was just forked
    /// shares it.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock of a data directory could not be given back");
        }
    }
}

impl Directory {
    /// Makes the directory if need be and locks it.
    pub(super) fn open(path: &Path, syncs: &Syncs) -> Result<Self, StoreError> {
        make_directory(path, syncs)?;
        let lock_path = path.join(LOCK);
        let io = |error| StoreError::io(&lock_path, &error);
        // Whoever may open the file may hold its lock, and keep the store from being opened.
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io)?;
        private::withdraw_from_others(&lock_path);
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked {
                path: path.to_owned(),
            },
            TryLockError::Error(error) => io(error),
        })?;
        let generations = path.join(GENERATIONS);
        make_directory(&generations, syncs)?;
        private::withdraw_from_others(&generations);
        if private::is_open_to_others(path) {
            tracing::warn!(
                path = %path.display(),
                "others than its owner may enter the data directory: chmod 700"
            );
        }
        Ok(Self {
            path: path.to_owned(),
            syncs: syncs.clone(),
            lock,
        })
    }

    /// Where the directory is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a generation's database is.
    pub(super) fn generation(&self, number: u64) -> PathBuf {
        self.path.join(GENERATIONS).join(format!("{number:06}"))
    }

    /// The current generation; `None` in a new directory.
    pub(super) fn current(&self) -> Result<Option<u64>, StoreError> {
        let path = self.path.join(CURRENT);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&path, &error)),
        };
        match parse_current(&text) {
            Some(number) => Ok(Some(number)),
            None => Err(StoreError::damaged("the file CURRENT is unreadable")),
        }
    }

    /// Makes `number` the current generation, atomically. The one before stays beside it.
    pub(super) fn switch_to(&self, number: u64) -> Result<(), StoreError> {
        let (new, current) = (self.path.join(CURRENT_NEW), self.path.join(CURRENT));
        self.syncs.directory(&self.path.join(GENERATIONS))?;
        failpoint("generation_before_pointer");
        self.write_durably(&new, current_text(number).as_bytes())?;
        failpoint("generation_pointer_written");
        fs::rename(&new, &current).map_err(|error| StoreError::io(&current, &error))?;
        failpoint("generation_after_rename");
        self.syncs.directory(&self.path)?;
        failpoint("generation_after_switch");
        Ok(())
    }

    /// The number that the next generation gets: one more than that of the current one, or, when that
    /// is not there, than any that is. So building it touches nothing that somebody may want back.
    pub(super) fn next_number(&self) -> Result<u64, StoreError> {
        let current = self.current()?;
        if let Some(number) = current.filter(|number| self.generation(*number).is_dir()) {
            return Ok(number + 1);
        }
        let newest = self.numbers()?.into_iter().max();
        Ok(newest.max(current).unwrap_or(0) + 1)
    }

    /// The numbers of the generations that are there, current or not.
    pub(super) fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let paths = self.entries()?;
        let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    fn entries(&self) -> Result<Vec<PathBuf>, StoreError> {
        let generations = self.path.join(GENERATIONS);
        let io = |error| StoreError::io(&generations, &error);
        let entries = fs::read_dir(&generations).map_err(io)?;
        entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(io))
            .collect()
    }

    /// Removes every generation but the current one: overwritten with zeros, synced, unlinked. To be
    /// called only when the current one has been opened; removes nothing when it is not there.
    pub(super) fn remove_leftovers(&self) -> Result<(), StoreError> {
        let current = self.current()?.map(|number| self.generation(number));
        let Some(current) = current.filter(|path| path.is_dir()) else {
            return Ok(());
        };
        for path in self.entries()? {
            if path != current && path != self.copy() {
                zeroing::remove_directory(&path, &self.syncs)?;
            }
        }
        match fs::remove_file(self.path.join(CURRENT_NEW)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io(&self.path, &error))
            }
            _ => self.syncs.directory(&self.path.join(GENERATIONS)),
        }
    }

    /// Removes every generation, the current one and its copy too: overwritten with zeros, synced, unlinked.
    pub(super) fn remove_everything(&self) -> Result<(), StoreError> {
        for path in [CURRENT, CURRENT_NEW].map(|name| self.path.join(name)) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io(&path, &error));
                }
                _ => {}
            }
        }
        self.syncs.directory(&self.path)?;
        for path in self.entries()? {
            zeroing::remove_directory(&path, &self.syncs)?;
        }
        self.syncs.directory(&self.path.join(GENERATIONS))
    }

    /// Where the current generation is copied to before it is opened after an unclean stop.
    pub(super) fn copy(&self) -> PathBuf {
        self.path.join(GENERATIONS).join(COPY)
    }

    fn write_durably(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let io = |error| StoreError::io(path, &error);
        let mut file = private::create_file(path).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        self.syncs.data(&file, path)
    }
}

/// Makes a directory for its owner only and syncs its parent.
pub(super) fn make_directory(path: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    private::create_directory(path).map_err(|error| StoreError::io(path, &error))?;
    syncs.directory(
        path.parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(path),
    )
}

fn current_text(number: u64) -> String {
    let number = format!("{number:06}");
    format!("{number} {:08x}\n", crc32fast::hash(number.as_bytes()))
}

/// The number in a text that [`CURRENT`] may hold.
pub(crate) fn parse_current(text: &str) -> Option<u64> {
    let (number, _) = text.split_once(' ')?;
    let number = number.parse().ok()?;
    (text == current_text(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<Directory, StoreError> {
        Directory::open(path, &Syncs::new(None))
    }

    #[test]
    fn a_switch_leaves_one_generation() {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = open(temporary.path()).expect("new");
        assert_eq!(directory.current().expect("readable"), None);
        for number in [1, 2] {
            fs::create_dir(directory.generation(number)).expect("made");
        }
        directory.switch_to(2).expect("switched");
        directory.remove_leftovers().expect("removed");
        assert_eq!(directory.current().expect("readable"), Some(2));
        assert!(!directory.generation(1).exists() && directory.generation(2).exists());
    }

    #[test]
    fn leftovers_go_and_the_current_generation_stays() {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = open(temporary.path()).expect("new");
        fs::create_dir(directory.generation(7)).expect("made");
        directory.switch_to(7).expect("switched");
        fs::create_dir(directory.generation(8)).expect("made");
        fs::write(temporary.path().join(CURRENT_NEW), "half").expect("written");
        drop(directory);
        let directory = open(temporary.path()).expect("again");
        directory.remove_leftovers().expect("removed");
        assert!(directory.generation(7).exists() && !directory.generation(8).exists());
        assert!(!temporary.path().join(CURRENT_NEW).exists());
    }

    #[test]
    fn one_process_at_a_time() {
        let temporary = tempfile::tempdir().expect("a directory");
        let held = open(temporary.path()).expect("new");
        let refused = open(temporary.path());
        assert!(
            matches!(refused, Err(StoreError::Locked { .. })),
            "{refused:?}"
        );
        drop(held);
        open(temporary.path()).expect("free again");
    }

    #[test]
    fn a_damaged_pointer_is_noticed() {
        for text in ["", "000001", "000001 00000000\n", "1 x\n"] {
            assert_eq!(parse_current(text), None, "{text:?}");
        }
        assert_eq!(parse_current(&current_text(1_234_567)), Some(1_234_567));
    }
}
