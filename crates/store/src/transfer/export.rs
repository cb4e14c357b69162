//! Sending the state of a store that serves.

use std::io::Write;

use super::frames::{Begin, Frame, FrameWriter, KeyName, SentKey};
use super::personal::{backup_of, pseudonym_of};
use crate::changes::Watch;
use crate::codec;
use crate::error::StoreError;
use crate::files::Generation;
use crate::hash::{IdHasher, KeyedHash};
use crate::keyring::{Slot, Special};
use crate::keys;
use crate::migrations::MIGRATIONS;
use crate::outbox;
use crate::seal::SecretKey;
use crate::shared::Shared;
use crate::writer::WriterHandle;

/// Records, and about how many bytes of them, that are read at a time. No commit goes on meanwhile.
const PAGE_RECORDS: usize = 64;
const PAGE_BYTES: usize = 1 << 20;

/// The writer is paused for no more changed keys than this, unless they keep coming.
const CHANGED_KEYS_FEW: usize = 256;

/// Rounds of catching up before the writer is paused whatever is left.
const ROUNDS_MAX: usize = 10;

/// Facts that are every store's own.
const OWN: [[u8; 2]; 3] = [keys::SCHEMA, keys::COMMIT, keys::BEGUN];

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The mark of the entry that it stands behind.
    pub mark: Vec<u8>,
    /// Records, those among them that were sent again because they changed.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Sends everything that a store holds behind one entry of the log it follows.
pub(crate) fn export(
    shared: &Shared,
    writer: &WriterHandle,
    to: impl Write,
) -> Result<Exported, StoreError> {
    let changes = {
        let index = shared.index();
        if !index.follows_log {
            return Err(StoreError::FollowsNoLog);
        }
        // Between two commits: from the next one on, what changes is noted.
        shared.changes.watch()
    };
    let ring = &shared.files.ring;
    let begin = Begin {
        schema: MIGRATIONS.len() as u32,
        hash: SentKey::of(&ring.special(Special::Hash)?),
        webhook: SentKey::of(&outbox::root_key(ring)?),
    };
    let mut export = Export {
        shared,
        names: IdHasher::new(&SecretKey::random()),
        to: FrameWriter::begin(to, begin)?,
        records: 0,
    };
    export.send_all()?;
    export.catch_up(&changes)?;
    let last = export.last(&changes, writer)?;
    export.send(&last.frames)?;
    Ok(Exported {
        mark: last.mark,
        records: export.records,
        bytes: export.to.finish()?,
    })
}

struct Export<'a, W: Write> {
    shared: &'a Shared,
    /// Names keys and pseudonyms for this transfer.
    names: IdHasher,
    to: FrameWriter<W>,
    records: u64,
}

/// What is sent last, as it was while the writer was paused.
struct Last {
    frames: Vec<Frame>,
    mark: Vec<u8>,
}

impl<W: Write> Export<'_, W> {
    /// Sends every record, page by page; whoever receives slowly keeps nobody here waiting.
    fn send_all(&mut self) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let (frames, next) = self.page(from)?;
            self.send(&frames)?;
            let Some(next) = next else {
                return Ok(());
            };
            from = next;
        }
    }

    /// The records from a key on, and where the next page begins.
    fn page(&self, from: Vec<u8>) -> Result<(Vec<Frame>, Option<Vec<u8>>), StoreError> {
        self.shared.read(|open| {
            // Whoever has a record has its key as long as the index does not change.
            let _index = self.shared.index();
            let (mut frames, mut bytes) = (Vec::new(), 0);
            for record in open.database.scan_range(&from, &[u8::MAX]) {
                let (key, value) = record?;
                if frames.len() == PAGE_RECORDS || bytes > PAGE_BYTES {
                    return Ok((frames, Some(key.to_vec())));
                }
                bytes += value.len();
                frames.extend(self.frame(open, &key, Some(&value))?);
            }
            Ok((frames, None))
        })
    }

    /// Sends what changed since it was sent, until only a little is left.
    fn catch_up(&mut self, changes: &Watch<'_>) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_MAX {
            if changes.count() <= CHANGED_KEYS_FEW {
                break;
            }
            let changed: Vec<_> = changes.take().into_iter().collect();
            for keys in changed.chunks(PAGE_RECORDS) {
                let frames = self.as_they_are(keys)?;
                self.send(&frames)?;
            }
        }
        Ok(())
    }

    /// What is left, with mark and key of the log, while nothing is committed. It is sent afterwards.
    fn last(&self, changes: &Watch<'_>, writer: &WriterHandle) -> Result<Last, StoreError> {
        let _paused = writer.pause()?;
        let changed: Vec<_> = changes.take().into_iter().collect();
        let mut frames = self.as_they_are(&changed)?;
        let mark = self.shared.read(|open| open.payload(&keys::MARK))?;
        let key = self.shared.files.ring.log_key()?;
        let (Some(mark), Some(key)) = (mark, key) else {
            return Err(StoreError::FollowsNoLog);
        };
        frames.push(Frame::LogKey {
            series: key.series(),
            epoch: key.epoch(),
            key: SentKey::of(key.secret()),
        });
        Ok(Last { frames, mark })
    }

    /// The records at `keys` as they are now.
    fn as_they_are(&self, keys: &[Vec<u8>]) -> Result<Vec<Frame>, StoreError> {
        self.shared.read(|open| {
            let _index = self.shared.index();
            let mut frames = Vec::with_capacity(keys.len());
            for key in keys {
                let value = open.database.get(key)?;
                frames.extend(self.frame(open, key, value.as_deref())?);
            }
            Ok(frames)
        })
    }

    /// What is sent of a record; `None` for what is every store's own.
    fn frame(
        &self,
        open: &Generation,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<Frame>, StoreError> {
        if OWN.iter().any(|own| key == own) {
            return Ok(None);
        }
        let sent = self.renamed(key);
        let Some(value) = value else {
            return Ok(Some(Frame::Gone { key: sent }));
        };
        if !open.codec.is_personal(value)? {
            let payload = open.codec.open(key, value)?;
            return Ok(Some(Frame::Shared { key: sent, payload }));
        }
        let slot = codec::slot_of(value)?;
        let secret = self.secret(slot)?;
        let payload = codec::open_under(slot, &secret, key, value)?;
        let backup = backup_of(key, &payload)?;
        let backup = backup.map(|slot| Ok::<_, StoreError>(self.name(&self.secret(slot)?)));
        Ok(Some(Frame::Personal {
            key: sent,
            under: self.name(&secret),
            backup: backup.transpose()?,
            payload,
        }))
    }

    fn secret(&self, slot: Slot) -> Result<SecretKey, StoreError> {
        let secret = self.shared.files.ring.key(slot)?;
        secret.ok_or_else(StoreError::missing_person)
    }

    /// What a person's key goes by.
    fn name(&self, secret: &SecretKey) -> KeyName {
        let name = self.names.digest(secret.expose());
        *name.first_chunk().expect("a digest has 32 bytes")
    }

    /// The key of a record, with another pseudonym in it.
    fn renamed(&self, key: &[u8]) -> Vec<u8> {
        let mut key = key.to_vec();
        if let Some(pseudonym) = pseudonym_of(&mut key)
            && let Ok(before) = <[u8; 16]>::try_from(&*pseudonym)
        {
            let before = KeyedHash(before);
            pseudonym.copy_from_slice(&self.names.pair(before, before).0);
        }
        key
    }

    fn send(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        self.records += frames.len() as u64;
        frames.iter().try_for_each(|frame| self.to.put(frame))?;
        self.to.flush()
    }
}
