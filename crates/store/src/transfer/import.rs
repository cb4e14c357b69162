//! Taking the state of another node's store.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::frames::{Frame, FrameReader, KeyName, refused};
use super::personal::with_backup;
use crate::codec::{PAYLOAD_BYTES_MAX, seal_under};
use crate::error::StoreError;
use crate::failpoint::failpoint;
use crate::files::Files;
use crate::generation::NextGeneration;
use crate::index::Index;
use crate::keyring::{Slot, Special};
use crate::keys;
use crate::log_key::LogKey;
use crate::migrations::MIGRATIONS;
use crate::options::StoreOptions;
use crate::seal::SecretKey;

/// Slots whose keys are ready in an open ring, and those that are readied at a time when they are used up.
const KEYS_READY: usize = 1_024;
const KEYS_READIED: usize = 8_192;

/// Longest key of a record.
const KEY_BYTES_MAX: usize = 256;

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The mark of the entry that it stands behind.
    pub mark: Vec<u8>,
    /// Records that were received, those among them that replaced one before.
    pub records: u64,
}

/// Makes the store in `directory` from what [`Store::export_state`](crate::Store::export_state) of
/// another node wrote: equal to that one behind the entry of the shared log whose mark it has then, under
/// keys of its own. The directory must not hold a store; one that did is [wiped](crate::wipe) first.
///
/// Blocks until it is durable. After an error, of the input or of anything else, there is no store in the
/// directory, as before. Two slots' numbers for each person are held in memory, and one record.
pub fn import_state(
    from: impl Read,
    directory: &Path,
    options: &StoreOptions,
) -> Result<Imported, StoreError> {
    let (mut frames, begin) = FrameReader::open(from)?;
    let known = MIGRATIONS.len() as u32;
    if begin.schema != known {
        return Err(refused(&format!(
            "its records have schema version {}, this program writes {known}: bring both nodes to one \
             version",
            begin.schema
        )));
    }
    let files = Files::open_to_import(directory, options, &begin.hash.secret())?;
    let imported = import(&files, &mut frames, &begin.webhook.secret());
    match imported {
        Ok(imported) => {
            files.opened_well()?;
            Ok(imported)
        }
        Err(error) => {
            // Once it is the current one there is no way back; only a sync of it failed.
            if files.directory.current()?.is_none() {
                files.forget_import()?;
            }
            Err(error)
        }
    }
}

fn import(
    files: &Files,
    frames: &mut FrameReader<impl Read>,
    webhook: &SecretKey,
) -> Result<Imported, StoreError> {
    let mut importing = Importing::begin(files)?;
    while let Some(frame) = frames.next()? {
        importing.take(frame)?;
        failpoint("transfer_middle");
    }
    importing.finish(files, webhook)
}

struct Importing<'a> {
    next: NextGeneration<'a>,
    /// Which slot a key has here, by what it goes by in the transfer.
    slots: HashMap<KeyName, Slot>,
    /// How many of the readied slots are left.
    readied: usize,
    log_key: Option<LogKey>,
    records: u64,
}

impl<'a> Importing<'a> {
    fn begin(files: &'a Files) -> Result<Self, StoreError> {
        Ok(Self {
            next: NextGeneration::begin(files)?,
            slots: HashMap::new(),
            readied: KEYS_READY,
            log_key: None,
            records: 0,
        })
    }

    fn take(&mut self, frame: Frame) -> Result<(), StoreError> {
        match frame {
            Frame::Shared { key, payload } => {
                self.check(&key, &payload)?;
                self.next.put(key, &payload)
            }
            Frame::Personal {
                key,
                under,
                backup,
                payload,
            } => self.take_personal(key, under, backup, payload),
            Frame::Gone { key } => {
                self.check(&key, &[])?;
                self.next.remove(&key)
            }
            Frame::LogKey { series, epoch, key } => {
                self.log_key = Some(LogKey::of(series, epoch, key.secret()));
                Ok(())
            }
            Frame::Begin(_) | Frame::End { .. } => Err(refused("a part of it is out of place")),
        }
    }

    /// Refuses what cannot be a record.
    fn check(&mut self, key: &[u8], payload: &[u8]) -> Result<(), StoreError> {
        self.records += 1;
        let is_own = [keys::SCHEMA, keys::COMMIT, keys::BEGUN]
            .iter()
            .any(|own| key == own);
        let fits = (1..=KEY_BYTES_MAX).contains(&key.len()) && payload.len() <= PAYLOAD_BYTES_MAX;
        if is_own || !fits {
            return Err(refused("a part of it is no record"));
        }
        Ok(())
    }

    fn take_personal(
        &mut self,
        key: Vec<u8>,
        under: KeyName,
        backup: Option<KeyName>,
        mut payload: Vec<u8>,
    ) -> Result<(), StoreError> {
        if let Some(backup) = backup {
            let slot = self.slot(backup)?;
            payload = with_backup(&key, &payload, slot)?;
        }
        self.check(&key, &payload)?;
        let slot = self.slot(under)?;
        let secret = self.next.codec().ring().key(slot)?;
        let secret = secret.ok_or_else(StoreError::missing_person)?;
        let value = seal_under(slot, &secret, &key, &payload);
        self.next.database().put(key, value)
    }

    /// The slot that has the place of a key.
    fn slot(&mut self, name: KeyName) -> Result<Slot, StoreError> {
        if let Some(slot) = self.slots.get(&name) {
            return Ok(*slot);
        }
        let ring = self.next.codec().ring();
        if self.readied == 0 {
            ring.ready(KEYS_READIED)?;
            self.readied = KEYS_READIED;
        }
        self.readied -= 1;
        let slot = ring.take()?;
        self.slots.insert(name, slot);
        Ok(slot)
    }

    /// Makes it durable and the current generation. Before that every key is destroyed that nothing lies
    /// under any more.
    fn finish(self, files: &Files, webhook: &SecretKey) -> Result<Imported, StoreError> {
        let mark = self.next.get(&keys::MARK)?;
        let (Some(mark), Some(log_key)) = (mark, &self.log_key) else {
            return Err(refused("it has no mark of a log, or no key of one"));
        };
        let commit = files.ring.watermark()?.commit;
        (self.next).put(keys::COMMIT.to_vec(), &commit.to_le_bytes())?;
        self.next.put_schema(MIGRATIONS.len() as u32)?;
        let index = Index::read(self.next.database(), self.next.codec(), &files.hasher)?;
        files.ring.reclaim_unused(&index.slots())?;
        files.ring.put(Special::Webhook, webhook)?;
        files.ring.put_log_key(log_key)?;
        self.next.finish()?;
        Ok(Imported {
            mark,
            records: self.records,
        })
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::codec;
    use crate::keys::Pseudonym;
    use crate::records::UserRecord;
    use crate::transfer::frames::SentKey;
    use recant_types::UserId;

    /// The record of a person whose key goes by `under`.
    fn user(under: u8) -> Frame {
        let record = UserRecord {
            row: 0,
            backup: 4_000_000,
            id: UserId::new("ada").expect("an id"),
        };
        Frame::Personal {
            key: keys::user(Pseudonym([under; 16])),
            under: [under; 16],
            backup: Some([9; 16]),
            payload: codec::to_postcard(&record),
        }
    }

    /// As when something of a person was erased after it was sent.
    #[test]
    fn a_key_that_nothing_lies_under_at_the_end_is_destroyed() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = StoreOptions::default();
        let files = Files::open_to_import(folder.path(), &options, &SecretKey::random());
        let files = files.expect("new");
        let mut importing = Importing::begin(&files).expect("begun");
        let gone = keys::user(Pseudonym([1; 16]));
        let mut frames = vec![user(1), Frame::Gone { key: gone }, user(2)];
        frames.push(Frame::Shared {
            key: keys::MARK.to_vec(),
            payload: b"here".to_vec(),
        });
        frames.push(Frame::LogKey {
            series: 1,
            epoch: 3,
            key: SentKey::of(&SecretKey::from_bytes(Zeroizing::new([3; 32]))),
        });
        for frame in frames {
            importing.take(frame).expect("taken");
        }
        let slots = [1, 2, 9].map(|name| importing.slots[&[name; 16]]);
        let key = |slot| files.ring.key(slot).expect("readable");
        let exposed = |key: Option<SecretKey>| key.map(|key| *key.expose());
        let before = slots.map(|slot| exposed(key(slot)));
        importing
            .finish(&files, &SecretKey::random())
            .expect("durable");
        let after = slots.map(|slot| exposed(key(slot)));
        assert_ne!(after[0], before[0], "its key is there still");
        assert_eq!(after[1..], before[1..]);
        assert!(before.iter().all(Option::is_some));
    }
}
