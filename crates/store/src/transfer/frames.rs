//! The bytes of a transfer. docs/store.md draws them.
//!
//! Magic and format, then frames: length (u32), CRC-32 (u32), postcard. They are not sealed: what carries
//! them has to be, and has to know who is at both ends. The last frame holds a digest of all bytes before
//! it, so a transfer that was cut is noticed.

use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::codec;
use crate::error::StoreError;
use crate::seal::{KEY_BYTES, SecretKey};

const MAGIC: [u8; 8] = *b"RECANTST";
const FORMAT: u8 = 1;

/// Longest frame: a record is at most half of it.
const FRAME_BYTES_MAX: u32 = 64 << 10;

/// What a person's key goes by in one transfer.
pub(super) type KeyName = [u8; 16];

/// A key on its way; its memory is overwritten when it is dropped.
#[derive(Serialize, Deserialize)]
pub(super) struct SentKey([u8; KEY_BYTES]);

impl SentKey {
    pub(super) fn of(key: &SecretKey) -> Self {
        Self(*key.expose())
    }

    pub(super) fn secret(&self) -> SecretKey {
        SecretKey::from_bytes(Zeroizing::new(self.0))
    }
}

impl Drop for SentKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a transfer begins with: what the stores of one cluster have in common.
#[derive(Serialize, Deserialize)]
pub(super) struct Begin {
    /// The schema version of the records.
    pub(super) schema: u32,
    /// Keys the hashes in keys and values of records.
    pub(super) hash: SentKey,
    /// The root of the keys that webhooks are signed with and texts sealed that others keep.
    pub(super) webhook: SentKey,
}

/// One part of a transfer. Of the parts about one record the last counts.
#[derive(Serialize, Deserialize)]
pub(super) enum Frame {
    Begin(Begin),
    /// A record that is no person's.
    Shared {
        key: Vec<u8>,
        payload: Vec<u8>,
    },
    /// A record of a person.
    Personal {
        key: Vec<u8>,
        /// The key that it lies under.
        under: KeyName,
        /// The person's key for backups, where the record tells its slot.
        backup: Option<KeyName>,
        payload: Vec<u8>,
    },
    /// There is no such record any more.
    Gone {
        key: Vec<u8>,
    },
    /// The key of the log behind the mark that is among the records.
    LogKey {
        series: u64,
        epoch: u64,
        key: SentKey,
    },
    /// The last: SHA-256 of every byte before it.
    End {
        digest: [u8; 32],
    },
}

/// Writes frames one after another.
pub(super) struct FrameWriter<W: Write> {
    to: BufWriter<W>,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn begin(to: W, begin: Begin) -> Result<Self, StoreError> {
        let mut writer = Self {
            to: BufWriter::with_capacity(FRAME_BYTES_MAX as usize, to),
            digest: Sha256::new(),
            bytes: 0,
        };
        writer.write(&MAGIC)?;
        writer.write(&[FORMAT])?;
        writer.put(&Frame::Begin(begin))?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.to.write_all(bytes).map_err(|error| not_sent(&error))
    }

    pub(super) fn put(&mut self, frame: &Frame) -> Result<(), StoreError> {
        let payload = Zeroizing::new(codec::to_postcard(frame));
        self.write(&(payload.len() as u32).to_le_bytes())?;
        self.write(&crc32fast::hash(&payload).to_le_bytes())?;
        self.write(&payload)
    }

    /// Hands over what was written so far.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.to.flush().map_err(|error| not_sent(&error))
    }

    /// Writes the end; how many bytes it was.
    pub(super) fn finish(mut self) -> Result<u64, StoreError> {
        let digest = self.digest.clone().finalize().into();
        self.put(&Frame::End { digest })?;
        self.flush()?;
        Ok(self.bytes)
    }
}

fn not_sent(error: &std::io::Error) -> StoreError {
    StoreError::Transfer {
        problem: format!("it could not be sent: {error}"),
    }
}

/// Reads frames one after another.
pub(super) struct FrameReader<R: Read> {
    from: BufReader<R>,
    digest: Sha256,
}

/// The error of bytes that are no transfer.
pub(super) fn refused(problem: &str) -> StoreError {
    StoreError::Transfer {
        problem: problem.to_owned(),
    }
}

impl<R: Read> FrameReader<R> {
    /// Reads what a transfer begins with.
    pub(super) fn open(from: R) -> Result<(Self, Begin), StoreError> {
        let mut reader = Self {
            from: BufReader::with_capacity(FRAME_BYTES_MAX as usize, from),
            digest: Sha256::new(),
        };
        let mut start = [0; 9];
        reader.read(&mut start)?;
        if start[..8] != MAGIC {
            return Err(refused("it is something else"));
        }
        if start[8] != FORMAT {
            return Err(refused(
                "it has a format that this program does not know: bring both nodes to one version",
            ));
        }
        match reader.next()? {
            Some(Frame::Begin(begin)) => Ok((reader, begin)),
            _ => Err(refused("it has no beginning")),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        let read = self.from.read_exact(bytes);
        read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => refused("it is cut off"),
            _ => refused(&format!("it could not be received: {error}")),
        })?;
        self.digest.update(bytes);
        Ok(())
    }

    /// The next frame; `None` at the end of an intact transfer.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, StoreError> {
        let before = self.digest.clone();
        let (mut length, mut checksum) = ([0; 4], [0; 4]);
        self.read(&mut length)?;
        self.read(&mut checksum)?;
        let length = u32::from_le_bytes(length);
        if length > FRAME_BYTES_MAX {
            return Err(refused("a part of it is too long"));
        }
        let mut payload = Zeroizing::new(vec![0; length as usize]);
        self.read(&mut payload)?;
        if crc32fast::hash(&payload).to_le_bytes() != checksum {
            return Err(refused("it is damaged"));
        }
        match postcard::take_from_bytes(&payload) {
            Ok((Frame::End { digest }, [])) if digest == *before.finalize() => Ok(None),
            Ok((Frame::End { .. }, _)) => Err(refused("it is damaged")),
            Ok((frame, [])) => Ok(Some(frame)),
            _ => Err(refused("a part of it is not readable")),
        }
    }
}
