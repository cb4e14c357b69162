//! One generation's database: sled, opened with care, and synced for real.

use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::metric_names as names;
use crate::sync::Syncs;

/// A sync that takes longer than this is reported: the disk is in trouble.
const SYNC_SECONDS_LONG: f64 = 5.0;

/// How long a database that was closed may take to let go of its file.
const LET_GO_LONGEST: Duration = Duration::from_secs(2);

/// How long to wait before looking again whether it has.
const LET_GO_STEP: Duration = Duration::from_millis(2);

/// A sled database with one tree, so that one batch is atomic over every kind of record.
#[derive(Debug)]
pub(crate) struct Database {
    tree: sled::Tree,
    database: sled::Db,
    /// sled's own file: `flush` ends in `sync_file_range`, which does not survive a power cut, so
    /// an `fdatasync` of our own follows it.
    file: File,
    path: PathBuf,
    syncs: Syncs,
}

impl Database {
    /// Opens the database in `path`, or makes one there.
    pub(crate) fn open(path: &Path, cache_bytes: u64, syncs: &Syncs) -> Result<Self, StoreError> {
        let fresh = !path.exists();
        wait_until_let_go(&path.join("db"))?;
        let configuration = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        // Damaged files can make sled panic while it reads them.
        let opened = catch_unwind(AssertUnwindSafe(|| configuration.open()));
        let database = opened
            .map_err(|_| StoreError::damaged("the database panicked while it was opened"))?
            .map_err(|error| StoreError::database(path, &error))?;
        let file_path = path.join("db");
        let file = File::open(&file_path).map_err(|error| StoreError::io(&file_path, &error))?;
        let opened = Self {
            tree: (*database).clone(),
            database,
            file,
            path: path.to_owned(),
            syncs: syncs.clone(),
        };
        if fresh {
            opened.sync()?;
            syncs.directory(path)?;
        }
        Ok(opened)
    }

    /// Makes everything applied so far survive a power cut.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let started = Instant::now();
        self.database.flush().map_err(|error| self.error(&error))?;
        self.syncs.data(&self.file, &self.path.join("db"))?;
        let seconds = started.elapsed().as_secs_f64();
        metrics::histogram!(names::STORE_SYNC_SECONDS).record(seconds);
        if seconds > SYNC_SECONDS_LONG {
            tracing::error!(seconds, "a sync took very long; check the disk");
        }
        Ok(())
    }

    /// Applies a batch at once or not at all; durable only after [`Database::sync`].
    pub(crate) fn apply(&self, batch: sled::Batch) -> Result<(), StoreError> {
        self.tree
            .apply_batch(batch)
            .map_err(|error| self.error(&error))
    }

    /// The value at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.tree.get(key).map_err(|error| self.error(&error))
    }

    /// Keys and values with this prefix, ascending.
    pub(crate) fn scan(&self, prefix: &[u8]) -> impl DoubleEndedIterator<Item = Record> + use<'_> {
        self.tree
            .scan_prefix(prefix)
            .map(|pair| pair.map_err(|error| self.error(&error)))
    }

    /// Keys and values from `start` up to `end`, without `end`.
    pub(crate) fn scan_range(
        &self,
        start: &[u8],
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = Record> + use<'_> {
        self.tree
            .range(start.to_vec()..end.to_vec())
            .map(|pair| pair.map_err(|error| self.error(&error)))
    }

    /// Keys and values from `from` on, as long as they have `prefix`.
    pub(crate) fn scan_from(
        &self,
        from: Vec<u8>,
        prefix: u8,
    ) -> impl Iterator<Item = Record> + use<'_> {
        self.scan_range(&from, &[prefix + 1])
    }

    /// Every key and value.
    pub(crate) fn scan_all(&self) -> impl Iterator<Item = Record> + use<'_> {
        self.tree
            .iter()
            .map(|pair| pair.map_err(|error| self.error(&error)))
    }

    /// Puts one value by itself; durable only after [`Database::sync`].
    pub(crate) fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.tree
            .insert(key, value)
            .map(|_| ())
            .map_err(|error| self.error(&error))
    }

    /// Removes one value by itself; durable only after [`Database::sync`].
    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.tree
            .remove(key)
            .map(|_| ())
            .map_err(|error| self.error(&error))
    }

    /// Keys and values below `before` with `prefix`, descending.
    pub(crate) fn scan_back(
        &self,
        before: Vec<u8>,
        prefix: u8,
    ) -> impl Iterator<Item = Record> + use<'_> {
        self.scan_range(&[prefix], &before).rev()
    }

    fn error(&self, error: &sled::Error) -> StoreError {
        StoreError::database(&self.path, error)
    }
}

/// Waits until nobody holds sled's lock on its file.
///
/// The store's own lock keeps other processes out, so whoever holds it is a database of this
/// process that was closed: after a failed write, sled's threads finish what they had begun and
/// keep the file until then.
pub(super) fn wait_until_let_go(file_path: &Path) -> Result<(), StoreError> {
    let io = |error| StoreError::io(file_path, &error);
    let file = match File::open(file_path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    let started = Instant::now();
    loop {
        match file.try_lock() {
            // Given back by name: closing the file would not do while a child that was just forked
            // shares it.
            Ok(()) => return file.unlock().map_err(io),
            Err(TryLockError::WouldBlock) if started.elapsed() < LET_GO_LONGEST => {
                std::thread::sleep(LET_GO_STEP);
            }
            Err(error) => return Err(io(error.into())),
        }
    }
}

/// A key with its value, or why it could not be read.
pub(crate) type Record = Result<(sled::IVec, sled::IVec), StoreError>;

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A child process shares the locks of the files that were open when it was forked until it is
    /// executed: what looked whether a database was let go of must not hold it in such a child.
    #[test]
    fn looking_whether_a_file_is_let_go_of_leaves_it_free_while_others_fork() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("db");
        std::fs::write(&path, "").expect("written");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        Command::new("true").status().expect("run");
                    }
                });
            }
            let taken = (0..2_000).all(|_| {
                wait_until_let_go(&path).expect("free");
                let file = File::open(&path).expect("there");
                let free = file.try_lock().is_ok();
                file.unlock().expect("given back");
                free
            });
            done.store(true, Ordering::Relaxed);
            assert!(taken, "the file was still locked");
        });
    }
}
