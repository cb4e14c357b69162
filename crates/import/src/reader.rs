//! What a format has to offer: how it is recognised, and a reader of its records.

use std::path::Path;

use super::columns::Wanted;
use super::error::ImportError;
use super::record::{Content, Next, Record};
use super::source::Source;
use super::syntax::NamedSyntax;

/// Reads the wanted fields of one record after the other.
pub(super) trait ReadRecords: Send {
    /// Reads the next record into `record`, whose number is set even when the row is rejected.
    fn next(&mut self, record: &mut Record) -> Next;

    /// Whether the file can have the wanted field at `index`; rows of some formats differ in that.
    fn has_field(&self, _index: usize) -> bool {
        true
    }

    /// Bytes of the file that have been read, where the reader does not read what is in
    /// [`Source::reader`].
    fn bytes_read(&self) -> Option<u64> {
        None
    }
}

/// A file about to be read.
pub(super) struct OpenRequest<'a> {
    /// Where it lies; only for messages, and for readers that seek.
    pub(super) path: &'a Path,
    /// Its text.
    pub(super) source: Source,
    /// The fields that are wanted, in their order in a [`Record`].
    pub(super) wanted: Vec<Wanted>,
    /// What it is to hold.
    pub(super) content: Content,
    /// What the caller says of delimiters and quotes.
    pub(super) named: NamedSyntax,
}

impl OpenRequest<'_> {
    /// A format of this `name` does not hold what is wanted of it.
    pub(super) fn wrong_format(&self, name: &'static str) -> ImportError {
        ImportError::WrongFormat {
            path: self.path.to_owned(),
            format: name,
            wanted: match self.content {
                Content::Interactions => "interactions",
                Content::Titles => "titles",
            },
        }
    }
}

/// A format: one constant beside its reader, and one line in the list of `format.rs`.
pub(super) struct FormatDescription {
    /// The name used on the command line.
    pub(super) name: &'static str,
    /// Extensions of its files, in lower case.
    pub(super) extensions: &'static [&'static str],
    /// Whether a file without such an extension is one, by its first bytes.
    pub(super) is_content: fn(head: &[u8]) -> bool,
    /// Whether a delimiter that the caller names makes the file one of delimited fields instead.
    pub(super) yields_to_delimiter: bool,
    /// Opens a file of it.
    pub(super) open: fn(OpenRequest<'_>) -> Result<Box<dyn ReadRecords>, ImportError>,
}

/// No bytes are taken for it: what is recognised by its extension only.
pub(super) fn never(_head: &[u8]) -> bool {
    false
}

/// The first line that is not blank, without its ending.
pub(super) fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii_end)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}
