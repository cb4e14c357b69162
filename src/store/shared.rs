//! What readers and the writing thread have in common.

use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::directory::Directory;
use crate::store::log::LogPosition;

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Memory the database may use for its page cache.
    pub cache_bytes: u64,
    /// Nothing new is accepted while the disk has less room than this.
    pub free_space_min_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            free_space_min_bytes: 64 << 20,
        }
    }
}

/// The open database of one directory.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) directory: Directory,
    pub(super) options: StoreOptions,
    /// The position of the last durable log entry.
    pub(super) log: watch::Sender<LogPosition>,
    /// Behind a lock because a failed database must be closed, by everyone, before it can be
    /// opened again; an error says why it is not open.
    database: RwLock<Result<Database, StoreError>>,
}

impl Shared {
    /// Opens the current generation.
    pub(super) fn open(directory: Directory, options: StoreOptions) -> Result<Self, StoreError> {
        let database = open_current(&directory, &options)?;
        Ok(Self {
            directory,
            options,
            log: watch::Sender::new(LogPosition::default()),
            database: RwLock::new(Ok(database)),
        })
    }

    /// Reads from the database. It stays open meanwhile.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        database.as_ref().map_err(Clone::clone).and_then(read)
    }

    /// Closes the database once nobody reads it any more and opens it again.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *database = Err(StoreError::Closed);
        *database = open_current(&self.directory, &self.options);
        database.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Whether the disk has room for something new.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        let path = self.directory.path();
        let free = rustix::fs::statvfs(path)
            .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
            .map_err(|error| StoreError::io(path, &error.into()))?;
        if free < self.options.free_space_min_bytes {
            return Err(StoreError::NoSpace {
                path: path.to_owned(),
            });
        }
        Ok(())
    }
}

fn open_current(directory: &Directory, options: &StoreOptions) -> Result<Database, StoreError> {
    let number = directory
        .current()?
        .ok_or_else(|| StoreError::damaged("there is no CURRENT"))?;
    let path = directory.generation(number);
    if !path.is_dir() {
        return Err(StoreError::damaged("the current generation is missing"));
    }
    Database::open(&path, options.cache_bytes)
}
