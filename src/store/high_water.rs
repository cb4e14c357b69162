//! What was acknowledged, noted outside the database.
//!
//! A damaged or cut database file can open without complaint and lack its newest part. This file
//! holds the number of the last acknowledged commit: a database that is behind it is refused.
//! Two slots are written in turn, in place, so that one torn write leaves the other.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

const NAME: &str = "high-water";
const MAGIC: [u8; 4] = *b"RHW1";
const SLOT_BYTES: usize = 16;
/// Slots lie in sectors of their own.
const SLOT_DISTANCE: u64 = 4096;

/// The number of the last acknowledged commit, on the disk.
#[derive(Debug)]
pub(super) struct HighWater {
    file: File,
    path: PathBuf,
}

impl HighWater {
    /// Opens the mark in `directory`, or makes one at zero when `create` is set.
    pub(super) fn open(directory: &Path, create: bool) -> Result<Self, StoreError> {
        let path = directory.join(NAME);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(&path);
        match opened {
            Ok(file) => Ok(Self { file, path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(StoreError::damaged("the high-water mark is missing"))
            }
            Err(error) => Err(StoreError::io(&path, &error)),
        }
    }

    /// The last acknowledged commit; 0 for a new mark.
    pub(super) fn read(&self) -> Result<u64, StoreError> {
        let length = self
            .file
            .metadata()
            .map_err(|error| StoreError::io(&self.path, &error))?
            .len();
        if length == 0 {
            return Ok(0);
        }
        let slots = (0..2).map(|slot| {
            let mut bytes = [0; SLOT_BYTES];
            let read = self.file.read_exact_at(&mut bytes, slot * SLOT_DISTANCE);
            read.ok().and_then(|()| decode(&bytes))
        });
        slots
            .flatten()
            .max()
            .ok_or_else(|| StoreError::damaged("the high-water mark is unreadable"))
    }

    /// Refuses a database whose last commit is `held` when a later one was acknowledged.
    pub(super) fn check(&self, held: u64) -> Result<(), StoreError> {
        let acknowledged = self.read()?;
        if held < acknowledged {
            return Err(StoreError::Behind { held, acknowledged });
        }
        Ok(())
    }

    /// Notes that `commit` is about to be acknowledged; durable on return.
    pub(super) fn write(&self, commit: u64) -> Result<(), StoreError> {
        let offset = (commit % 2) * SLOT_DISTANCE;
        self.file
            .write_all_at(&encode(commit), offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| StoreError::io(&self.path, &error))
    }
}

fn encode(commit: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..12].copy_from_slice(&commit.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<u64> {
    let [.., c0, c1, c2, c3] = *bytes;
    let intact = crc32fast::hash(&bytes[..12]) == u32::from_le_bytes([c0, c1, c2, c3]);
    let commit = bytes[4..12].try_into().map(u64::from_le_bytes).ok()?;
    (intact && bytes.starts_with(&MAGIC)).then_some(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_intact_slot_counts() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(HighWater::open(directory.path(), false).is_err());
        let mark = HighWater::open(directory.path(), true).expect("made");
        assert_eq!(mark.read().expect("new"), 0);
        for commit in 1..=5 {
            mark.write(commit).expect("written");
            assert_eq!(mark.read().expect("read"), commit);
        }
        let flip = |slot: u64| {
            mark.file
                .write_all_at(&[7], slot * SLOT_DISTANCE + 5)
                .expect("hit")
        };
        flip(1);
        assert_eq!(mark.read().expect("one slot is left"), 4);
        flip(0);
        assert!(mark.read().is_err());
    }
}
