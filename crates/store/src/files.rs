//! A store's directory with its key ring: what has to be open before any database is.

use std::path::Path;
use std::sync::Arc;

use crate::codec::{self, Codec};
use crate::database::Database;
use crate::directory::Directory;
use crate::error::StoreError;
use crate::guard::{self, OpenMark};
use crate::hash::IdHasher;
use crate::index::Index;
use crate::keyring::{CommitWatermark, KeyRing, Special};
use crate::keys::{self, Pseudonym};
use crate::legacy_watermark;
use crate::options::StoreOptions;
use crate::position::LogPosition;
use crate::records::{QueuedRecord, QueuedRow, StoredInteraction, unpack_history};
use crate::seal::SecretKey;
use crate::sync::Syncs;
use crate::zeroing;

/// The locked directory and the open key ring. Lives as long as the store.
#[derive(Debug)]
pub(super) struct Files {
    /// Says that the store is open; goes before the lock does.
    pub(super) open_mark: OpenMark,
    pub(super) directory: Directory,
    pub(super) ring: Arc<KeyRing>,
    pub(super) hasher: IdHasher,
    pub(super) syncs: Syncs,
    pub(super) options: StoreOptions,
}

/// One generation's database and how its records are sealed.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) database: Database,
    pub(super) codec: Codec,
}

impl Generation {
    /// The payload of a record that must be there.
    pub(super) fn held(&self, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        let value = self.database.get(key)?;
        let value = value.ok_or_else(StoreError::missing_person)?;
        self.codec.open(key, &value)
    }

    /// What is held of whose records have this pseudonym, in the order that it is stored in.
    pub(super) fn history(
        &self,
        pseudonym: Pseudonym,
    ) -> Result<Vec<StoredInteraction>, StoreError> {
        let mut held = Vec::new();
        for record in self.database.scan(&keys::history(pseudonym)) {
            let (key, value) = record?;
            unpack_history(&self.codec.open(&key, &value)?, &mut held)?;
        }
        Ok(held)
    }

    /// The payload of a record that is no person's.
    pub(super) fn payload(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.database.get(key)?;
        value.map(|value| self.codec.open(key, &value)).transpose()
    }

    /// A number that is kept by itself; 0 until it is written.
    pub(super) fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        let payload = self.payload(key)?;
        payload.map_or(Ok(0), |payload| codec::read_u64(&payload))
    }

    /// The log position that the histories stand for: what came up to there may still be in the log, too.
    pub(super) fn applied(&self) -> Result<LogPosition, StoreError> {
        self.counter(&keys::APPLIED).map(LogPosition)
    }

    /// Refuses a store that follows a log which stores share.
    pub(super) fn check_single(&self) -> Result<(), StoreError> {
        match self.database.get(&keys::MARK)? {
            Some(_) => Err(StoreError::BelongsToCluster),
            None => Ok(()),
        }
    }

    /// The rows of a part of a log entry.
    pub(super) fn queued(
        &self,
        position: LogPosition,
        part: u16,
    ) -> Result<Vec<QueuedRow>, StoreError> {
        let payload = self.held(&keys::log_part(position, part))?;
        QueuedRecord::unpack(&payload).map(|record| record.rows)
    }
}

impl Files {
    /// Locks the directory and opens the key ring. Makes both in a new directory.
    pub(super) fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let syncs = Syncs::new(options.sync_observer.clone());
        let directory = Directory::open(path, &syncs)?;
        let current = directory.current()?;
        let legacy = legacy_watermark::read(path)?;
        let source = &options.master_key;
        let ring = if KeyRing::exists(path) {
            KeyRing::open(path, source, &syncs)?
        } else if legacy.is_some() || (current.is_none() && directory.numbers()?.is_empty()) {
            let ring = KeyRing::create(path, source, &syncs)?;
            ring.reclaim_unused(&[])?;
            ring
        } else {
            return Err(StoreError::damaged("the key ring is missing"));
        };
        let acknowledged = ring.watermark()?.commit.max(legacy.unwrap_or(0));
        if current.is_none() {
            if acknowledged > 0 {
                return Err(StoreError::damaged("the file CURRENT is missing"));
            }
            // Killed before the first generation: no slot is anybody's yet.
            ring.reclaim_unused(&[])?;
        }
        Self::with_ring(directory, ring, syncs, options)
    }

    /// The same for a directory that something is restored into: it must have a key ring, and may
    /// have lost everything else. `None` when it has no key ring.
    pub(super) fn open_to_restore(
        path: &Path,
        options: &StoreOptions,
    ) -> Result<Option<Self>, StoreError> {
        if !KeyRing::exists(path) {
            return Ok(None);
        }
        let syncs = Syncs::new(options.sync_observer.clone());
        let directory = Directory::open(path, &syncs)?;
        let ring = KeyRing::open(path, &options.master_key, &syncs)?;
        Self::with_ring(directory, ring, syncs, options).map(Some)
    }

    /// The same for a directory that the state of another store is put into: there must be none in it. Ids
    /// are hashed under `hash` from then on.
    pub(super) fn open_to_import(
        path: &Path,
        options: &StoreOptions,
        hash: &SecretKey,
    ) -> Result<Self, StoreError> {
        let syncs = Syncs::new(options.sync_observer.clone());
        let directory = Directory::open(path, &syncs)?;
        let has_ring = KeyRing::exists(path);
        let holds_a_store = directory.current()?.is_some()
            || legacy_watermark::read(path)?.is_some()
            || (!has_ring && !directory.numbers()?.is_empty());
        if holds_a_store {
            let path = path.to_owned();
            return Err(StoreError::HoldsAStore { path });
        }
        let ring = if has_ring {
            KeyRing::open(path, &options.master_key, &syncs)?
        } else {
            KeyRing::create(path, &options.master_key, &syncs)?
        };
        if ring.watermark()?.commit > 0 {
            return Err(StoreError::damaged("the file CURRENT is missing"));
        }
        ring.reclaim_unused(&[])?;
        ring.put(Special::Hash, hash)?;
        Self::with_ring(directory, ring, syncs, options)
    }

    /// Removes what an import that did not come to its end has left: there is no store in the directory.
    pub(super) fn forget_import(&self) -> Result<(), StoreError> {
        for number in self.directory.numbers()? {
            let special = Special::Generation(number);
            if !self.ring.slot_is_empty(special.slot())? {
                self.ring.destroy(special)?;
            }
            zeroing::remove_directory(&self.directory.generation(number), &self.syncs)?;
        }
        self.ring.reclaim_unused(&[])?;
        self.ring.destroy_log_key()?;
        self.ring.destroy(Special::Webhook)?;
        self.ring.put(Special::Hash, &SecretKey::random())
    }

    fn with_ring(
        directory: Directory,
        ring: KeyRing,
        syncs: Syncs,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let hasher = IdHasher::new(&ring.special(Special::Hash)?);
        let open_mark = OpenMark::set(directory.path(), &syncs)?;
        if open_mark.was_unclean() {
            guard::copy_current(&directory, options)?;
        }
        Ok(Self {
            directory,
            ring: Arc::new(ring),
            hasher,
            syncs,
            options: options.clone(),
            open_mark,
        })
    }

    /// The database is open and whole: what an unfinished change left beside it goes, and what was
    /// copied to be safe is no longer needed.
    pub(super) fn opened_well(&self) -> Result<(), StoreError> {
        self.directory.remove_leftovers()?;
        guard::remove_copy(&self.directory, &self.syncs)?;
        self.open_mark.set_poisoned(false);
        Ok(())
    }

    /// An error of opening, with where the copy is; the next opening must not take it for closed.
    pub(super) fn opened_badly(&self, error: StoreError) -> StoreError {
        self.open_mark.set_poisoned(true);
        guard::with_hint(error, &self.directory.copy())
    }

    /// The number of the current generation.
    pub(super) fn current(&self) -> Result<u64, StoreError> {
        self.directory
            .current()?
            .ok_or_else(|| StoreError::damaged("there is no CURRENT"))
    }

    /// Opens the database of a generation that is there.
    pub(super) fn open_database(&self, number: u64) -> Result<Database, StoreError> {
        let path = self.directory.generation(number);
        if !path.is_dir() {
            return Err(StoreError::damaged(
                "the generation that CURRENT names is missing: if it was copied while a server ran, copy it again",
            ));
        }
        Database::open(&path, self.options.cache_bytes, &self.syncs)
    }

    /// Opens the current generation; it must be of this version.
    pub(super) fn open_current(&self) -> Result<Generation, StoreError> {
        let number = self.current()?;
        Ok(Generation {
            number,
            database: self.open_database(number)?,
            codec: Codec::new(&self.ring, number)?,
        })
    }

    /// Brings the commit watermark up to what a database holds, so that commits which a crash or a failure
    /// kept from it do not add up.
    pub(super) fn bring_up_watermark(
        &self,
        database: &Database,
        held: CommitWatermark,
    ) -> Result<(), StoreError> {
        if held.commit <= self.ring.watermark()?.commit {
            return Ok(());
        }
        // Whoever wrote it may have been killed before it was synced.
        database.sync()?;
        self.ring.bring_up(held)
    }

    /// Reads the index of a generation, and puts the key ring in order: keys that nobody's records
    /// are sealed under are destroyed.
    pub(super) fn read_index(&self, generation: &Generation) -> Result<Index, StoreError> {
        let index = Index::read(&generation.database, &generation.codec, &self.hasher)?;
        self.ring.reclaim_unused(&index.slots())?;
        Ok(index)
    }

    /// Destroys the key of the generation before `number`, of which nothing is left.
    pub(super) fn destroy_key_before(&self, number: u64) -> Result<(), StoreError> {
        let before = Special::Generation(number + 1);
        if self.ring.slot_is_empty(before.slot())? {
            return Ok(());
        }
        self.ring.destroy(before)
    }

    /// Without a mark a store follows no log: a restore or an import that was interrupted ended that.
    pub(super) fn destroy_log_key_without_mark(
        &self,
        generation: &Generation,
    ) -> Result<(), StoreError> {
        match generation.database.get(&keys::MARK)? {
            Some(_) => Ok(()),
            None => self.ring.destroy_log_key(),
        }
    }
}
