//! Fields between delimiters under a header line: CSV and its kin.

use std::ops::Range;
use std::path::Path;

use recant_types::trim_id;

use super::columns::{Kind, Wanted, resolve, unsplit};
use super::error::{ImportError, Rejection};
use super::limits::{LINE_BYTES_MAX, RECORD_LINES_MAX};
use super::lines::{Line, LineReader};
use super::reader::{FormatDescription, OpenRequest, ReadRecords, first_line, never};
use super::record::{Content, Next, Record};
use super::source::Source;
use super::syntax::{Split, Syntax, delimiter_name};

/// CSV and its kin.
pub(super) const CSV: FormatDescription = FormatDescription {
    name: "csv",
    extensions: &["csv"],
    is_content: never,
    yields_to_delimiter: false,
    open: |file| {
        let head = &file.source.head;
        let syntax = file.named.or_delimiter(|| sniff_delimiter(head));
        open(file, syntax)
    },
};

/// Between tabs.
pub(super) const TSV: FormatDescription = FormatDescription {
    name: "tsv",
    extensions: &["tsv", "tab"],
    is_content: never,
    yields_to_delimiter: false,
    open: |file| {
        let syntax = file.named.or_delimiter(|| b'\t');
        open(file, syntax)
    },
};

fn open(file: OpenRequest<'_>, syntax: Syntax) -> Result<Box<dyn ReadRecords>, ImportError> {
    let (content, wanted) = (file.content, &file.wanted);
    let reader = DelimitedReader::new(file.path, file.source, syntax, content, wanted)?;
    Ok(Box::new(reader))
}

/// Reads delimited records. Nothing is allocated for a row.
pub(super) struct DelimitedReader {
    lines: LineReader,
    syntax: Syntax,
    /// Whether a quoted field may go on in the next line.
    spans_lines: bool,
    /// The column of each wanted field.
    columns: Vec<Option<usize>>,
    /// Fields of the header, and so of every record.
    width: usize,
    /// The columns whose cells tell a header from a row, with the names they have in a header.
    telling: Vec<(usize, Wanted, String)>,
    /// The lines of the record at hand, as they are in the file, each ending in `\n`.
    text: Vec<u8>,
    /// Where each field of the record at hand lies in the record's bytes.
    fields: Vec<Range<usize>>,
}

impl DelimitedReader {
    /// Reads the header and finds the wanted columns in it.
    pub(super) fn new(
        path: &Path,
        source: Source,
        syntax: Syntax,
        content: Content,
        wanted: &[Wanted],
    ) -> Result<Self, ImportError> {
        let mut reader = Self {
            lines: LineReader::new(path, source),
            syntax,
            spans_lines: content == Content::Titles,
            columns: Vec::new(),
            width: 0,
            telling: Vec::new(),
            text: Vec::new(),
            fields: Vec::with_capacity(16),
        };
        let header = reader.read_header(path)?;
        reader.columns =
            resolve(path, &header, wanted).map_err(|error| match unsplit(&header) {
                Some(seen) if !matches!(error, ImportError::NoHeader(_)) => ImportError::Unsplit {
                    path: path.to_owned(),
                    delimiter: delimiter_name(syntax.delimiter),
                    seen,
                },
                _ => error,
            })?;
        reader.width = header.len();
        let required = wanted.iter().zip(&reader.columns);
        reader.telling = required
            .filter(|(wanted, _)| wanted.kind == Kind::Id || wanted.name == "title")
            .filter_map(|(wanted, column)| Some((*column.as_ref()?, wanted.clone())))
            .map(|(column, wanted)| (column, wanted, header[column].clone()))
            .collect();
        Ok(reader)
    }

    fn read_header(&mut self, path: &Path) -> Result<Vec<String>, ImportError> {
        let mut record = Record::default();
        let names = match self.read_fields(&mut record)? {
            None => return Err(ImportError::Empty(path.to_owned())),
            Some(Ok(())) => self.header_names(&record),
            Some(Err(reason)) => Err(reason),
        };
        names.map_err(|reason| ImportError::BadHeader {
            path: path.to_owned(),
            reason,
        })
    }

    fn header_names(&self, record: &Record) -> Result<Vec<String>, Rejection> {
        let name = |field: &Range<usize>| {
            let name = &record.bytes[field.clone()];
            let name = std::str::from_utf8(name).map_err(|_| Rejection::NotUtf8("its text"))?;
            Ok(name.trim().to_owned())
        };
        self.fields.iter().map(name).collect()
    }

    fn pick(&self, record: &mut Record) -> Result<(), Rejection> {
        if self.fields.len() != self.width {
            return Err(Rejection::FieldCount {
                expected: self.width,
                found: self.fields.len(),
            });
        }
        if self.is_header(record) {
            return Err(Rejection::HeaderAgain);
        }
        record.fields.clear();
        let column = |column: &Option<usize>| column.map(|column| self.fields[column].clone());
        record.fields.extend(self.columns.iter().map(column));
        Ok(())
    }

    /// Whether the record is a header again, of a file that was joined to the one before.
    fn is_header(&self, record: &Record) -> bool {
        self.telling.iter().all(|(column, wanted, header)| {
            let cell = &record.bytes[self.fields[*column].clone()];
            // No name of a column begins with a digit, most ids do.
            !cell.first().is_some_and(u8::is_ascii_digit)
                && std::str::from_utf8(cell).is_ok_and(|cell| {
                    trim_id(cell).is_ok_and(|cell| wanted.is_header(cell, header))
                })
        })
    }

    /// Reads all fields of the next record; blank lines are no records.
    fn read_fields(&mut self, record: &mut Record) -> Next {
        match self.lines.next_row(&mut self.text, record)? {
            Some(Ok(())) => self.read_lines(record).map(Some),
            found => Ok(found),
        }
    }

    fn split(&mut self, record: &mut Record) -> Split {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        record.bytes.clear();
        record.bytes.extend_from_slice(text);
        self.syntax.split(&mut record.bytes, &mut self.fields)
    }

    /// Splits the line at hand, and joins the lines after it while a quote is open, where it may be.
    fn read_lines(&mut self, record: &mut Record) -> Result<Result<(), Rejection>, ImportError> {
        let first_line_bytes = self.text.len();
        let mut split = self.split(record);
        let mut line = Line::Whole;
        for _ in 1..RECORD_LINES_MAX {
            if split != Split::Open || !self.spans_lines {
                break;
            }
            let start = self.text.len();
            line = self.lines.next_line(&mut self.text)?;
            if line != Line::Whole || self.text.len() > LINE_BYTES_MAX {
                break;
            }
            // Without another quote it is still open.
            if self.text[start..]
                .iter()
                .any(|byte| Some(*byte) == self.syntax.quote)
            {
                split = self.split(record);
            }
        }
        let reason = match split {
            Split::Whole => return Ok(Ok(())),
            Split::Bad(reason) => reason,
            Split::Open if self.spans_lines => Rejection::UnclosedQuote,
            Split::Open => Rejection::QuoteSpansLines,
        };
        // The quote is a stray one: reject its line alone and read those after it again.
        self.lines.give_back(&self.text[first_line_bytes..], line);
        Ok(Err(reason))
    }
}

impl ReadRecords for DelimitedReader {
    /// Whether the header has a column for the wanted field at `index`.
    fn has_field(&self, index: usize) -> bool {
        self.columns[index].is_some()
    }

    /// Reads the wanted fields of the next record.
    fn next(&mut self, record: &mut Record) -> Next {
        match self.read_fields(record)? {
            None => Ok(None),
            Some(Err(reason)) => Ok(Some(Err(reason))),
            Some(Ok(())) => Ok(Some(self.pick(record))),
        }
    }
}

/// The separator of a header line: of tab, comma, semicolon and bar the one that occurs most
/// outside quotes; a comma when there is none.
fn sniff_delimiter(head: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b'\t', 0), (b';', 0), (b'|', 0)];
    let mut quoted = false;
    for &byte in first_line(head) {
        quoted ^= byte == b'"';
        let counted = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte);
        if let Some((_, count)) = counted.filter(|_| !quoted) {
            *count += 1;
        }
    }
    let mut best = counts[0];
    for candidate in counts {
        if candidate.1 > best.1 {
            best = candidate;
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_the_commonest_outside_quotes() {
        assert_eq!(sniff_delimiter(b"user_id;item_id\n1,2;3"), b';');
        assert_eq!(sniff_delimiter(b"\"a;b;c\",item_id"), b',');
        assert_eq!(sniff_delimiter(b"\r\nuser_id\titem_id\r\n"), b'\t');
        assert_eq!(sniff_delimiter(b"user_id"), b',');
    }
}
