//! One way to read records, whatever the format.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::Wanted;
use super::delimited::DelimitedReader;
use super::error::{ImportError, Rejection};
use super::format::{Format, sniff_delimiter};
use super::json_lines::JsonLinesReader;
use super::movielens::{Layout, MovieLensReader};
use super::parquet::ParquetReader;
use super::record::Record;
use super::source::{Compression, Source, open_file};

/// What a reader found: a record, a row that cannot be one, or the end of the file.
pub(super) type Next = Result<Option<Result<(), Rejection>>, ImportError>;

/// Which of the two kinds of file is read; it decides what the columns of a file without a header
/// mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Interactions,
    Titles,
}

/// Reads the wanted fields of one record after the other.
pub(super) struct RecordReader {
    kind: Kind,
    /// Bytes read so far, for text formats.
    bytes_read: Arc<AtomicU64>,
}

enum Kind {
    Delimited(Box<DelimitedReader>),
    MovieLens(MovieLensReader),
    JsonLines(JsonLinesReader),
    Parquet(ParquetReader),
}

impl RecordReader {
    /// Opens `path`; `format` overrides what its name and content say.
    pub(super) fn open(
        path: &Path,
        wanted: Vec<Wanted>,
        content: Content,
        format: Option<Format>,
    ) -> Result<Self, ImportError> {
        let source = Source::open(path)?;
        let format = format.unwrap_or_else(|| Format::detect(path, &source.head));
        let bytes_read = Arc::clone(&source.bytes_read);
        let kind = match format {
            Format::Parquet => Kind::Parquet(open_parquet(path, &source, &wanted)?),
            _ if source.head.trim_ascii().is_empty() => {
                return Err(ImportError::Empty(path.to_owned()));
            }
            Format::JsonLines => Kind::JsonLines(JsonLinesReader::new(path, source, wanted)?),
            Format::Csv | Format::Tsv => {
                let delimiter = match format {
                    Format::Tsv => b'\t',
                    _ => sniff_delimiter(&source.head),
                };
                Kind::Delimited(Box::new(DelimitedReader::new(
                    path, source, delimiter, &wanted,
                )?))
            }
            Format::MovieLensData | Format::MovieLensDat | Format::MovieLensItem => {
                let layout = Layout::of(format, content).ok_or(ImportError::WrongFormat {
                    path: path.to_owned(),
                    format: format.as_str(),
                    wanted: match content {
                        Content::Interactions => "interactions",
                        Content::Titles => "titles",
                    },
                })?;
                Kind::MovieLens(MovieLensReader::new(path, source, layout))
            }
        };
        Ok(Self { kind, bytes_read })
    }

    /// Reads the next record into `record`, whose number is set even when the row is rejected.
    pub(super) fn next(&mut self, record: &mut Record) -> Next {
        match &mut self.kind {
            Kind::Delimited(reader) => reader.next(record),
            Kind::MovieLens(reader) => reader.next(record),
            Kind::JsonLines(reader) => reader.next(record),
            Kind::Parquet(reader) => reader.next(record),
        }
    }

    /// Whether the file can have the wanted field at `index`.
    pub(super) fn has_field(&self, index: usize) -> bool {
        match &self.kind {
            Kind::Delimited(reader) => reader.has_field(index),
            // Rows differ, or say by their width what they have.
            Kind::JsonLines(_) | Kind::MovieLens(_) => true,
            Kind::Parquet(reader) => reader.has_field(index),
        }
    }

    /// Bytes of the file on the disk that have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.kind {
            Kind::Parquet(reader) => reader.bytes_read(),
            _ => self.bytes_read.load(Ordering::Relaxed),
        }
    }
}

fn open_parquet(
    path: &Path,
    source: &Source,
    wanted: &[Wanted],
) -> Result<ParquetReader, ImportError> {
    if source.compression != Compression::Plain {
        return Err(ImportError::CompressedParquet(path.to_owned()));
    }
    ParquetReader::open(path, open_file(path)?, wanted)
}
