//! The open ring file: keys, and the watermark of what was acknowledged.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::log_key::LogKey;
use crate::private;
use crate::seal::SecretKey;
use crate::sync::Syncs;
use crate::zeroing;

use super::format::{
    CommitWatermark, HEADER_AT, HEADER_BYTES, HEADER_COPY_AT, RingKey, SLOT_BYTES, SLOTS_AT,
    SPECIAL_SLOTS, Slot, WATERMARK_BYTES, WATERMARKS_AT,
};
use super::leftovers::{self, RING, RING_NEW};
use super::master::{self, MasterKey, MasterKeySource};
use super::pool::Pool;

/// Commits by which a database may be ahead of its ring. A crash leaves one, since the watermark is
/// brought up before the next commit; a damaged place another; the rest is a margin, because to refuse
/// a store in order would be worse than to take a ring that is a few commits old.
const COMMITS_AHEAD_MAX: u64 = 8;

/// A key that is no person's, by its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// Seals the records of the generation with this number that are no person's. Two slots take
    /// turns, so that the next generation can be built beside the current one.
    Generation(u64),
    /// Keys the hashes by which erasures name what they named.
    Hash,
    /// The seed of the Ed25519 key that receipts are signed with.
    Signing,
    /// Seals the records of a backup that are no person's.
    Backup,
    /// Seals the list of the public keys that receipts are checked with; absent until there is one.
    Published,
    /// The root of the keys that webhooks are signed with and texts sealed that others keep; absent until
    /// there is one.
    Webhook,
    /// The key of the next entries of a log that stores share; absent in a store by itself.
    LogKey,
    /// The numbers of that key's epoch and series, in the form of a key. In the same sector of 512 bytes.
    LogEpoch,
    /// The first key of the next series of keys of that log, while one is to begin. In the same sector, too.
    LogKeyToCome,
}

impl Special {
    /// Where the key is.
    pub(crate) fn slot(self) -> Slot {
        Slot(match self {
            Self::Generation(number) => (number % 2) as u32,
            Self::Hash => 2,
            Self::Signing => 3,
            Self::Backup => 4,
            Self::Published => 5,
            Self::Webhook => 6,
            Self::LogKey => 8,
            Self::LogEpoch => 9,
            Self::LogKeyToCome => 10,
        })
    }
}

/// The open key ring of one directory.
///
/// Shared by everything that seals or opens records; the directory's lock keeps other processes
/// away. Keys are read from the file when they are needed and not kept.
#[derive(Debug)]
pub(crate) struct KeyRing {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) syncs: Syncs,
    key: RingKey,
    /// A std mutex: held for the writes of one commit at most, never across a wait.
    pool: Mutex<Pool>,
}

impl KeyRing {
    /// Whether the directory has a key ring.
    pub(crate) fn exists(directory: &Path) -> bool {
        directory.join(master::KEYS).join(RING).exists()
    }

    /// Makes a key ring with a watermark of nothing.
    pub(crate) fn create(
        directory: &Path,
        source: &MasterKeySource,
        syncs: &Syncs,
    ) -> Result<Self, StoreError> {
        let master = master::read_or_make(source, directory, syncs)?;
        let keys = master::keys_directory(directory, syncs)?;
        let (new, path) = (keys.join(RING_NEW), keys.join(RING));
        zeroing::remove_file(&new, syncs)?;
        let ring = Self::write_new(&new, &path, &master, syncs)?;
        for special in [Special::Hash, Special::Signing, Special::Backup] {
            ring.write_slot(special.slot(), &SecretKey::random())?;
        }
        ring.syncs.data(&ring.file, &new)?;
        failpoint("ring_before_create");
        std::fs::rename(&new, &path).map_err(|error| StoreError::io(&path, &error))?;
        syncs.directory(&keys)?;
        failpoint("ring_after_create");
        Ok(ring)
    }

    /// A ring file at `new`, not synced, that will be renamed to `path`.
    pub(super) fn write_new(
        new: &Path,
        path: &Path,
        master: &MasterKey,
        syncs: &Syncs,
    ) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(new, &error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(new)
            .map_err(io)?;
        let key = RingKey::random();
        let header = key.encode(master);
        file.write_all_at(&header, HEADER_AT).map_err(io)?;
        file.write_all_at(&header, HEADER_COPY_AT).map_err(io)?;
        let watermark = CommitWatermark::default().encode();
        for at in WATERMARKS_AT {
            file.write_all_at(&watermark, at).map_err(io)?;
        }
        file.set_len(SLOTS_AT + u64::from(SPECIAL_SLOTS) * SLOT_BYTES as u64)
            .map_err(io)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            syncs: syncs.clone(),
            key,
            pool: Mutex::default(),
        })
    }

    /// Opens the key ring, and finishes a rotation that was interrupted.
    pub(crate) fn open(
        directory: &Path,
        source: &MasterKeySource,
        syncs: &Syncs,
    ) -> Result<Self, StoreError> {
        let path = directory.join(master::KEYS).join(RING);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::damaged("the key ring is missing"));
            }
            Err(error) => return Err(StoreError::io(&path, &error)),
        };
        for readable in [&path, &directory.join(master::KEYS)] {
            if private::is_open_to_others(readable) {
                tracing::warn!(
                    path = %readable.display(),
                    "others than its owner have rights on the keys: chmod 600, of the directory 700"
                );
            }
        }
        let masters = master::candidates(source, directory)?;
        let (key, number) = read_header(&file, &masters)?;
        let ring = Self {
            file,
            path,
            syncs: syncs.clone(),
            key,
            pool: Mutex::default(),
        };
        leftovers::clean_up(directory, source, number, syncs)?;
        Ok(ring)
    }

    /// Opens the key ring to read it, and leaves what lies beside it as it is. Whatever would write to
    /// it fails.
    pub(crate) fn open_unchanged(
        directory: &Path,
        source: &MasterKeySource,
    ) -> Result<Self, StoreError> {
        let path = directory.join(master::KEYS).join(RING);
        let file = File::open(&path).map_err(|error| StoreError::io(&path, &error))?;
        let (key, _) = read_header(&file, &master::candidates(source, directory)?)?;
        Ok(Self {
            file,
            path,
            syncs: Syncs::new(None),
            key,
            pool: Mutex::default(),
        })
    }

    /// What the ring of a directory says was acknowledged, which needs no key; `None` when there is
    /// none, or none that can be read.
    pub(crate) fn noted_watermark(directory: &Path) -> Option<CommitWatermark> {
        let file = File::open(directory.join(master::KEYS).join(RING)).ok()?;
        newest_watermark(&file)
    }

    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn io(&self, error: &std::io::Error) -> StoreError {
        StoreError::io(&self.path, error)
    }

    /// The key in a slot; `None` when there is none, or none any more.
    pub(crate) fn key(&self, slot: Slot) -> Result<Option<SecretKey>, StoreError> {
        let mut bytes = [0; SLOT_BYTES];
        match self.file.read_exact_at(&mut bytes, slot.offset()) {
            Ok(()) => self.key.decode_slot(slot, &bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(self.io(&error)),
        }
    }

    /// The key of a special slot, which must be there.
    pub(crate) fn special(&self, special: Special) -> Result<SecretKey, StoreError> {
        self.key(special.slot())?
            .ok_or_else(|| StoreError::damaged("a key of the store itself is missing"))
    }

    /// Gives a special slot this key; durable on return.
    pub(crate) fn put(&self, special: Special, key: &SecretKey) -> Result<(), StoreError> {
        self.write_slot(special.slot(), key)?;
        self.syncs.data(&self.file, &self.path)
    }

    /// Destroys the key of a special slot; durable on return.
    pub(crate) fn destroy(&self, special: Special) -> Result<(), StoreError> {
        self.write_bytes(special.slot(), &[0; SLOT_BYTES])?;
        self.syncs.data(&self.file, &self.path)
    }

    pub(super) fn write_slot(&self, slot: Slot, key: &SecretKey) -> Result<(), StoreError> {
        self.write_bytes(slot, &self.encode_slot(slot, key))
    }

    /// What a slot with this key holds.
    pub(super) fn encode_slot(&self, slot: Slot, key: &SecretKey) -> [u8; SLOT_BYTES] {
        self.key.encode_slot(slot, key)
    }

    pub(super) fn write_bytes(&self, slot: Slot, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all_at(bytes, slot.offset())
            .map_err(|error| self.io(&error))
    }

    /// What was acknowledged last.
    pub(crate) fn watermark(&self) -> Result<CommitWatermark, StoreError> {
        newest_watermark(&self.file)
            .ok_or_else(|| StoreError::damaged("the high-water watermark is unreadable"))
    }

    /// Refuses a database whose last commit is `held` when a later one was acknowledged.
    pub(crate) fn check(&self, held: u64) -> Result<(), StoreError> {
        let acknowledged = self.watermark()?.commit;
        if held < acknowledged {
            return Err(StoreError::Behind { held, acknowledged });
        }
        Ok(())
    }

    /// Refuses a database whose last commit is `held` when it is further ahead of the ring than a
    /// crash leaves it: the ring is an old copy. `known` is what else is known to be acknowledged.
    pub(crate) fn check_is_newest(&self, held: u64, known: u64) -> Result<(), StoreError> {
        let acknowledged = self.watermark()?.commit.max(known);
        if held > acknowledged.saturating_add(COMMITS_AHEAD_MAX) {
            return Err(StoreError::OldKeyRing { held, acknowledged });
        }
        Ok(())
    }

    /// Notes a commit that is on the disk and was acknowledged to nobody; durable on return.
    pub(crate) fn bring_up(&self, watermark: CommitWatermark) -> Result<(), StoreError> {
        self.write_watermark(watermark)?;
        self.syncs.data(&self.file, &self.path)
    }

    pub(super) fn write_watermark(&self, watermark: CommitWatermark) -> Result<(), StoreError> {
        self.file
            .write_all_at(
                &watermark.encode(),
                WATERMARKS_AT[(watermark.commit % 2) as usize],
            )
            .map_err(|error| self.io(&error))
    }

    /// Notes what is about to be acknowledged, destroys `slots`, puts the log's key in place of the one
    /// before, and readies spare slots for those that were taken: all durable on return, by one sync.
    /// `written` is called before it.
    pub(crate) fn commit(
        &self,
        watermark: CommitWatermark,
        slots: &[Slot],
        log_key: Option<&LogKey>,
        written: impl FnOnce(),
    ) -> Result<(), StoreError> {
        let mut pool = self.pool();
        for slot in slots {
            self.write_bytes(*slot, &[0; SLOT_BYTES])?;
        }
        let moved_on = log_key.map(|key| self.write_log_key(key)).transpose()?;
        let ready = self.refill_spares(&mut pool)?;
        self.write_watermark(watermark)?;
        written();
        self.syncs.data(&self.file, &self.path)?;
        for slot in slots {
            // Read back: what a receipt says of destroyed keys rests on it.
            if !self.slot_is_empty(*slot)? {
                return Err(StoreError::damaged(
                    "a destroyed key is still in the key ring",
                ));
            }
        }
        if let Some(written) = &moved_on {
            self.check_log_key(written)?;
        }
        pool.add_spares(ready);
        pool.add_empty(slots);
        Ok(())
    }
}

fn newest_watermark(file: &File) -> Option<CommitWatermark> {
    let places = WATERMARKS_AT.into_iter().filter_map(|at| {
        let mut bytes = [0; WATERMARK_BYTES];
        file.read_exact_at(&mut bytes, at).ok()?;
        CommitWatermark::decode(&bytes)
    });
    places.max()
}

fn read_header(file: &File, masters: &[MasterKey]) -> Result<(RingKey, usize), StoreError> {
    let mut wiped = 0;
    for at in [HEADER_AT, HEADER_COPY_AT] {
        let mut header = [0; HEADER_BYTES];
        if file.read_exact_at(&mut header, at).is_err() {
            continue;
        }
        if let Some(read) = RingKey::decode(&header, masters) {
            return read;
        }
        wiped += usize::from(header == [0; HEADER_BYTES]);
    }
    if wiped == 2 {
        return Err(StoreError::Wiped);
    }
    Err(StoreError::damaged("the header of the key ring"))
}
