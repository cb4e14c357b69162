//! What readers and the writing thread have in common.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::disk::free_bytes;
use crate::error::StoreError;
use crate::files::{Files, Generation};
use crate::index::Index;
use crate::keyring::Mark;
use crate::position::LogPosition;

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
