//! Lines of bounded length, with their numbers.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use memchr::{memchr, memchr2};

use super::error::{ImportError, Rejection};
use super::limits::LINE_BYTES_MAX;
use super::record::{Next, Record};
use super::source::{Compression, Source, stream_error};

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
///
/// They end in `\n` or `\r\n`; in a file whose beginning has no `\n`, in `\r` too.
pub(super) struct LineReader {
    path: PathBuf,
    compression: Compression,
    reader: Box<dyn BufRead + Send>,
    /// Whether a carriage return alone ends a line.
    ends_in_returns: bool,
    /// Whether the line before ended in a carriage return, so that a `\n` now belongs to it.
    after_return: bool,
    /// Lines given back, to be read again before the file; `None` stands for a too long one.
    returned: VecDeque<Option<Vec<u8>>>,
    /// Of the line that was read last, from 1; 0 before the first.
    number: u64,
}

impl LineReader {
    /// Reads the lines of `source`, which lies at `path`, counting from 1.
    pub(super) fn new(path: &Path, source: Source) -> Self {
        Self {
            path: path.to_owned(),
            compression: source.compression,
            reader: source.reader,
            ends_in_returns: memchr(b'\r', &source.head).is_some()
                && memchr(b'\n', &source.head).is_none(),
            after_return: false,
            returned: VecDeque::new(),
            number: 0,
        }
    }

    /// Reads the next line that is not blank into `text`, and its number into `record`; the fields are
    /// left to the caller.
    pub(super) fn next_row(&mut self, text: &mut Vec<u8>, record: &mut Record) -> Next {
        text.clear();
        let line = self.next_row_line(text)?;
        record.number = self.number;
        Ok(match line {
            Line::End => None,
            Line::TooLong => Some(Err(Rejection::TooLong)),
            Line::Whole => Some(Ok(())),
        })
    }

    /// Appends the next line that is not blank to `text`.
    fn next_row_line(&mut self, text: &mut Vec<u8>) -> Result<Line, ImportError> {
        let start = text.len();
        loop {
            let line = self.next_line(text)?;
            let is_blank =
                |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
            if line != Line::Whole || !is_blank(&text[start..]) {
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
        if self.ends_in_returns {
            return self.read_line_to_return(text);
        }
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

    fn read_line_to_return(&mut self, text: &mut Vec<u8>) -> io::Result<Line> {
        let start = text.len();
        let mut is_too_long = false;
        loop {
            let buffer = self.reader.fill_buf()?;
            if std::mem::take(&mut self.after_return) && buffer.first() == Some(&b'\n') {
                self.reader.consume(1);
                continue;
            }
            if buffer.is_empty() && text.len() == start && !is_too_long {
                return Ok(Line::End);
            }
            let ending = memchr2(b'\n', b'\r', buffer);
            let taken = ending.unwrap_or(buffer.len());
            is_too_long |= text.len() - start + taken > LINE_BYTES_MAX;
            if is_too_long {
                text.truncate(start);
            } else {
                text.extend_from_slice(&buffer[..taken]);
            }
            let is_last = buffer.is_empty() || ending.is_some();
            self.after_return = ending.is_some_and(|at| buffer[at] == b'\r');
            self.reader.consume(taken + usize::from(ending.is_some()));
            if is_last && is_too_long {
                return Ok(Line::TooLong);
            }
            if is_last {
                text.push(b'\n');
                return Ok(Line::Whole);
            }
        }
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
            head: text[..text.len().min(8)].to_vec(),
            compression: Compression::Plain,
            is_decoded: false,
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
        assert_eq!(lines.number, 4);
    }

    #[test]
    fn carriage_returns_alone_end_lines_where_there_is_nothing_else() {
        let read = |input: &[u8], buffer: usize| {
            let source = Source {
                reader: Box::new(io::BufReader::with_capacity(
                    buffer,
                    io::Cursor::new(input.to_vec()),
                )),
                head: input[..2].to_vec(),
                compression: Compression::Plain,
                is_decoded: false,
                bytes_read: Default::default(),
            };
            let (mut lines, mut text) = (LineReader::new(Path::new("f.csv"), source), Vec::new());
            while lines.next_line(&mut text).expect("memory") == Line::Whole {}
            (String::from_utf8(text).expect("UTF-8"), lines.number)
        };
        for buffer in 1..8 {
            assert_eq!(read(b"a\rb\r\rc", buffer), (String::from("a\nb\n\nc\n"), 4));
            assert_eq!(
                read(b"a\rb\r\nc\nd\r", buffer),
                (String::from("a\nb\nc\nd\n"), 4)
            );
        }
        let long = [
            b"a\r".to_vec(),
            vec![b'x'; LINE_BYTES_MAX + 1],
            b"\rz\r".to_vec(),
        ]
        .concat();
        let mut lines = reader(&long[..]);
        let mut text = Vec::new();
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(lines.next_line(&mut text).expect("memory"));
        }
        assert_eq!(found, [Line::Whole, Line::TooLong, Line::Whole, Line::End]);
        assert_eq!(text, b"a\nz\n");
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
        assert_eq!((text.as_slice(), lines.number), (&b"z\n"[..], 3));
    }

    #[test]
    fn lines_given_back_are_read_again_in_order_with_their_numbers() {
        let mut lines = reader(b"a\nb\nc\nd\n");
        let mut text = Vec::new();
        for _ in 0..3 {
            lines.next_line(&mut text).expect("memory");
        }
        lines.give_back(b"b\nc\n", Line::Whole);
        assert_eq!(lines.number, 1);
        let mut again = Vec::new();
        while lines.next_line(&mut again).expect("memory") == Line::Whole {}
        assert_eq!(again, b"b\nc\nd\n");
        assert_eq!(lines.number, 4);
    }
}
