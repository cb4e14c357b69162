//! Opens a file, undoes its compression and looks at its beginning.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::bufread::MultiGzDecoder;

use super::archive;
use super::encoding::{Encoding, utf16_order};
use super::error::ImportError;

/// Bytes looked at to recognise a format. A header line or a first row fits many times over.
pub(super) const HEAD_BYTES_MAX: u64 = 8 * 1024;

/// Size of the read buffers, before and after decompression. Larger ones measured no faster.
const BUFFER_BYTES: usize = 128 * 1024;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The byte order mark in UTF-8.
pub(super) const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// How a Parquet file begins, whatever is in it.
pub(super) const PARQUET_MAGIC: &[u8] = b"PAR1";

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
    /// The decompressed bytes in UTF-8, as far as they are that, without a byte order mark.
    pub(super) reader: Box<dyn BufRead + Send>,
    /// The first decompressed bytes, still to be read from `reader` too.
    pub(super) head: Vec<u8>,
    /// How the file is compressed.
    pub(super) compression: Compression,
    /// Whether the text was in another encoding than UTF-8.
    pub(super) is_decoded: bool,
    /// Bytes of the file read so far, as they lie on the disk.
    pub(super) bytes_read: Arc<AtomicU64>,
}

impl Source {
    /// Opens the file at `path`, whose text is in `encoding` when that is named.
    pub(super) fn open(path: &Path, encoding: Option<Encoding>) -> Result<Self, ImportError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let file = CountingReader {
            file: open_file(path)?,
            bytes_read: Arc::clone(&bytes_read),
        };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, file);
        let magic = raw.fill_buf().map_err(|source| read_error(path, source))?;
        let compression = Compression::of(path, magic);
        let reader = decompressed(raw, compression).map_err(|source| read_error(path, source))?;
        let failed = |source| stream_error(path, compression, 0, source);
        let (mut reader, mut head) = with_head(reader).map_err(failed)?;
        if let Some(foreign) = archive::recognise(&head) {
            let path = path.to_owned();
            return Err(ImportError::Foreign {
                path,
                what: foreign.what,
                remedy: foreign.remedy,
            });
        }
        let is_text = !head.starts_with(PARQUET_MAGIC);
        let decoder = encoding.and_then(|encoding| encoding.decoder(&head));
        let decoder = decoder.filter(|_| is_text);
        if let Some(decoder) = decoder {
            let mut builder = DecodeReaderBytesBuilder::new();
            let decoded = builder
                .encoding(Some(decoder))
                .strip_bom(true)
                .build(reader);
            let decoded = Box::new(BufReader::with_capacity(BUFFER_BYTES, decoded));
            (reader, head) = with_head(decoded).map_err(failed)?;
        } else if is_text && let Some(order) = utf16_order(&head) {
            return Err(ImportError::Utf16 {
                path: path.to_owned(),
                order: order.name(),
            });
        }
        if head.starts_with(UTF8_MARK) {
            head.drain(..UTF8_MARK.len());
            reader.consume(UTF8_MARK.len());
        }
        Ok(Self {
            reader,
            head,
            compression,
            is_decoded: decoder.is_some(),
            bytes_read,
        })
    }
}

/// The first bytes of a stream, and a stream that still has them.
fn with_head(
    mut reader: Box<dyn BufRead + Send>,
) -> io::Result<(Box<dyn BufRead + Send>, Vec<u8>)> {
    let mut head = Vec::new();
    (&mut reader).take(HEAD_BYTES_MAX).read_to_end(&mut head)?;
    Ok((Box::new(Cursor::new(head.clone()).chain(reader)), head))
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
