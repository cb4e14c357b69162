//! Fields between delimiters under a header line: CSV and its kin.

use std::ops::Range;
use std::path::Path;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::columns::{Wanted, resolve};
use super::error::{ImportError, Rejection};
use super::lines::{LINE_BYTES_MAX, Line, LineReader, RECORD_LINES_MAX};
use super::record::Record;
use super::record_reader::Next;
use super::source::Source;

/// Reads delimited records, quoted as in RFC 4180. Nothing is allocated for a row.
pub(super) struct DelimitedReader {
    lines: LineReader,
    parser: Reader,
    /// The column of each wanted field.
    columns: Vec<Option<usize>>,
    /// Fields of the header, and so of every record.
    width: usize,
    /// The lines of the record at hand, each ending in `\n`.
    text: Vec<u8>,
    /// Where each field of the record at hand ends in the record's bytes.
    ends: Vec<usize>,
}

impl DelimitedReader {
    /// Reads the header and finds the wanted columns in it.
    pub(super) fn new(
        path: &Path,
        source: Source,
        delimiter: u8,
        wanted: &[Wanted],
    ) -> Result<Self, ImportError> {
        let mut reader = Self {
            lines: LineReader::new(path, source),
            // Lines arrive with one ending, so a carriage return is a character like any other.
            parser: ReaderBuilder::new()
                .delimiter(delimiter)
                .terminator(Terminator::Any(b'\n'))
                .build(),
            columns: Vec::new(),
            width: 0,
            text: Vec::new(),
            ends: vec![0; 16],
        };
        let header = reader.read_header(path)?;
        reader.columns = resolve(path, &header, wanted)?;
        reader.width = header.len();
        Ok(reader)
    }

    fn read_header(&mut self, path: &Path) -> Result<Vec<String>, ImportError> {
        let mut record = Record::default();
        let names = match self.read_fields(&mut record)? {
            None => return Err(ImportError::Empty(path.to_owned())),
            Some(Ok(found)) => self.header_names(&record, found),
            Some(Err(reason)) => Err(reason),
        };
        names.map_err(|reason| ImportError::BadHeader {
            path: path.to_owned(),
            reason,
        })
    }

    fn header_names(&self, record: &Record, found: usize) -> Result<Vec<String>, Rejection> {
        (0..found)
            .map(|column| {
                let name = &record.bytes[self.range(column)];
                let name = std::str::from_utf8(name).map_err(|_| Rejection::NotUtf8("its text"))?;
                Ok(name.trim().to_owned())
            })
            .collect()
    }

    /// Whether the header has a column for the wanted field at `index`.
    pub(super) fn has_field(&self, index: usize) -> bool {
        self.columns[index].is_some()
    }

    /// Reads the wanted fields of the next record.
    pub(super) fn next(&mut self, record: &mut Record) -> Next {
        match self.read_fields(record)? {
            None => Ok(None),
            Some(Err(reason)) => Ok(Some(Err(reason))),
            Some(Ok(found)) if found != self.width => Ok(Some(Err(Rejection::FieldCount {
                expected: self.width,
                found,
            }))),
            Some(Ok(_)) => {
                record.fields.clear();
                let ranges = self
                    .columns
                    .iter()
                    .map(|column| Some(self.range((*column)?)));
                record.fields.extend(ranges);
                Ok(Some(Ok(())))
            }
        }
    }

    /// Reads all fields of the next record and returns how many it has; blank lines are no records.
    fn read_fields(
        &mut self,
        record: &mut Record,
    ) -> Result<Option<Result<usize, Rejection>>, ImportError> {
        self.text.clear();
        let line = self.lines.next_row_line(&mut self.text)?;
        record.number = self.lines.number();
        match line {
            Line::End => Ok(None),
            Line::TooLong => Ok(Some(Err(Rejection::TooLong))),
            Line::Whole => self.read_lines(record).map(Some),
        }
    }

    /// Splits the line at hand, and joins the lines after it while a quote is open.
    fn read_lines(&mut self, record: &mut Record) -> Result<Result<usize, Rejection>, ImportError> {
        let first_line_bytes = self.text.len();
        let mut start = 0;
        let mut split = Split::default();
        let mut line = Line::Whole;
        for _ in 0..RECORD_LINES_MAX {
            let input = &self.text[start..];
            if split.feed(&mut self.parser, input, &mut record.bytes, &mut self.ends) {
                return Ok(Ok(split.fields));
            }
            start = self.text.len();
            line = self.lines.next_line(&mut self.text)?;
            if line != Line::Whole || self.text.len() > LINE_BYTES_MAX {
                break;
            }
        }
        // The quote is a stray one: reject its line alone and read those after it again.
        self.lines.give_back(&self.text[first_line_bytes..], line);
        self.parser.reset();
        Ok(Err(Rejection::UnclosedQuote))
    }

    /// Where a field of the record at hand lies in the record's bytes.
    fn range(&self, column: usize) -> Range<usize> {
        let start = match column {
            0 => 0,
            _ => self.ends[column - 1],
        };
        start..self.ends[column]
    }
}

/// How far one record has been split.
#[derive(Default)]
struct Split {
    bytes: usize,
    fields: usize,
}

impl Split {
    /// Splits `input`, unquoting into `bytes` after what is there; `true` when the record is
    /// complete.
    fn feed(
        &mut self,
        parser: &mut Reader,
        mut input: &[u8],
        bytes: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> bool {
        // Unquoting never lengthens, so this is room enough for the whole input.
        if bytes.len() < self.bytes + input.len() {
            bytes.resize(self.bytes + input.len(), 0);
        }
        loop {
            let output = &mut bytes[self.bytes..];
            let (result, read, written, ended) =
                parser.read_record(input, output, &mut ends[self.fields..]);
            input = &input[read..];
            self.bytes += written;
            self.fields += ended;
            match result {
                ReadRecordResult::Record => return true,
                ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                _ => return false,
            }
        }
    }
}
