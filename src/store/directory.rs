//! The files of a store, and which of them count.
//!
//! `LOCK` is held by the one process that uses the directory. `generations/NNNNNN` are databases;
//! `CURRENT` names the one that counts. A new generation is built beside it and becomes the
//! current one by a single rename, so a kill at any moment leaves the old one or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::store::StoreError;
use crate::store::database::{make_directory, sync_directory};
use crate::store::high_water::HighWater;

const LOCK: &str = "LOCK";
const CURRENT: &str = "CURRENT";
const CURRENT_NEW: &str = "CURRENT.new";
const GENERATIONS: &str = "generations";

/// A store's directory, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Holding the file open holds the lock.
    _lock: File,
}

impl Directory {
    /// Makes the directory if need be, locks it and clears what an unfinished change left behind.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        make_directory(path)?;
        let lock_path = path.join(LOCK);
        let io = |error| StoreError::io(&lock_path, &error);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked {
                path: path.to_owned(),
            },
            TryLockError::Error(error) => io(error),
        })?;
        make_directory(&path.join(GENERATIONS))?;
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if directory.current()?.is_none() && HighWater::open(path, true)?.read()? > 0 {
            return Err(StoreError::damaged("the file CURRENT is missing"));
        }
        directory.remove_leftovers()?;
        Ok(directory)
    }

    /// Where the directory is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a generation's database is.
    pub(super) fn generation(&self, number: u64) -> PathBuf {
        self.path.join(GENERATIONS).join(format!("{number:06}"))
    }

    /// The generation that counts; `None` in a new directory.
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

    /// Makes `number` the generation that counts, atomically, and removes the others.
    pub(super) fn switch_to(&self, number: u64) -> Result<(), StoreError> {
        let (new, current) = (self.path.join(CURRENT_NEW), self.path.join(CURRENT));
        sync_directory(&self.path.join(GENERATIONS))?;
        write_durably(&new, current_text(number).as_bytes())?;
        fs::rename(&new, &current).map_err(|error| StoreError::io(&current, &error))?;
        sync_directory(&self.path)?;
        self.remove_leftovers()
    }

    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let current = self.current()?.map(|number| self.generation(number));
        let generations = self.path.join(GENERATIONS);
        let io = |error| StoreError::io(&generations, &error);
        for entry in fs::read_dir(&generations).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if Some(&path) != current.as_ref() {
                fs::remove_dir_all(&path).map_err(|error| StoreError::io(&path, &error))?;
            }
        }
        match fs::remove_file(self.path.join(CURRENT_NEW)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io(&self.path, &error))
            }
            _ => sync_directory(&generations),
        }
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| StoreError::io(path, &error))
}

fn current_text(number: u64) -> String {
    let number = format!("{number:06}");
    format!("{number} {:08x}\n", crc32fast::hash(number.as_bytes()))
}

fn parse_current(text: &str) -> Option<u64> {
    let (number, _) = text.split_once(' ')?;
    let number = number.parse().ok()?;
    (text == current_text(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_leaves_one_generation() {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(temporary.path()).expect("new");
        assert_eq!(directory.current().expect("readable"), None);
        for number in [1, 2] {
            fs::create_dir(directory.generation(number)).expect("made");
        }
        directory.switch_to(2).expect("switched");
        assert_eq!(directory.current().expect("readable"), Some(2));
        assert!(!directory.generation(1).exists() && directory.generation(2).exists());
    }

    #[test]
    fn leftovers_go_and_the_current_generation_stays() {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(temporary.path()).expect("new");
        fs::create_dir(directory.generation(7)).expect("made");
        directory.switch_to(7).expect("switched");
        fs::create_dir(directory.generation(8)).expect("made");
        fs::write(temporary.path().join(CURRENT_NEW), "half").expect("written");
        drop(directory);
        let directory = Directory::open(temporary.path()).expect("again");
        assert!(directory.generation(7).exists() && !directory.generation(8).exists());
        assert!(!temporary.path().join(CURRENT_NEW).exists());
    }

    #[test]
    fn a_lost_pointer_costs_no_data() {
        let temporary = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(temporary.path()).expect("new");
        fs::create_dir(directory.generation(1)).expect("made");
        directory.switch_to(1).expect("switched");
        HighWater::open(temporary.path(), false)
            .expect("there")
            .write(9)
            .expect("written");
        fs::remove_file(temporary.path().join(CURRENT)).expect("removed");
        let kept = directory.generation(1);
        drop(directory);
        assert!(Directory::open(temporary.path()).is_err());
        assert!(kept.exists());
    }

    #[test]
    fn one_process_at_a_time() {
        let temporary = tempfile::tempdir().expect("a directory");
        let held = Directory::open(temporary.path()).expect("new");
        let refused = Directory::open(temporary.path());
        assert!(
            matches!(refused, Err(StoreError::Locked { .. })),
            "{refused:?}"
        );
        drop(held);
        Directory::open(temporary.path()).expect("free again");
    }

    #[test]
    fn a_damaged_pointer_is_noticed() {
        for text in ["", "000001", "000001 00000000\n", "1 x\n"] {
            assert_eq!(parse_current(text), None, "{text:?}");
        }
        assert_eq!(parse_current(&current_text(1_234_567)), Some(1_234_567));
    }
}
