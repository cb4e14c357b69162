//! Files of one text a line, such as ids: decoded, and cut into lines as files of rows are.

use std::io::Cursor;
use std::path::Path;

use super::encoding::utf16_order;
use super::lines::{Line, LineReader};
use super::source::{Compression, HEAD_BYTES_MAX, Source, UTF8_MARK};
use recant_types::without_blanks;

/// A file that cannot be read as lines of text. It repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// It is neither UTF-8 nor UTF-16.
    #[error("line {0} is not valid UTF-8: save the file in that encoding")]
    NotUtf8(u64),
    /// It looks like UTF-16 and is damaged.
    #[error("is not valid UTF-16")]
    NotUtf16,
    /// A line is longer than any line of an import may be.
    #[error("line {0} is too long")]
    TooLong(u64),
}

/// The lines of a file that say something, with their numbers from 1: without what ends them and without
/// a byte order mark before the first, otherwise as they are. UTF-16 is read where its mark or its zeros
/// show it. They end as those of imports do: in a newline, a carriage return before it or not, and where
/// there are no newlines in a carriage return.
pub fn text_lines(bytes: Vec<u8>) -> Result<Vec<(u64, String)>, NoText> {
    let mut lines = LineReader::new(Path::new(""), source(utf8(bytes)?));
    let (mut found, mut text, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        match lines.next_line(&mut text) {
            Ok(Line::Whole) => {}
            Ok(Line::TooLong) => return Err(NoText::TooLong(number)),
            Ok(Line::End) => return Ok(found),
            Err(_) => unreachable!("memory can be read"),
        }
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let line = std::str::from_utf8(line).map_err(|_| NoText::NotUtf8(number))?;
        if !without_blanks(line).is_empty() {
            found.push((number, line.to_owned()));
        }
    }
}

/// The text in UTF-8, as far as it is that, without a byte order mark.
fn utf8(mut bytes: Vec<u8>) -> Result<Vec<u8>, NoText> {
    if let Some(order) = utf16_order(&bytes) {
        let (text, is_damaged) = order.decode_with_bom_removal(&bytes);
        if is_damaged {
            return Err(NoText::NotUtf16);
        }
        return Ok(text.into_owned().into_bytes());
    }
    if bytes.starts_with(UTF8_MARK) {
        bytes.drain(..UTF8_MARK.len());
    }
    Ok(bytes)
}

fn source(text: Vec<u8>) -> Source {
    let head = text.len().min(HEAD_BYTES_MAX as usize);
    Source {
        head: text[..head].to_vec(),
        reader: Box::new(Cursor::new(text)),
        compression: Compression::Plain,
        is_decoded: false,
        bytes_read: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: impl Into<Vec<u8>>) -> Vec<(u64, String)> {
        text_lines(bytes.into()).expect("text")
    }

    fn numbered(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(n, text)| (*n, (*text).into())).collect()
    }

    #[test]
    fn the_same_lines_are_found_in_every_encoding_and_whatever_ends_them() {
        let wanted = numbered(&[(1, "ada"), (2, " bob\t"), (5, "日本")]);
        for ending in ["\n", "\r\n", "\r"] {
            let text = ["ada", " bob\t", "", " \t", "日本", ""].join(ending);
            let marked = format!("\u{feff}{text}");
            let encode = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
                marked.encode_utf16().flat_map(bytes).collect()
            };
            assert_eq!(texts(text.clone()), wanted, "{ending:?}");
            assert_eq!(texts(marked.clone()), wanted, "{ending:?}");
            assert_eq!(texts(encode(u16::to_le_bytes)), wanted, "{ending:?}");
            assert_eq!(texts(encode(u16::to_be_bytes)), wanted, "{ending:?}");
        }
        let unmarked: Vec<u8> = "ada\nbob\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(texts(unmarked), numbered(&[(1, "ada"), (2, "bob")]));
        assert!(texts("").is_empty());
    }

    #[test]
    fn what_is_no_text_is_told_by_its_line() {
        let refused = |bytes: &[u8]| text_lines(bytes.to_vec()).expect_err("no text");
        assert_eq!(refused(b"ada\nb\xe9\n"), NoText::NotUtf8(2));
        assert_eq!(refused(b"\xff\xfea\x00\x00\xd8b\x00"), NoText::NotUtf16);
        let long = "x".repeat(super::super::limits::LINE_BYTES_MAX + 1);
        assert_eq!(refused(format!("a\n{long}").as_bytes()), NoText::TooLong(2));
    }
}
