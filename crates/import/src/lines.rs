//! Lines of bounded length, with their numbers.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use super::error::ImportError;
use super::source::{Compression, Source, stream_error};

/// Longest line, and longest record, in bytes. Ids have at most 256 bytes, so anything longer is
/// not a row but a damaged or foreign file; without a bound such a line would be held in memory
/// whole.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Most lines that one quoted record may span. It keeps a stray quote from swallowing the rest of
/// the file, and bounds the work of reading those lines again.
pub const RECORD_LINES_MAX: usize = 1_000;

/// What [`LineReader::next_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A line was appended, ending in exactly one `\n` whatever its ending in the file.
    Whole,
    /// A line longer than [`LINE_BYTES_MAX`] was skipped; nothing was appended.
    TooLong,
    /// There is no further line.
    End,
}

/// Cuts a file into lines.
pub(super) struct LineReader {
    path: PathBuf,
    compression: Compression,
    reader: Box<dyn BufRead + Send>,
    /// Lines given back, to be read again before the file; `None` stands for a too long one.
    returned: VecDeque<Option<Vec<u8>>>,
    number: u64,
}

impl LineReader {
    /// Reads the lines of `source`, which lies at `path`, counting from 1.
    pub(super) fn new(path: &Path, source: Source) -> Self {
        Self {
            path: path.to_owned(),
            compression: source.compression,
            reader: source.reader,
            returned: VecDeque::new(),
            number: 0,
        }
    }

    /// Number of the line that was read last, from 1; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Appends the next line that is not blank to `text`.
    pub(super) fn next_row_line(&mut self, text: &mut Vec<u8>) -> Result<Line, ImportError> {
        let start = text.len();
        loop {
            let line = self.next_line(text)?;
            if line != Line::Whole || &text[start..] != b"\n" {
                return Ok(line);
            }
            text.truncate(start);
        }
    }

    /// Appends the next line to `text`.
    pub(super) fn next_line(&mut self, text: &mut Vec<u8>) -> Result<Line, ImportError> {
        let line = match self.returned.pop_front() {
            Some(Some(line)) => {
                text.extend_from_slice(&line);
                Line::Whole
            }
            Some(None) => Line::TooLong,
            None => self.read_line(text).map_err(|source| {
                stream_error(&self.path, self.compression, self.number, source)
            })?,
        };
        if line != Line::End {
            self.number += 1;
        }
        Ok(line)
    }

    fn read_line(&mut self, text: &mut Vec<u8>) -> io::Result<Line> {
        let start = text.len();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.reader).take(limit).read_until(b'\n', text)?;
        if read == 0 {
            return Ok(Line::End);
        }
        if text.last() != Some(&b'\n') && read as u64 == limit {
            text.truncate(start);
            self.reader.skip_until(b'\n')?;
            return Ok(Line::TooLong);
        }
        normalise_ending(text);
        Ok(Line::Whole)
    }

    /// Gives back the lines in `text` (each ending in `\n`), and after them what the `last` read
    /// found when that was a too long line, so that they are read again.
    pub(super) fn give_back(&mut self, text: &[u8], last: Line) {
        if last == Line::TooLong {
            self.returned.push_front(None);
            self.number -= 1;
        }
        for line in text.split_inclusive(|&byte| byte == b'\n').rev() {
            self.returned.push_front(Some(line.to_vec()));
            self.number -= 1;
        }
    }
}

/// Makes `\r\n`, `\n` and the end of the file all the same ending.
fn normalise_ending(text: &mut Vec<u8>) {
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &[u8]) -> LineReader {
        let source = Source {
            reader: Box::new(io::Cursor::new(text.to_vec())),
            head: Vec::new(),
            compression: Compression::Plain,
            bytes_read: Default::default(),
        };
        LineReader::new(Path::new("f.csv"), source)
    }

    #[test]
    fn every_ending_becomes_a_newline() {
        let mut lines = reader(b"a\r\nb\n\nc");
        let mut text = Vec::new();
        while lines.next_line(&mut text).expect("memory") == Line::Whole {}
        assert_eq!(text, b"a\nb\n\nc\n");
        assert_eq!(lines.number(), 4);
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_one_above_is_skipped() {
        let mut input = vec![b'x'; LINE_BYTES_MAX];
        input.push(b'\n');
        input.extend(vec![b'y'; LINE_BYTES_MAX + 1]);
        input.extend(b"\nz\n");
        let mut lines = reader(&input);
        let mut text = Vec::new();
        assert_eq!(lines.next_line(&mut text).expect("memory"), Line::Whole);
        assert_eq!(text.len(), LINE_BYTES_MAX + 1);
        text.clear();
        assert_eq!(lines.next_line(&mut text).expect("memory"), Line::TooLong);
        assert!(text.is_empty());
        assert_eq!(lines.next_line(&mut text).expect("memory"), Line::Whole);
        assert_eq!((text.as_slice(), lines.number()), (&b"z\n"[..], 3));
    }

    #[test]
    fn lines_given_back_are_read_again_in_order_with_their_numbers() {
        let mut lines = reader(b"a\nb\nc\nd\n");
        let mut text = Vec::new();
        for _ in 0..3 {
            lines.next_line(&mut text).expect("memory");
        }
        lines.give_back(b"b\nc\n", Line::Whole);
        assert_eq!(lines.number(), 1);
        let mut again = Vec::new();
        while lines.next_line(&mut again).expect("memory") == Line::Whole {}
        assert_eq!(again, b"b\nc\nd\n");
        assert_eq!(lines.number(), 4);
    }
}
