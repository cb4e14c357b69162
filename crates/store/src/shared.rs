//! What readers and the writing thread have in common.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::changes::Changes;
use crate::disk::free_bytes;
use crate::error::StoreError;
use crate::files::{Files, Generation};
use crate::index::Index;
use crate::keyring::CommitWatermark;
use crate::observer::{Brought, EntryObserver};
use crate::position::LogPosition;
use recant_types::FeedbackTypes;

/// Who is told, if somebody is.
#[derive(Default)]
struct Observing(Mutex<Option<Arc<dyn EntryObserver>>>);

impl Observing {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<dyn EntryObserver>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observing")
            .field(&self.lock().is_some())
            .finish()
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
    /// The keys that change, for whoever copies the records meanwhile.
    pub(super) changes: Changes,
    /// The last commit and the erasures accepted up to it.
    watermark: Mutex<CommitWatermark>,
    /// Who is told what entries of a shared log bring.
    observer: Observing,
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
            files.destroy_log_key_without_mark(&generation)?;
            Ok((generation, index))
        });
        let (generation, index) = opened.map_err(|error| files.opened_badly(error))?;
        Ok(Self {
            log: watch::Sender::new(LogPosition::default()),
            generation: RwLock::new(Ok(generation)),
            index: RwLock::new(index),
            changes: Changes::default(),
            watermark: Mutex::default(),
            observer: Observing::default(),
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

    /// The types of feedback that `index` names, with the rules that the store was opened with.
    pub(super) fn feedback(&self, index: &Index) -> Result<FeedbackTypes, StoreError> {
        let rules = &self.files.options.feedback;
        Ok(FeedbackTypes::new(&index.feedback_types, rules)?)
    }

    /// The index, to be changed together with the database.
    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn set_watermark(&self, watermark: CommitWatermark) {
        *self
            .watermark
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = watermark;
    }

    /// The last commit.
    pub(super) fn watermark(&self) -> CommitWatermark {
        *self
            .watermark
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    /// Tells `observer`, and nobody else any more, what entries bring.
    pub(super) fn observe(&self, observer: Arc<dyn EntryObserver>) {
        *self.observer.lock() = Some(observer);
    }

    /// Whether somebody is told what entries bring.
    pub(super) fn is_observed(&self) -> bool {
        self.observer.lock().is_some()
    }

    /// Tells what entries brought, now that it is durable.
    pub(super) fn tell(&self, brought: Vec<Brought>) {
        let observer = self.observer.lock().clone();
        if let Some(observer) = observer.filter(|_| !brought.is_empty()) {
            observer.brought(brought);
        }
    }

    /// Refuses while a sync takes too long.
    pub(super) fn check_syncs(&self) -> Result<(), StoreError> {
        let stalled = self.files.syncs.stalled_for();
        if stalled > self.files.options.sync_longest {
            return Err(StoreError::Stalled {
                seconds: stalled.as_secs(),
            });
        }
        Ok(())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.files.directory.path().to_owned()
    }
}
