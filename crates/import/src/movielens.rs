//! The files of MovieLens that have no header: `u.data`, `u.item`, `ratings.dat`, `movies.dat`.
//!
//! Their fields are never quoted, and their text may be Latin-1. Where somebody has put a header into one
//! all the same it is no row.

use std::path::Path;

use super::columns::{Kind, Wanted};
use super::error::Rejection;
use super::lines::LineReader;
use super::reader::{FormatDescription, OpenRequest, ReadRecords, first_line, never};
use super::record::{Content, Next, Record};
use super::source::Source;

/// Fields that every row must have: the user and the item, or the item and its title.
const FIELDS_MIN: usize = 2;

/// How a file is laid out. The wanted fields are always its first ones, in order.
#[derive(Debug, Clone, Copy)]
struct Layout {
    separator: &'static [u8],
    /// How many fields are wanted at most.
    wanted: usize,
    /// How many fields are expected at least.
    expected: usize,
}

impl Layout {
    /// Rows of interactions.
    const fn interactions(separator: &'static [u8]) -> Self {
        Self {
            separator,
            wanted: 4,
            expected: 4,
        }
    }

    /// Rows of items, of which `wanted` fields mean something.
    const fn titles(separator: &'static [u8], wanted: usize) -> Self {
        Self {
            separator,
            wanted,
            expected: 2,
        }
    }
}

/// `u.data`, of interactions.
pub(super) const DATA: FormatDescription = FormatDescription {
    name: "u.data",
    extensions: &[],
    is_content: |head| {
        let line = first_line(head);
        let is_number = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
        line.contains(&b'\t') && line.split(|&byte| byte == b'\t').all(is_number)
    },
    yields_to_delimiter: true,
    open: |file| match file.content {
        Content::Interactions => Ok(open(file, Layout::interactions(b"\t"))),
        Content::Titles => Err(file.wrong_format(DATA.name)),
    },
};

/// `ratings.dat` and `movies.dat`.
pub(super) const DAT: FormatDescription = FormatDescription {
    name: "dat",
    extensions: &["dat"],
    is_content: |head| first_line(head).windows(2).any(|pair| pair == b"::"),
    yields_to_delimiter: true,
    open: |file| {
        let layout = match file.content {
            Content::Interactions => Layout::interactions(b"::"),
            // The third field of `movies.dat` are its genres.
            Content::Titles => Layout::titles(b"::", 3),
        };
        Ok(open(file, layout))
    },
};

/// `u.item`, of titles.
pub(super) const ITEM: FormatDescription = FormatDescription {
    name: "u.item",
    extensions: &["item"],
    is_content: never,
    yields_to_delimiter: true,
    open: |file| match file.content {
        // The third field is a date.
        Content::Titles => Ok(open(file, Layout::titles(b"|", 2))),
        Content::Interactions => Err(file.wrong_format(ITEM.name)),
    },
};

fn open(file: OpenRequest<'_>, layout: Layout) -> Box<dyn ReadRecords> {
    Box::new(MovieLensReader::new(
        file.path,
        file.source,
        layout,
        &file.wanted,
    ))
}

/// Reads records without a header; the first good row says how many fields each has.
struct MovieLensReader {
    lines: LineReader,
    layout: Layout,
    width: Option<usize>,
    /// Which fields tell a header from a row, and the names that they have in one, as [`plain`] writes
    /// them.
    telling: Vec<(usize, Vec<String>)>,
    text: Vec<u8>,
}

impl MovieLensReader {
    /// Reads a file that begins with its first row.
    fn new(path: &Path, source: Source, layout: Layout, wanted: &[Wanted]) -> Self {
        let telling = wanted.iter().take(layout.wanted).enumerate();
        let telling = telling
            .filter(|(_, wanted)| wanted.kind == Kind::Id || wanted.name == "title")
            .map(|(index, wanted)| (index, header_names(wanted)));
        Self {
            lines: LineReader::new(path, source),
            layout,
            width: None,
            telling: telling.collect(),
            text: Vec::new(),
        }
    }

    /// Whether every field that tells has a name that it would have in a header.
    fn is_header(&self, record: &Record) -> bool {
        self.telling.iter().all(|(index, names)| {
            let cell = record.field(*index).unwrap_or_default();
            // No name begins with a digit, every id of these files does.
            !cell.first().is_some_and(u8::is_ascii_digit)
                && std::str::from_utf8(cell).is_ok_and(|cell| names.contains(&plain(cell)))
        })
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
        if self.is_header(record) {
            return Err(Rejection::HeaderAgain);
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

impl ReadRecords for MovieLensReader {
    /// Reads the wanted fields of the next record.
    fn next(&mut self, record: &mut Record) -> Next {
        let found = self.lines.next_row(&mut self.text, record)?;
        Ok(found.map(|line| line.and_then(|()| self.split(record))))
    }
}

/// The names of a column in a header, and those that MovieLens itself gives to what is of a film.
fn header_names(wanted: &Wanted) -> Vec<String> {
    let names = wanted.names.iter().map(|name| plain(name));
    names
        .flat_map(|name| [format!("movie{name}"), name])
        .collect()
}

/// A name without what some write and others do not: `movie id`, `movie_id` and `MovieID` are one.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
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
