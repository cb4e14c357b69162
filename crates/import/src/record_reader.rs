//! One way to read records, whatever the format.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::Wanted;
use super::delimited::DelimitedReader;
use super::error::ImportError;
use super::format::{Format, sniff_delimiter};
use super::json_lines::JsonLinesReader;
use super::movielens::{Layout, MovieLensReader};
use super::options::ReadOptions;
use super::parquet::ParquetReader;
use super::record::{Content, Next, Record};
use super::source::{Compression, Source, open_file};
use super::syntax::{Quote, Syntax};

/// Reads the wanted fields of one record after the other.
pub(super) struct RecordReader {
    kind: Kind,
    /// Bytes read so far, for text formats.
    bytes_read: Arc<AtomicU64>,
    is_decoded: bool,
}

enum Kind {
    Delimited(Box<DelimitedReader>),
    MovieLens(MovieLensReader),
    JsonLines(JsonLinesReader),
    Parquet(ParquetReader),
}

impl RecordReader {
    /// Opens `path`; a `format` overrides what its name and content say.
    pub(super) fn open(
        path: &Path,
        wanted: Vec<Wanted>,
        content: Content,
        format: Option<Format>,
        options: &ReadOptions,
    ) -> Result<Self, ImportError> {
        let source = Source::open(path, options.encoding)?;
        let format = format.unwrap_or_else(|| detect(path, &source.head, options));
        let (bytes_read, is_decoded) = (Arc::clone(&source.bytes_read), source.is_decoded);
        let kind = match format {
            _ if source.head.trim_ascii().is_empty() => {
                return Err(ImportError::Empty(path.to_owned()));
            }
            Format::Parquet => Kind::Parquet(open_parquet(path, &source, &wanted)?),
            Format::JsonLines => Kind::JsonLines(JsonLinesReader::new(path, source, wanted)?),
            Format::Csv | Format::Tsv => {
                let syntax = syntax(format, &source.head, options);
                let reader = DelimitedReader::new(path, source, syntax, content, &wanted)?;
                Kind::Delimited(Box::new(reader))
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
        Ok(Self {
            kind,
            bytes_read,
            is_decoded,
        })
    }

    /// Reads the next record into `record`, whose number is set even when the row is rejected.
    pub(super) fn next(&mut self, record: &mut Record) -> Next {
        record.is_decoded = self.is_decoded;
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

/// The format by name and content. Who names a delimiter has fields between delimiters, whatever a
/// name like `ratings.dat` stands for.
fn detect(path: &Path, head: &[u8], options: &ReadOptions) -> Format {
    match Format::detect(path, head) {
        Format::MovieLensData | Format::MovieLensDat | Format::MovieLensItem
            if options.delimiter.is_some() =>
        {
            Format::Csv
        }
        format => format,
    }
}

/// What stands between the fields and around them: as it was named, or as the header shows. Between
/// tabs quotes mean nothing unless they were named: no program writes tabs within fields, and many
/// write quotes.
fn syntax(format: Format, head: &[u8], options: &ReadOptions) -> Syntax {
    let delimiter = match (options.delimiter, format) {
        (Some(named), _) => named.0,
        (None, Format::Tsv) => b'\t',
        _ => sniff_delimiter(head),
    };
    Syntax {
        delimiter,
        quote: match options.quote {
            Some(Quote::Character(quote)) => Some(quote),
            Some(Quote::None) => None,
            None => (delimiter != b'\t').then_some(b'"'),
        },
        escape: options.escape.map(|escape| escape.0),
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
