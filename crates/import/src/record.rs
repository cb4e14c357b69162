//! The wanted fields of one record, in one buffer that is used again for every record.

use std::fmt::{self, Write as _};
use std::ops::Range;

use super::error::{ImportError, Rejection};

/// What a reader found: a record, a row that cannot be one, or the end of the file.
pub(super) type Next = Result<Option<Result<(), Rejection>>, ImportError>;

/// Which of the two kinds of file is read; it decides what the columns of a file without a header
/// mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Interactions,
    Titles,
}

/// Text of the wanted fields, in the order in which they were wanted.
#[derive(Default)]
pub(super) struct Record {
    /// Where the text lies. A delimited reader unquotes straight into it.
    pub(super) bytes: Vec<u8>,
    /// Where each field lies in `bytes`; `None` when the record does not have it.
    pub(super) fields: Vec<Option<Range<usize>>>,
    /// The line it began on, or the row of a Parquet file, from 1.
    pub(super) number: u64,
    /// When it happened, in milliseconds since 1970, where the format has a type for times.
    pub(super) moment: Option<i64>,
    /// Whether the text was decoded, so that a replacement character stands for damage.
    pub(super) is_decoded: bool,
    /// Whether the format itself says where a text begins and ends, so that blanks there are part of it.
    pub(super) is_exact: bool,
}

impl Record {
    /// Forgets the text and makes room for `fields` fields.
    pub(super) fn clear(&mut self, fields: usize) {
        self.bytes.clear();
        self.moment = None;
        self.fields.clear();
        self.fields.resize(fields, None);
    }

    /// The bytes of a field.
    pub(super) fn field(&self, index: usize) -> Option<&[u8]> {
        let range = self.fields.get(index)?.clone()?;
        Some(&self.bytes[range])
    }

    /// Sets a field to a copy of `text`.
    pub(super) fn set(&mut self, index: usize, text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.fields[index] = Some(start..self.bytes.len());
    }

    /// Sets a field to the text form of `value`.
    pub(super) fn set_display(&mut self, index: usize, value: impl fmt::Display) {
        let start = self.bytes.len();
        let written = write!(Utf8Appender(&mut self.bytes), "{value}");
        assert!(written.is_ok(), "appending to memory cannot fail");
        self.fields[index] = Some(start..self.bytes.len());
    }

    /// Sets a field to `text` read as UTF-8 or, when it is not that, as Latin-1: the encoding of
    /// the MovieLens files.
    pub(super) fn set_latin1(&mut self, index: usize, text: &[u8]) {
        if std::str::from_utf8(text).is_ok() {
            return self.set(index, text);
        }
        let start = self.bytes.len();
        for &byte in text {
            let mut utf8 = [0; 2];
            let character = char::from(byte).encode_utf8(&mut utf8);
            self.bytes.extend_from_slice(character.as_bytes());
        }
        self.fields[index] = Some(start..self.bytes.len());
    }
}

struct Utf8Appender<'a>(&'a mut Vec<u8>);

impl fmt::Write for Utf8Appender<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_independent_and_reusable() {
        let mut record = Record::default();
        record.clear(3);
        record.set(2, b"two");
        record.set_display(0, -7);
        assert_eq!(record.field(0), Some(&b"-7"[..]));
        assert_eq!(record.field(1), None);
        assert_eq!(record.field(2), Some(&b"two"[..]));
        record.clear(1);
        assert_eq!(record.field(0), None);
    }

    #[test]
    fn latin1_is_decoded_only_when_it_is_not_utf8() {
        let mut record = Record::default();
        record.clear(2);
        record.set_latin1(0, b"Am\xe9lie");
        record.set_latin1(1, "Amélie".as_bytes());
        assert_eq!(record.field(0), Some("Amélie".as_bytes()));
        assert_eq!(record.field(1), Some("Amélie".as_bytes()));
    }
}
