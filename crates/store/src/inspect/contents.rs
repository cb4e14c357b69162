//! What is in a closed store, read from a copy of its database.
//!
//! The database is copied because opening it writes to it. The copy holds what the files hold,
//! ciphertext; the key ring is not copied but read in its place.

use std::path::Path;
use std::sync::Arc;

use super::layout::{generation_name, lock};
use super::scratch::Scratch;
use crate::codec::{self, Codec};
use crate::database::{Database, wait_until_let_go};
use crate::directory::{CURRENT, GENERATIONS, parse_current};
use crate::disk::free_bytes;
use crate::error::StoreError;
use crate::fact::Settlement;
use crate::guard::{copy_directory, size_of};
use crate::keyring::KeyRing;
use crate::keys;
use crate::migrations::{MIGRATIONS, SEALED_VERSION, schema_version};
use crate::options::StoreOptions;
use crate::position::LogPosition;
use crate::receipt_keys;
use crate::records::{Begun, ModelHeader, unpack_history};
use crate::sync::Syncs;
use recant_receipt::{ChainHead, JwkSet};
use recant_types::{ErasureRecord, ErasureStatus, UnixMillis};

/// What came of looking into a store.
#[derive(Debug)]
pub enum Inspected {
    /// What is in it.
    Contents(Box<Contents>),
    /// It has a schema version that is not read as it is: from the future, or before records were sealed.
    OtherSchema {
        /// The version of the store.
        found: u32,
        /// The latest version known.
        known: u32,
    },
    /// Its database is larger than what may be copied, or than the room for a copy.
    TooLarge {
        /// Bytes of the database.
        bytes: u64,
        /// Bytes that a copy could have.
        room: u64,
    },
}

/// Erasures that are not certified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnfinishedErasures {
    /// How many the live model still answers from, as far as the store knows.
    pub not_forgotten: u64,
    /// How many are forgotten and wait for their certificate.
    pub uncertified: u64,
    /// When the oldest of either was accepted.
    pub oldest: Option<UnixMillis>,
    /// Why the newest of those that were tried is not certified.
    pub failure: Option<String>,
}

/// What is in a store. Nothing of it names anybody.
#[derive(Debug)]
pub struct Contents {
    /// The schema version.
    pub schema: u32,
    /// The version that this program brings a store to.
    pub known_schema: u32,
    /// The last commit that the database holds.
    pub commit: u64,
    /// The last commit that the key ring says was acknowledged.
    pub acknowledged: u64,
    /// Records that do not open or cannot be read.
    pub unreadable: u64,
    /// Users with a row.
    pub users: u64,
    /// Items with a row.
    pub items: u64,
    /// Interactions in histories.
    pub interactions: u64,
    /// The header of the stored model.
    pub model: Option<ModelHeader>,
    /// When the current generation was begun; the last compaction, as a rule.
    pub begun_at: Option<UnixMillis>,
    /// Erasures accepted since then.
    pub erasures_since: u64,
    /// The position of the last entry of the log.
    pub log_end: LogPosition,
    /// The position that the stored interactions stand for.
    pub applied: LogPosition,
    /// Erasures that are not done.
    pub unfinished: UnfinishedErasures,
    /// Tombstones.
    pub tombstones: u64,
    /// The latest time that the store noted of itself.
    pub newest: Option<UnixMillis>,
    /// All receipts and settlements, in compact form, in no order.
    pub receipts: Vec<String>,
    /// The end of their chain.
    pub receipt_head: ChainHead,
    /// The keys that they are checked with, or what is wrong with the file that has them.
    pub receipt_keys: Result<JwkSet, StoreError>,
}

/// Looks into the closed store in `path`, through a copy of its database in a new folder below
/// `scratch`, which is removed again. The lock is held meanwhile.
///
/// Refuses a store that is in use, and fails where opening it would.
pub fn inspect(
    path: &Path,
    options: &StoreOptions,
    scratch: &Path,
) -> Result<Inspected, StoreError> {
    let _lock = lock(path)?;
    let text = std::fs::read_to_string(path.join(CURRENT))
        .map_err(|error| StoreError::io(&path.join(CURRENT), &error))?;
    let number = parse_current(&text)
        .ok_or_else(|| StoreError::damaged("the file CURRENT is unreadable"))?;
    let ring = KeyRing::open_unchanged(path, &options.master_key)?;
    let live = path.join(GENERATIONS).join(generation_name(number));
    if !live.is_dir() {
        return Err(StoreError::damaged(
            "the generation that CURRENT names is missing",
        ));
    }
    let bytes = size_of(&live)?;
    let room = free_bytes(scratch)?.min(options.recovery_copy_max_bytes);
    if bytes > room {
        return Ok(Inspected::TooLarge { bytes, room });
    }
    let scratch = Scratch::new(scratch)?;
    let copy = scratch.path().join("database");
    copy_directory(&live, &copy)?;
    let seen = Database::open(&copy, options.cache_bytes, &Syncs::new(None))
        .and_then(|database| read(&database, path, &Arc::new(ring), number));
    wait_until_let_go(&copy.join("db"))?;
    seen
}

fn read(
    database: &Database,
    path: &Path,
    ring: &Arc<KeyRing>,
    generation: u64,
) -> Result<Inspected, StoreError> {
    let (found, known) = (schema_version(database)?, MIGRATIONS.len() as u32);
    if found > known || found < SEALED_VERSION {
        return Ok(Inspected::OtherSchema { found, known });
    }
    let codec = Codec::new(ring, generation)?;
    let number = |key: &[u8]| {
        let value = database.get(key)?;
        value.map_or(Ok(0), |value| codec::read_u64(&codec.open(key, &value)?))
    };
    let mut contents = Contents {
        schema: found,
        known_schema: known,
        commit: number(&keys::COMMIT)?,
        acknowledged: ring.watermark()?.commit,
        unreadable: 0,
        users: 0,
        items: 0,
        interactions: 0,
        model: None,
        begun_at: None,
        erasures_since: number(&keys::ERASURES)?,
        log_end: LogPosition(number(&keys::NEXT_POSITION)?.saturating_sub(1)),
        applied: LogPosition(number(&keys::APPLIED)?),
        unfinished: UnfinishedErasures::default(),
        tombstones: 0,
        newest: None,
        receipts: Vec::new(),
        receipt_head: ChainHead::default(),
        receipt_keys: receipt_keys::checked(path, ring),
    };
    // No record is sealed under it.
    contents.unreadable += u64::from(ring.log_key().is_err());
    for record in database.scan_all() {
        let (key, value) = record?;
        if key == keys::SCHEMA {
            continue;
        }
        let payload = codec.open(&key, &value);
        if payload
            .and_then(|payload| contents.take(&key, payload))
            .is_err()
        {
            contents.unreadable += 1;
        }
    }
    Ok(Inspected::Contents(Box::new(contents)))
}

impl Contents {
    /// Takes one record into account.
    fn take(&mut self, key: &[u8], payload: Vec<u8>) -> Result<(), StoreError> {
        match key {
            [keys::USER, ..] => self.users += 1,
            [keys::ITEM, ..] => self.items += 1,
            [keys::TOMBSTONE, ..] => self.tombstones += 1,
            [keys::HISTORY, ..] => {
                let mut held = Vec::new();
                unpack_history(&payload, &mut held)?;
                self.interactions += held.len() as u64;
            }
            [keys::ERASURE, ..] => self.take_erasure(&codec::from_json(&payload)?),
            [keys::RECEIPT, ..] => {
                let text = String::from_utf8(payload);
                let text = text.map_err(|_| StoreError::damaged("a receipt is not readable"))?;
                self.receipts.push(text);
            }
            [keys::SETTLEMENT, ..] => {
                let settlement: Settlement = codec::from_json(&payload)?;
                self.receipts.push(settlement.receipt);
            }
            _ if key == keys::RECEIPT_HEAD => self.receipt_head = codec::from_json(&payload)?,
            _ if key == keys::MODEL => {
                let header: ModelHeader = codec::from_json(&payload)?;
                self.note(header.certified.map(|certified| certified.at));
                self.model = Some(header);
            }
            _ if key == keys::BEGUN => {
                let begun: Begun = codec::from_postcard(&payload)?;
                self.begun_at = Some(begun.at);
                self.erasures_since = self.erasures_since.saturating_sub(begun.erasures);
                self.note(Some(begun.at));
            }
            _ => {}
        }
        Ok(())
    }

    /// Erasures come in the order of their ids, and so of their acceptance.
    fn take_erasure(&mut self, record: &ErasureRecord) {
        for time in [
            Some(record.accepted_at),
            record.erased_at,
            record.forgotten_at,
            record.certified_at,
        ] {
            self.note(time);
        }
        match record.status {
            ErasureStatus::Certified => return,
            ErasureStatus::Forgotten => self.unfinished.uncertified += 1,
            _ => self.unfinished.not_forgotten += 1,
        }
        let unfinished = &mut self.unfinished;
        unfinished.oldest = unfinished
            .oldest
            .into_iter()
            .chain([record.accepted_at])
            .min();
        if record.failure.is_some() {
            unfinished.failure.clone_from(&record.failure);
        }
    }

    fn note(&mut self, time: Option<UnixMillis>) {
        self.newest = self.newest.max(time);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::{ImportSession, Store};

    fn imported(path: &Path) {
        let session = ImportSession::begin(path, &StoreOptions::default()).expect("begun");
        let mut writer = session.writer().expect("a writer");
        for (user, item) in [("ada", "boat"), ("ada", "tree"), ("bob", "boat")] {
            writer.push(user, item, 1.0, None).expect("pushed");
        }
        writer.finish().expect("durable");
    }

    /// Every file below `path` with its bytes.
    fn files(path: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(path).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, into);
            } else {
                let bytes = fs::read(&path).expect("readable");
                into.insert(path, bytes);
            }
        }
    }

    fn look(path: &Path, scratch: &Path) -> Result<Inspected, StoreError> {
        inspect(path, &StoreOptions::default(), scratch)
    }

    #[test]
    fn what_is_in_a_store_is_counted_and_nothing_is_changed() {
        let (folder, scratch) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("another"),
        );
        imported(folder.path());
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        files(folder.path(), &mut before);
        let seen = look(folder.path(), scratch.path()).expect("looked into");
        let Inspected::Contents(seen) = seen else {
            panic!("{seen:?}")
        };
        assert_eq!((seen.users, seen.items, seen.interactions), (2, 2, 3));
        assert_eq!((seen.unreadable, seen.tombstones), (0, 0));
        assert_eq!(seen.schema, seen.known_schema);
        assert_eq!(seen.commit, seen.acknowledged);
        assert_eq!(seen.unfinished, UnfinishedErasures::default());
        files(folder.path(), &mut after);
        assert!(before == after, "a file was changed");
        let left = fs::read_dir(scratch.path()).expect("readable").count();
        assert_eq!(left, 0, "the copy is still there");
    }

    #[test]
    fn a_store_in_use_and_one_without_room_are_let_alone() {
        let (folder, scratch) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("another"),
        );
        let open = Store::open(folder.path(), &StoreOptions::default()).expect("opened");
        let seen = look(folder.path(), scratch.path());
        assert!(matches!(seen, Err(StoreError::Locked { .. })), "{seen:?}");
        drop(open);
        let options = StoreOptions {
            recovery_copy_max_bytes: 1,
            ..StoreOptions::default()
        };
        let seen = inspect(folder.path(), &options, scratch.path()).expect("looked at");
        assert!(
            matches!(seen, Inspected::TooLarge { room: 1, .. }),
            "{seen:?}"
        );
        Store::open(folder.path(), &StoreOptions::default()).expect("the lock was given back");
    }

    #[test]
    fn a_destroyed_key_shows_in_what_does_not_open() {
        let (folder, scratch) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("another"),
        );
        imported(folder.path());
        let ring = folder.path().join("keys/ring");
        let mut bytes = fs::read(&ring).expect("readable");
        // The slots of persons, which begin behind those of the store itself.
        bytes[16_384 + 16 * 64..].fill(0);
        fs::write(&ring, bytes).expect("written");
        let seen = look(folder.path(), scratch.path()).expect("looked into");
        let Inspected::Contents(seen) = seen else {
            panic!("{seen:?}")
        };
        assert!(seen.unreadable >= 4, "{}", seen.unreadable);
    }
}
