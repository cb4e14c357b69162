//! What readers and the writing thread have in common.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;

use crate::StoreError;
use crate::compaction::CompactionSchedule;
use crate::files::{Files, Generation};
use crate::index::Index;
use crate::keyring::{Mark, MasterKeySource};
use crate::log::LogPosition;
use crate::sync::SyncObserver;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Memory the database may use for its page cache.
    pub cache_bytes: u64,
    /// Nothing new is accepted while the disk has less room than this.
    pub free_space_min_bytes: u64,
    /// Where the master key comes from.
    pub master_key: MasterKeySource,
    /// When the live data are rewritten into a new generation; `None` leaves that to
    /// [`Store::compact`](super::Store::compact).
    pub compaction: Option<CompactionSchedule>,
    /// How long an erasure keeps old events from coming back.
    pub tombstone_days: u32,
    /// A sync that takes longer than this makes the store refuse instead of letting callers wait.
    pub sync_longest: Duration,
    /// Largest database that is copied before it is opened after an unclean stop.
    pub recovery_copy_max_bytes: u64,
    /// Is told of every sync; for tests.
    pub sync_observer: Option<SyncObserver>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            free_space_min_bytes: 64 << 20,
            master_key: MasterKeySource::default(),
            compaction: None,
            tombstone_days: 3_650,
            sync_longest: Duration::from_secs(10),
            recovery_copy_max_bytes: 1 << 30,
            sync_observer: None,
        }
    }
}

/// The open database of one directory.
#[derive(Debug)]
pub(super) struct Shared {
    /// The position of the last durable log entry.
    pub(super) log: watch::Sender<LogPosition>,
    /// Behind a lock because a failed database must be closed, by everyone, before it can be
    /// opened again, and because a new generation takes its place; an error says why it is not
    /// open. Locked before `index`, never after.
    generation: RwLock<Result<Generation, StoreError>>,
    index: RwLock<Index>,
    /// The keys that changed since a compaction began to copy; `None` while there is none.
    changed: Mutex<Option<BTreeSet<Vec<u8>>>>,
    /// The last commit and the erasures accepted up to it.
    mark: Mutex<Mark>,
    /// Held while a generation is being built, so that there is one at a time.
    pub(super) compacting: Mutex<()>,
    /// Closed after the database is.
    pub(super) files: Files,
}

impl Shared {
    /// Opens the current generation.
    pub(super) fn open(files: Files) -> Result<Self, StoreError> {
        let opened = files.open_current().and_then(|generation| {
            let index = files.read_index(&generation)?;
            files.destroy_key_before(generation.number)?;
            Ok((generation, index))
        });
        let (generation, index) = opened.map_err(|error| files.opened_badly(error))?;
        Ok(Self {
            log: watch::Sender::new(LogPosition::default()),
            generation: RwLock::new(Ok(generation)),
            index: RwLock::new(index),
            changed: Mutex::default(),
            mark: Mutex::default(),
            compacting: Mutex::default(),
            files,
        })
    }

    /// Reads from the database. It stays open meanwhile.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Generation) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let generation = self.generation.read();
        let generation = generation.unwrap_or_else(PoisonError::into_inner);
        generation.as_ref().map_err(Clone::clone).and_then(read)
    }

    /// The index, which does not change meanwhile.
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index, to be changed together with the database.
    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that a compaction has still to look at.
    pub(super) fn changed(&self) -> MutexGuard<'_, Option<BTreeSet<Vec<u8>>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the database once nobody reads it any more and opens it again. What was accepted and
    /// not applied stays known: the worker did not start anew.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut generation = self
            .generation
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *generation = Err(StoreError::Closed);
        let opened = self.files.open_current().and_then(|opened| {
            let mut index = self.files.read_index(&opened)?;
            let mut current = self.index_mut();
            index.unapplied = std::mem::take(&mut current.unapplied);
            *current = index;
            Ok(opened)
        });
        *generation = opened;
        generation.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Puts the next generation in place of the current one, which is returned.
    pub(super) fn replace(&self, next: Generation) -> Result<Generation, StoreError> {
        let mut generation = self
            .generation
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *generation, Ok(next))
    }

    /// Notes the last commit, for whoever asks how far the store is.
    pub(super) fn set_mark(&self, mark: Mark) {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    /// The last commit.
    pub(super) fn mark(&self) -> Mark {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the disk has room for something new.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        let path = self.path();
        let free = free_bytes(&path)?;
        if free < self.files.options.free_space_min_bytes {
            return Err(StoreError::NoSpace { path });
        }
        Ok(())
    }

    /// Refuses while a sync takes too long.
    pub(super) fn check_syncs(&self) -> Result<(), StoreError> {
        let stalled = self.files.syncs.stalled_for();
        match stalled > self.files.options.sync_longest {
            true => Err(StoreError::Stalled {
                seconds: stalled.as_secs(),
            }),
            false => Ok(()),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.files.directory.path().to_owned()
    }
}

/// Bytes that are free for us on the disk of `path`.
pub(super) fn free_bytes(path: &std::path::Path) -> Result<u64, StoreError> {
    rustix::fs::statvfs(path)
        .map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
        .map_err(|error| StoreError::io(path, &error.into()))
}
