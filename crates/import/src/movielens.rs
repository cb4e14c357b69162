//! The files of MovieLens that have no header: `u.data`, `u.item`, `ratings.dat`, `movies.dat`.
//!
//! Their fields are never quoted, and their text may be Latin-1.

use std::path::Path;

use super::error::Rejection;
use super::format::Format;
use super::lines::{Line, LineReader};
use super::record::{Content, Next, Record};
use super::source::Source;

/// Fields that every row must have: the user and the item, or the item and its title.
const FIELDS_MIN: usize = 2;

/// How a file is laid out. The wanted fields are always its first ones, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    separator: &'static [u8],
    /// How many fields are wanted at most.
    wanted: usize,
    /// How many fields are expected at least.
    expected: usize,
}

impl Layout {
    /// The layout of a MovieLens format; `None` when it does not hold that content.
    pub(super) fn of(format: Format, content: Content) -> Option<Self> {
        let separator: &[u8] = match (format, content) {
            (Format::MovieLensData, Content::Interactions) => b"\t",
            (Format::MovieLensItem, Content::Titles) => b"|",
            (Format::MovieLensDat, _) => b"::",
            _ => return None,
        };
        let (wanted, expected) = match (format, content) {
            (_, Content::Interactions) => (4, 4),
            // The third field of `movies.dat` are its genres, that of `u.item` is a date.
            (Format::MovieLensDat, Content::Titles) => (3, 2),
            (_, Content::Titles) => (2, 2),
        };
        Some(Self {
            separator,
            wanted,
            expected,
        })
    }
}

/// Reads records without a header; the first good row says how many fields each has.
pub(super) struct MovieLensReader {
    lines: LineReader,
    layout: Layout,
    width: Option<usize>,
    text: Vec<u8>,
}

impl MovieLensReader {
    /// Reads a file that begins with its first row.
    pub(super) fn new(path: &Path, source: Source, layout: Layout) -> Self {
        Self {
            lines: LineReader::new(path, source),
            layout,
            width: None,
            text: Vec::new(),
        }
    }

    /// Reads the wanted fields of the next record.
    pub(super) fn next(&mut self, record: &mut Record) -> Next {
        self.text.clear();
        let line = self.lines.next_row_line(&mut self.text)?;
        record.number = self.lines.number();
        match line {
            Line::End => Ok(None),
            Line::TooLong => Ok(Some(Err(Rejection::TooLong))),
            Line::Whole => Ok(Some(self.split(record))),
        }
    }

    fn split(&mut self, record: &mut Record) -> Result<(), Rejection> {
        let line = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        record.clear(self.layout.wanted);
        let mut found = 0;
        let mut rest = Some(line);
        while let Some(text) = rest {
            let (field, after) = split_once(text, self.layout.separator);
            if found < self.layout.wanted {
                record.set_latin1(found, field);
            }
            found += 1;
            rest = after;
        }
        match self.width {
            None if found < FIELDS_MIN => Err(Rejection::FieldCount {
                expected: self.layout.expected,
                found,
            }),
            Some(expected) if found != expected => Err(Rejection::FieldCount { expected, found }),
            _ => {
                self.width = Some(found);
                Ok(())
            }
        }
    }
}

/// The text before the first `separator`, and the text after it when there is one.
fn split_once<'a>(text: &'a [u8], separator: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    let found = text
        .windows(separator.len())
        .position(|window| window == separator);
    match found {
        Some(at) => (&text[..at], Some(&text[at + separator.len()..])),
        None => (text, None),
    }
}
