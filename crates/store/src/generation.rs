//! Building the next generation of a store beside the current one.

use crate::codec::{self, Codec};
use crate::database::Database;
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::files::{Files, Generation};
use crate::hash::IdHasher;
use crate::keyring::{CommitWatermark, Special};
use crate::records::{Begun, RestrictionRecord, Tombstone};
use crate::seal::SecretKey;
use crate::{keys, legacy_watermark, zeroing};
use recant_types::UnixMillis;

/// Milliseconds of a day.
const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1_000;

/// A database that will replace the current one, or leave no trace.
///
/// Nothing of it is current before [`NextGeneration::finish`]; dropped earlier, its files are removed
/// at the next start or by the next one that is begun. It has a key of its own, under which the
/// records that are no person's are sealed anew.
#[derive(Debug)]
pub(crate) struct NextGeneration<'a> {
    files: &'a Files,
    generation: Generation,
    /// Tombstones of erasures before this, and ends of restrictions, are left behind.
    tombstones_from: UnixMillis,
}

impl<'a> NextGeneration<'a> {
    /// Begins an empty generation.
    pub(super) fn begin(files: &'a Files) -> Result<Self, StoreError> {
        let number = files.directory.next_number()?;
        let path = files.directory.generation(number);
        zeroing::remove_directory(&path, &files.syncs)?;
        files
            .ring
            .put(Special::Generation(number), &SecretKey::random())?;
        let codec = Codec::new(&files.ring, number)?;
        let database = Database::open(&path, files.options.cache_bytes, &files.syncs)?;
        failpoint("generation_begun");
        let now = UnixMillis::now();
        let kept = i64::from(files.options.tombstone_days).saturating_mul(DAY_MILLISECONDS);
        let next = Self {
            files,
            generation: Generation {
                number,
                database,
                codec,
            },
            tombstones_from: UnixMillis(now.0.saturating_sub(kept)),
        };
        Ok(next)
    }

    /// The database being built.
    pub(super) fn database(&self) -> &Database {
        &self.generation.database
    }

    /// How its records are sealed.
    pub(super) fn codec(&self) -> &Codec {
        &self.generation.codec
    }

    /// How its ids are hashed.
    pub(super) fn hasher(&self) -> &IdHasher {
        &self.files.hasher
    }

    /// Takes over every record of a generation, checked; `observe` sees key, value and payload of
    /// each.
    pub(super) fn copy(
        &self,
        from: &Generation,
        mut observe: impl FnMut(&[u8], &[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for record in from.database.scan_all() {
            let (key, value) = record?;
            if key != keys::SCHEMA {
                observe(&key, &value, &from.codec.open(&key, &value)?)?;
            }
            self.take_over(from, &key, Some(&value))?;
        }
        Ok(())
    }

    /// Brings one key to what it is in another generation. A person's record is taken as it is,
    /// for it is sealed under the person's own key; any other is sealed anew. Returns whether there
    /// is a record now.
    pub(super) fn take_over(
        &self,
        from: &Generation,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<bool, StoreError> {
        let Some(value) = value else {
            return self.remove(key).map(|()| false);
        };
        if key == keys::SCHEMA || from.codec.is_personal(value)? {
            self.database().put(key.to_vec(), value.to_vec())?;
            return Ok(true);
        }
        let payload = from.codec.open(key, value)?;
        if self.is_expired(key, &payload)? {
            return self.remove(key).map(|()| false);
        }
        self.put(key.to_vec(), &payload).map(|()| true)
    }

    /// Whether a record tells of an erasure, or of the end of a restriction, that is too long ago.
    fn is_expired(&self, key: &[u8], payload: &[u8]) -> Result<bool, StoreError> {
        let ended_at = match key.first() {
            Some(&keys::TOMBSTONE) => Some(codec::from_postcard::<Tombstone>(payload)?.erased_at),
            Some(&keys::RESTRICTION) => {
                codec::from_postcard::<RestrictionRecord>(payload)?.lifted_at
            }
            _ => None,
        };
        Ok(ended_at.is_some_and(|at| at < self.tombstones_from))
    }

    /// The payload at a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.database().get(key)?;
        value
            .map(|value| self.codec().open(key, &value))
            .transpose()
    }

    /// Keys and payloads with this prefix, ascending.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + use<'_> {
        self.database().scan(prefix).map(|record| {
            let (key, value) = record?;
            let payload = self.codec().open(&key, &value)?;
            Ok((key.to_vec(), payload))
        })
    }

    /// Puts a record that is no person's.
    pub(crate) fn put(&self, key: Vec<u8>, payload: &[u8]) -> Result<(), StoreError> {
        let value = self.codec().seal(&key, payload);
        self.database().put(key, value)
    }

    /// Puts the schema version, which is not sealed.
    pub(super) fn put_schema(&self, version: u32) -> Result<(), StoreError> {
        let value = codec::with_checksum(&keys::SCHEMA, &version.to_le_bytes());
        self.database().put(keys::SCHEMA.to_vec(), value)
    }

    /// Removes a key.
    pub(crate) fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.database().remove(key)
    }

    fn counter(&self, key: &[u8]) -> Result<u64, StoreError> {
        self.get(key)?
            .map_or(Ok(0), |bytes| codec::read_u64(&bytes))
    }

    /// Makes it durable and the current one; it stays open. The one before is closed and removed
    /// with [`remove_before`].
    ///
    /// After an error the one before is current, as it was. Once this one is, there is no way back:
    /// what fails then is in the answer.
    pub(super) fn switch(self) -> Result<Switched, StoreError> {
        let watermark = CommitWatermark {
            commit: self.counter(&keys::COMMIT)? + 1,
            erasures: self.counter(&keys::ERASURES)?,
        };
        self.put(keys::COMMIT.to_vec(), &watermark.commit.to_le_bytes())?;
        let begun = Begun {
            at: UnixMillis::now(),
            commit: watermark.commit,
            erasures: watermark.erasures,
        };
        self.put(keys::BEGUN.to_vec(), &codec::to_postcard(&begun))?;
        self.database().sync()?;
        let (directory, ring) = (&self.files.directory, &self.files.ring);
        let number = self.generation.number;
        let durable = directory.switch_to(number);
        if durable.is_err() && directory.current()? != Some(number) {
            return durable.and(Err(StoreError::Closed));
        }
        let durable = durable.and_then(|()| ring.commit(watermark, &[], None, || ()));
        Ok(Switched {
            generation: self.generation,
            watermark,
            durable,
        })
    }

    /// Makes it durable and the current one, closes it, and removes the one before, which must be
    /// closed.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let files = self.files;
        let Switched {
            generation,
            durable,
            ..
        } = self.switch()?;
        let number = generation.number;
        drop(generation);
        durable?;
        remove_before(files, number)
    }
}

/// A current generation now.
pub(super) struct Switched {
    pub(super) generation: Generation,
    /// Its first commit.
    pub(super) watermark: CommitWatermark,
    /// Whether a power cut could still bring the one before back.
    pub(super) durable: Result<(), StoreError>,
}

/// Removes what came before generation `number`: its files, overwritten with zeros, and its key.
pub(super) fn remove_before(files: &Files, number: u64) -> Result<(), StoreError> {
    files.destroy_key_before(number)?;
    files.directory.remove_leftovers()?;
    failpoint("generation_old_removed");
    legacy_watermark::remove(files.directory.path(), &files.syncs)
}
