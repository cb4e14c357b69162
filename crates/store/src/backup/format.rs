//! The bytes of a backup. docs/store.md draws them.
//!
//! Magic and version, then frames: length (u32), slot (u32), sealed payload. What belongs to a person
//! is sealed under that person's backup key, everything else under the store's. The number of a
//! frame and the random id of the backup are associated data; the last frame holds a digest of all
//! bytes before it. So a frame that does not open in an intact file is one whose key was destroyed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec;
use crate::error::StoreError;
use crate::keyring::{KeyRing, Slot, Special};
use crate::records::QueuedRow;
use crate::seal::SecretKey;
use recant_types::{FeedbackNumber, FeedbackType, ItemId, UnixMillis, UserId};

const MAGIC: [u8; 8] = *b"RECANTBK";
const VERSION: u32 = 1;

/// Longest frame that is read: a row of factors of the largest model and some room.
const FRAME_BYTES_MAX: u32 = 1 << 20;

/// Interactions in one frame.
pub(super) const ROWS_PER_FRAME: usize = 1_000;

/// What a backup begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupHeader {
    /// Random; binds the frames to this backup.
    pub id: [u8; 16],
    /// When it was begun.
    pub created_at: UnixMillis,
    /// The last commit before it was begun.
    pub commit: u64,
    /// How many erasures had been accepted before it was begun.
    pub erasures: u64,
}

/// One part of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first frame.
    Header(BackupHeader),
    /// Interactions of one person; of equal items the later one counts.
    Person { user: UserId, rows: Vec<BackupRow> },
    /// An item, with the row of its factors, and its title where an earlier version wrote it here.
    Item {
        id: ItemId,
        title: Option<String>,
        factors: Option<Vec<f64>>,
    },
    /// A record that is kept as it is.
    Record { key: Vec<u8>, payload: Vec<u8> },
    /// The last: SHA-256 of every byte before it.
    End { digest: [u8; 32] },
    /// As `Person`, of types of feedback other than the default too: the row at a place has the type
    /// at that number of `types`.
    TypedPerson {
        user: UserId,
        rows: Vec<BackupRow>,
        types: Vec<FeedbackType>,
        numbers: Vec<u8>,
    },
    /// What is said about a person, as JSON; before the interactions of the person.
    Properties { user: UserId, said: Vec<u8> },
    /// As `TypedPerson`, of somebody whose processing was restricted when the backup was made. Whether it
    /// is says the record of the restriction; a frame of its own, so that earlier programs refuse it.
    RestrictedPerson {
        user: UserId,
        rows: Vec<BackupRow>,
        types: Vec<FeedbackType>,
        numbers: Vec<u8>,
    },
}

/// One interaction of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BackupRow {
    pub(super) item: ItemId,
    pub(super) weight: f32,
    pub(super) timestamp: Option<i64>,
    /// What was done, in the store that it was read from or is brought to. Not a part of the row's
    /// bytes.
    #[serde(skip)]
    pub(super) feedback: FeedbackNumber,
}

impl From<QueuedRow> for BackupRow {
    fn from(row: QueuedRow) -> Self {
        Self {
            item: row.item,
            weight: row.weight,
            timestamp: row.timestamp,
            feedback: row.feedback,
        }
    }
}

fn associated(id: &[u8; 16], number: u64, slot: Slot) -> Vec<u8> {
    let mut associated = b"recant backup".to_vec();
    associated.extend_from_slice(id);
    associated.extend_from_slice(&number.to_le_bytes());
    associated.extend_from_slice(&slot.0.to_le_bytes());
    associated
}

/// Writes frames one after another.
pub(super) struct FrameWriter<W: Write> {
    to: W,
    path: PathBuf,
    id: [u8; 16],
    key: SecretKey,
    number: u64,
    digest: Sha256,
    pub(super) bytes: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn begin(
        to: W,
        path: &Path,
        ring: &KeyRing,
        header: BackupHeader,
    ) -> Result<Self, StoreError> {
        let mut writer = Self {
            to,
            path: path.to_owned(),
            id: header.id,
            key: ring.special(Special::Backup)?,
            number: 0,
            digest: Sha256::new(),
            bytes: 0,
        };
        writer.write(&MAGIC)?;
        writer.write(&VERSION.to_le_bytes())?;
        // The reader needs the id to open the first frame.
        writer.write(&header.id)?;
        writer.put(&Frame::Header(header))?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.to
            .write_all(bytes)
            .map_err(|error| StoreError::io(&self.path, &error))
    }

    /// A frame that is no person's.
    pub(super) fn put(&mut self, frame: &Frame) -> Result<(), StoreError> {
        let key = self.key.clone();
        self.put_under(Special::Backup.slot(), &key, frame)
    }

    /// A frame under the key in a person's slot.
    pub(super) fn put_under(
        &mut self,
        slot: Slot,
        key: &SecretKey,
        frame: &Frame,
    ) -> Result<(), StoreError> {
        let payload = codec::to_postcard(frame);
        let sealed = key.seal(&associated(&self.id, self.number, slot), &payload);
        self.number += 1;
        self.write(&(sealed.len() as u32).to_le_bytes())?;
        self.write(&slot.0.to_le_bytes())?;
        self.write(&sealed)
    }

    pub(super) fn finish(mut self) -> Result<(W, u64), StoreError> {
        let digest = self.digest.clone().finalize().into();
        self.put(&Frame::End { digest })?;
        self.to
            .flush()
            .map_err(|error| StoreError::io(&self.path, &error))?;
        Ok((self.to, self.bytes))
    }
}

/// Reads frames one after another.
pub(super) struct FrameReader<'a> {
    from: BufReader<File>,
    path: PathBuf,
    ring: &'a KeyRing,
    key: SecretKey,
    id: [u8; 16],
    number: u64,
    digest: Sha256,
}

/// What became of a frame.
pub(super) enum ReadFrame {
    Frame(Slot, Frame),
    /// A person's, whose key is destroyed.
    Gone,
    End,
}

impl<'a> FrameReader<'a> {
    /// Opens a backup and reads its header.
    pub(super) fn open(path: &Path, ring: &'a KeyRing) -> Result<(Self, BackupHeader), StoreError> {
        let file = File::open(path).map_err(|error| StoreError::io(path, &error))?;
        let mut reader = Self {
            from: BufReader::with_capacity(1 << 20, file),
            path: path.to_owned(),
            ring,
            key: ring.special(Special::Backup)?,
            id: [0; 16],
            number: 0,
            digest: Sha256::new(),
        };
        let mut start = [0; 12];
        reader.read(&mut start)?;
        if start[..8] != MAGIC {
            return Err(reader.damaged("it is no backup"));
        }
        if start[8..] != VERSION.to_le_bytes() {
            return Err(reader.damaged("it has a format that this program does not know"));
        }
        let mut id = [0; 16];
        reader.read(&mut id)?;
        reader.id = id;
        match reader.next()? {
            ReadFrame::Frame(_, Frame::Header(header)) if header.id == id => Ok((reader, header)),
            _ => Err(reader.damaged("it does not begin with a header")),
        }
    }

    pub(super) fn damaged(&self, what: &str) -> StoreError {
        StoreError::Backup {
            path: self.path.clone(),
            problem: what.to_owned(),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        let read = self.from.read_exact(bytes);
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it is cut off"),
            _ => StoreError::io(&self.path, &error),
        })?;
        self.digest.update(bytes);
        Ok(())
    }

    /// Nothing may follow the last frame: nobody has vouched for it.
    fn expect_end(&mut self) -> Result<ReadFrame, StoreError> {
        let rest = self.from.fill_buf();
        let rest = rest.map_err(|error| StoreError::io(&self.path, &error))?;
        if rest.is_empty() {
            return Ok(ReadFrame::End);
        }
        Err(self.damaged("something follows its end"))
    }

    /// The next frame.
    pub(super) fn next(&mut self) -> Result<ReadFrame, StoreError> {
        let before = self.digest.clone();
        let mut start = [0; 8];
        self.read(&mut start)?;
        let number = |at: usize| {
            u32::from_le_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]])
        };
        let (length, slot) = (number(0), Slot(number(4)));
        if length > FRAME_BYTES_MAX {
            return Err(self.damaged("a frame is too long"));
        }
        let mut sealed = vec![0; length as usize];
        self.read(&mut sealed)?;
        let associated = associated(&self.id, self.number, slot);
        self.number += 1;
        if slot == Special::Backup.slot() {
            let payload = self.key.open(&associated, &sealed);
            let payload = payload.map_err(|_| {
                self.damaged("it is damaged, or belongs to a store with another key ring")
            })?;
            return match codec::from_postcard(&payload)? {
                Frame::End { digest } if digest == *before.finalize() => self.expect_end(),
                Frame::End { .. } => Err(self.damaged("it is damaged")),
                frame => Ok(ReadFrame::Frame(slot, frame)),
            };
        }
        let payload = self
            .ring
            .key(slot)?
            .and_then(|key| key.open(&associated, &sealed).ok());
        match payload {
            Some(payload) => Ok(ReadFrame::Frame(slot, codec::from_postcard(&payload)?)),
            None => Ok(ReadFrame::Gone),
        }
    }
}
