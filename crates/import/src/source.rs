//! Opens a file, undoes its compression and looks at its beginning.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::error::ImportError;

/// Bytes looked at to recognise a format. A header line or a first row fits many times over.
const HEAD_BYTES_MAX: u64 = 8 * 1024;

/// Size of the read buffers, before and after decompression. Larger ones measured no faster.
const BUFFER_BYTES: usize = 128 * 1024;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Plain,
    Gzip,
    Zstd,
}

impl Compression {
    /// By extension, or else by the first bytes.
    fn of(path: &Path, head: &[u8]) -> Self {
        let extension = path
            .extension()
            .and_then(|text| text.to_str())
            .unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "gz" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            _ if head.starts_with(GZIP_MAGIC) => Self::Gzip,
            _ if head.starts_with(ZSTD_MAGIC) => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// What messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A file ready to be read as text.
pub(super) struct Source {
    /// The decompressed bytes, without a byte order mark.
    pub(super) reader: Box<dyn BufRead + Send>,
    /// The first decompressed bytes, still to be read from `reader` too.
    pub(super) head: Vec<u8>,
    /// How the file is compressed.
    pub(super) compression: Compression,
    /// Bytes of the file read so far, as they lie on the disk.
    pub(super) bytes_read: Arc<AtomicU64>,
}

impl Source {
    /// Opens the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let file = CountingReader {
            file: open_file(path)?,
            bytes_read: Arc::clone(&bytes_read),
        };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, file);
        let magic = raw.fill_buf().map_err(|source| read_error(path, source))?;
        let compression = Compression::of(path, magic);
        let mut reader =
            decompressed(raw, compression).map_err(|source| read_error(path, source))?;
        let mut head = Vec::new();
        (&mut reader)
            .take(HEAD_BYTES_MAX)
            .read_to_end(&mut head)
            .map_err(|source| stream_error(path, compression, 0, source))?;
        if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
            return Err(ImportError::Utf16(path.to_owned()));
        }
        if head.starts_with(UTF8_MARK) {
            head.drain(..UTF8_MARK.len());
        }
        Ok(Self {
            reader: Box::new(Cursor::new(head.clone()).chain(reader)),
            head,
            compression,
            bytes_read,
        })
    }
}

/// Opens `path` when it is something that can be read.
pub(super) fn open_file(path: &Path) -> Result<File, ImportError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ImportError::NotFound(path.to_owned()),
        _ => ImportError::Open {
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(ImportError::Directory(path.to_owned()));
    }
    Ok(file)
}

fn decompressed(
    raw: BufReader<CountingReader>,
    compression: Compression,
) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match compression {
        Compression::Plain => Box::new(raw),
        Compression::Gzip => Box::new(BufReader::with_capacity(
            BUFFER_BYTES,
            MultiGzDecoder::new(raw),
        )),
        Compression::Zstd => Box::new(BufReader::with_capacity(
            BUFFER_BYTES,
            zstd::stream::read::Decoder::with_buffer(raw)?,
        )),
    })
}

/// The error for a failed read after `line` lines.
pub(super) fn stream_error(
    path: &Path,
    compression: Compression,
    line: u64,
    source: io::Error,
) -> ImportError {
    let path = path.to_owned();
    let damaged = matches!(
        source.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other
    );
    match compression {
        Compression::Plain => ImportError::Read { path, line, source },
        _ if source.kind() == io::ErrorKind::UnexpectedEof => ImportError::Truncated { path, line },
        _ if damaged => ImportError::Corrupt {
            path,
            compression: compression.name(),
        },
        _ => ImportError::Read { path, line, source },
    }
}

fn read_error(path: &Path, source: io::Error) -> ImportError {
    stream_error(path, Compression::Plain, 0, source)
}

struct CountingReader {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        // Only a progress display reads it, so no ordering is needed.
        self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
