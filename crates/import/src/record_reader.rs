//! One way to read records, whatever the format.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::Wanted;
use super::error::ImportError;
use super::format::Format;
use super::options::ReadOptions;
use super::reader::{OpenRequest, ReadRecords};
use super::record::{Content, Next, Record};
use super::source::Source;
use super::syntax::NamedSyntax;

/// Reads the wanted fields of one record after the other.
pub(super) struct RecordReader {
    reader: Box<dyn ReadRecords>,
    /// Bytes read so far of the source.
    bytes_read: Arc<AtomicU64>,
    is_decoded: bool,
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
        if source.head.trim_ascii().is_empty() {
            return Err(ImportError::Empty(path.to_owned()));
        }
        let format = format.unwrap_or_else(|| detect(path, &source.head, options));
        let (bytes_read, is_decoded) = (Arc::clone(&source.bytes_read), source.is_decoded);
        let named = NamedSyntax {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape,
        };
        let reader = (format.description().open)(OpenRequest {
            path,
            source,
            wanted,
            content,
            named,
        })?;
        Ok(Self {
            reader,
            bytes_read,
            is_decoded,
        })
    }

    /// Reads the next record into `record`, whose number is set even when the row is rejected.
    pub(super) fn next(&mut self, record: &mut Record) -> Next {
        record.is_decoded = self.is_decoded;
        self.reader.next(record)
    }

    /// Whether the file can have the wanted field at `index`.
    pub(super) fn has_field(&self, index: usize) -> bool {
        self.reader.has_field(index)
    }

    /// Bytes of the file on the disk that have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        let of_source = || self.bytes_read.load(Ordering::Relaxed);
        self.reader.bytes_read().unwrap_or_else(of_source)
    }
}

/// The format by name and content. Who names a delimiter has fields between delimiters, whatever a
/// name like `ratings.dat` stands for.
fn detect(path: &Path, head: &[u8], options: &ReadOptions) -> Format {
    let format = Format::detect(path, head);
    if options.delimiter.is_some() && format.description().yields_to_delimiter {
        return Format::Csv;
    }
    format
}
