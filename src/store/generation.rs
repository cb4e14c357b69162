//! Building the next generation of a store beside the current one.

use std::fs;

use crate::store::database::Database;
use crate::store::directory::Directory;
use crate::store::high_water::HighWater;
use crate::store::{StoreError, codec, keys};

/// A database that will replace the current one, or leave no trace.
///
/// Nothing of it counts before [`NextGeneration::finish`]; dropped earlier, its files are removed
/// now or at the next start.
#[derive(Debug)]
pub struct NextGeneration<'a> {
    directory: &'a Directory,
    database: Database,
    number: u64,
}

impl<'a> NextGeneration<'a> {
    /// Begins an empty generation.
    pub(super) fn begin(directory: &'a Directory, cache_bytes: u64) -> Result<Self, StoreError> {
        let number = directory.current()?.unwrap_or(0) + 1;
        let path = directory.generation(number);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&path, &error));
            }
            _ => {}
        }
        Ok(Self {
            directory,
            database: Database::open(&path, cache_bytes)?,
            number,
        })
    }

    /// Takes over every record of `database`, checked; `observe` sees key and payload of each.
    pub(super) fn copy(
        &self,
        database: &Database,
        mut observe: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for record in database.scan_all() {
            let (key, value) = record?;
            observe(&key, codec::unwrap(&key, &value)?)?;
            self.database.put(key.to_vec(), value.to_vec())?;
        }
        Ok(())
    }

    /// The payload at a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.database.get(key)?;
        value
            .map(|value| codec::unwrap(key, &value).map(<[u8]>::to_vec))
            .transpose()
    }

    /// Keys and payloads with this prefix, ascending.
    pub fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> + use<'_> {
        self.database.scan(prefix).map(|record| {
            let (key, value) = record?;
            let payload = codec::unwrap(&key, &value)?.to_vec();
            Ok((key.to_vec(), payload))
        })
    }

    /// Puts a payload.
    pub fn put(&self, key: Vec<u8>, payload: &[u8]) -> Result<(), StoreError> {
        let value = codec::wrap(&key, payload);
        self.database.put(key, value)
    }

    /// Removes a key.
    pub fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.database.remove(key)
    }

    /// Makes it durable and the current one. The generation before is removed, so its database
    /// must be closed.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let commit = self
            .get(&keys::COMMIT)?
            .map_or(Ok(0), |bytes| codec::read_u64(&bytes))?
            + 1;
        self.put(keys::COMMIT.to_vec(), &commit.to_le_bytes())?;
        self.database.sync()?;
        // Closed first: its last pages are on the disk before anything points to them.
        let Self {
            directory,
            database,
            number,
        } = self;
        drop(database);
        directory.switch_to(number)?;
        HighWater::open(directory.path(), true)?.write(commit)
    }
}
