//! What stands between fields and around them.

use std::ops::Range;
use std::str::FromStr;

use memchr::{memchr, memchr_iter};

use super::error::Rejection;

/// The character between fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiter(pub(super) u8);

/// The character around fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// Quotes are characters like any other.
    None,
    /// This one; two of them within a field are one.
    Character(u8),
}

/// The character that takes its meaning from a quote, a delimiter, or itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Escape(pub(super) u8);

/// What a caller says of delimiters and quotes, where the file does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NamedSyntax {
    pub(super) delimiter: Option<Delimiter>,
    pub(super) quote: Option<Quote>,
    pub(super) escape: Option<Escape>,
}

impl NamedSyntax {
    /// What stands between the fields and around them: as it was named, or else as `delimiter` finds
    /// it. Between tabs quotes mean nothing unless they were named: no program writes tabs within
    /// fields, and many write quotes.
    pub(super) fn or_delimiter(self, delimiter: impl FnOnce() -> u8) -> Syntax {
        let delimiter = self.delimiter.map_or_else(delimiter, |named| named.0);
        Syntax {
            delimiter,
            quote: match self.quote {
                Some(Quote::Character(quote)) => Some(quote),
                Some(Quote::None) => None,
                None => (delimiter != b'\t').then_some(b'"'),
            },
            escape: self.escape.map(|escape| escape.0),
        }
    }
}

/// The text names no single character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one ASCII character, or tab, space, comma, semicolon, bar, \\x01 or ^A")]
pub struct NotACharacter;

fn character(text: &str) -> Result<u8, NotACharacter> {
    let named = [
        ("tab", b'\t'),
        ("\\t", b'\t'),
        ("space", b' '),
        ("blank", b' '),
        ("comma", b','),
        ("semicolon", b';'),
        ("bar", b'|'),
        ("pipe", b'|'),
    ];
    if let Some((_, byte)) = named.iter().find(|(name, _)| *name == text) {
        return Ok(*byte);
    }
    let byte = match text.as_bytes() {
        [byte] => *byte,
        [b'^', letter @ b'A'..=b'Z'] => letter - b'A' + 1,
        [b'\\', b'x' | b'X', ..] => {
            u8::from_str_radix(&text[2..], 16).map_err(|_| NotACharacter)?
        }
        [b'\\', digits @ ..] if !digits.is_empty() => {
            u8::from_str_radix(&text[1..], 8).map_err(|_| NotACharacter)?
        }
        _ => return Err(NotACharacter),
    };
    let is_usable =
        byte.is_ascii() && !matches!(byte, 0 | b'\n' | b'\r') && !byte.is_ascii_alphanumeric();
    is_usable.then_some(byte).ok_or(NotACharacter)
}

impl FromStr for Delimiter {
    type Err = NotACharacter;
    fn from_str(text: &str) -> Result<Self, NotACharacter> {
        character(text).map(Self)
    }
}

impl FromStr for Quote {
    type Err = NotACharacter;
    fn from_str(text: &str) -> Result<Self, NotACharacter> {
        match text {
            "none" | "" => Ok(Self::None),
            _ => character(text).map(Self::Character),
        }
    }
}

impl FromStr for Escape {
    type Err = NotACharacter;
    fn from_str(text: &str) -> Result<Self, NotACharacter> {
        character(text).map(Self)
    }
}

/// What a message calls a delimiter.
pub(super) fn delimiter_name(byte: u8) -> String {
    match byte {
        b'\t' => String::from("tabs"),
        b' ' => String::from("blanks"),
        b',' => String::from("commas"),
        b';' => String::from("semicolons"),
        b'|' => String::from("bars"),
        byte => format!("\"{}\"", byte.escape_ascii()),
    }
}

/// How the records of one file are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) escape: Option<u8>,
}

/// How a split ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Split {
    /// Every field was found.
    Whole,
    /// A quote is open at the end of the text.
    Open,
    /// The text is no record.
    Bad(Rejection),
}

impl Syntax {
    /// Splits `text`, a record without its line ending, and writes where each field lies: in `text`
    /// itself, whose quoted fields are unquoted in place. After anything but [`Split::Whole`] text
    /// and fields are of no use.
    ///
    /// A delimiter that is a blank stands for any number of them. Blanks between a delimiter and a
    /// quote are no part of the field. Between a closing quote and the next delimiter there is
    /// nothing else: a lone quote within a field shows there, and its row is rejected instead of
    /// stored mangled. A quote within a field that does not begin with one is a character.
    pub(super) fn split(&self, text: &mut Vec<u8>, fields: &mut Vec<Range<usize>>) -> Split {
        fields.clear();
        let has = |byte: Option<u8>| byte.is_some_and(|byte| memchr(byte, text).is_some());
        if has(self.quote) || has(self.escape) {
            return Unquoting::new(self, text, fields).run();
        }
        let mut start = 0;
        for end in memchr_iter(self.delimiter, text) {
            self.push(start..end, fields);
            start = end + 1;
        }
        self.push(start..text.len(), fields);
        Split::Whole
    }

    fn push(&self, field: Range<usize>, fields: &mut Vec<Range<usize>>) {
        if self.delimiter != b' ' || !field.is_empty() {
            fields.push(field);
        }
    }
}

/// A split of a text with quotes or escapes in it. What is written never overtakes what is read.
struct Unquoting<'a> {
    syntax: &'a Syntax,
    text: &'a mut Vec<u8>,
    fields: &'a mut Vec<Range<usize>>,
    read: usize,
    written: usize,
}

impl<'a> Unquoting<'a> {
    fn new(syntax: &'a Syntax, text: &'a mut Vec<u8>, fields: &'a mut Vec<Range<usize>>) -> Self {
        Self {
            syntax,
            text,
            fields,
            read: 0,
            written: 0,
        }
    }

    fn run(mut self) -> Split {
        loop {
            let start = self.written;
            let is_quoted = self.skip_to_quote();
            let field = if is_quoted {
                self.quoted()
            } else {
                Split::Whole
            };
            if field != Split::Whole {
                return field;
            }
            if !is_quoted {
                self.plain();
            }
            let is_empty = start == self.written && !is_quoted;
            if !(is_empty && self.syntax.delimiter == b' ') {
                self.fields.push(start..self.written);
            }
            if self.read == self.text.len() {
                return Split::Whole;
            }
            // Past the delimiter.
            self.read += 1;
        }
    }

    fn next(&self) -> Option<u8> {
        self.text.get(self.read).copied()
    }

    fn keep(&mut self, byte: u8) {
        self.text[self.written] = byte;
        self.written += 1;
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.next()
            && self.next() != Some(self.syntax.delimiter)
        {
            self.read += 1;
        }
    }

    /// Steps over blanks and an opening quote; stays where it is when there is none.
    fn skip_to_quote(&mut self) -> bool {
        let before = self.read;
        self.skip_blanks();
        if self.syntax.quote.is_some() && self.next() == self.syntax.quote {
            self.read += 1;
            return true;
        }
        self.read = before;
        false
    }

    /// Whether an escape is next, before something that it takes the meaning from.
    fn is_escape(&self) -> bool {
        let Some(escape) = self
            .syntax
            .escape
            .filter(|escape| self.next() == Some(*escape))
        else {
            return false;
        };
        let after = self.text.get(self.read + 1).copied();
        after == Some(escape)
            || after == Some(self.syntax.delimiter)
            || (after.is_some() && after == self.syntax.quote)
    }

    /// Unquotes up to the delimiter after the closing quote.
    fn quoted(&mut self) -> Split {
        loop {
            let Some(byte) = self.next() else {
                return Split::Open;
            };
            if self.is_escape() {
                self.keep(self.text[self.read + 1]);
                self.read += 2;
                continue;
            }
            self.read += 1;
            if Some(byte) != self.syntax.quote {
                self.keep(byte);
            } else if self.next() == self.syntax.quote {
                self.keep(byte);
                self.read += 1;
            } else {
                break;
            }
        }
        self.skip_blanks();
        match self.next() {
            None => Split::Whole,
            Some(byte) if byte == self.syntax.delimiter => Split::Whole,
            Some(_) => Split::Bad(Rejection::TextAfterQuote),
        }
    }

    fn plain(&mut self) {
        while let Some(byte) = self.next() {
            if self.is_escape() {
                self.keep(self.text[self.read + 1]);
                self.read += 2;
            } else if byte == self.syntax.delimiter {
                return;
            } else {
                self.keep(byte);
                self.read += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMAS: Syntax = Syntax {
        delimiter: b',',
        quote: Some(b'"'),
        escape: None,
    };

    fn split(syntax: Syntax, text: &str) -> Result<Vec<String>, Split> {
        let (mut text, mut fields) = (text.as_bytes().to_vec(), Vec::new());
        match syntax.split(&mut text, &mut fields) {
            Split::Whole => Ok(fields
                .into_iter()
                .map(|field| String::from_utf8(text[field].to_vec()).expect("still UTF-8"))
                .collect()),
            other => Err(other),
        }
    }

    #[test]
    fn fields_are_unquoted_and_lone_quotes_are_found() {
        for (text, fields) in [
            ("a,b", vec!["a", "b"]),
            ("", vec![""]),
            (",", vec!["", ""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("\"say \"\"hi\"\"\",\"\"", vec!["say \"hi\"", ""]),
            ("\"u1\", \"i1\" ,3", vec!["u1", "i1", "3"]),
            ("5\" disk,b", vec!["5\" disk", "b"]),
        ] {
            assert_eq!(
                split(COMMAS, text),
                Ok(fields.iter().map(|f| (*f).to_owned()).collect())
            );
        }
        assert_eq!(split(COMMAS, "\"stray,b"), Err(Split::Open));
        for text in ["\"Weird\" Al,b", "\"The \\\"Inner\\\" Circle\",b", "\"a\"b"] {
            assert_eq!(
                split(COMMAS, text),
                Err(Split::Bad(Rejection::TextAfterQuote)),
                "{text}"
            );
        }
    }

    #[test]
    fn an_escape_takes_the_meaning_from_what_follows_and_from_nothing_else() {
        let syntax = Syntax {
            delimiter: b';',
            escape: Some(b'\\'),
            ..COMMAS
        };
        for (text, fields) in [
            (
                r#""Peak \"One\"; and Two";"C""#,
                [r#"Peak "One"; and Two"#, "C"],
            ),
            (r"a\;b;c\\d", ["a;b", r"c\d"]),
            (r#"\N;"C:\dir""#, [r"\N", r"C:\dir"]),
        ] {
            assert_eq!(
                split(syntax, text),
                Ok(fields.map(String::from).to_vec()),
                "{text}"
            );
        }
        assert_eq!(split(syntax, r#""open\";b"#), Err(Split::Open));
    }

    #[test]
    fn a_blank_stands_for_any_number_of_them() {
        let syntax = Syntax {
            delimiter: b' ',
            ..COMMAS
        };
        for text in ["u1 i1 5", "  u1   i1 5 ", "\"u1\"  i1 \"5\""] {
            assert_eq!(
                split(syntax, text),
                Ok(["u1", "i1", "5"].map(String::from).to_vec())
            );
        }
    }

    #[test]
    fn characters_are_named_in_the_usual_ways() {
        for (text, byte) in [
            (",", b','),
            ("\t", b'\t'),
            ("\\t", b'\t'),
            ("tab", b'\t'),
            (" ", b' '),
            ("space", b' '),
            ("^A", 1),
            ("\\x01", 1),
            ("\\001", 1),
            ("\u{1}", 1),
        ] {
            assert_eq!(text.parse(), Ok(Delimiter(byte)), "{text:?}");
        }
        for text in ["", "::", "a", "\n", "é", "\\x80", "\\xzz", "\\0"] {
            assert_eq!(text.parse::<Delimiter>(), Err(NotACharacter), "{text:?}");
        }
        assert_eq!("none".parse(), Ok(Quote::None));
        assert_eq!("'".parse(), Ok(Quote::Character(b'\'')));
    }

    proptest! {
        /// The writer of another library is the oracle.
        #[test]
        fn what_is_written_as_rfc_4180_says_reads_back(
            fields in prop::collection::vec("[a-c,\"\\\\ ]{0,6}", 1..6),
        ) {
            let mut writer = csv::WriterBuilder::new()
                .quote_style(csv::QuoteStyle::Always)
                .from_writer(Vec::new());
            writer.write_record(&fields).expect("memory");
            let text = String::from_utf8(writer.into_inner().expect("memory")).expect("UTF-8");
            prop_assert_eq!(split(COMMAS, text.trim_end_matches('\n')), Ok(fields));
        }

        /// Whatever is read as a record at all is read as the other library reads it, up to blanks
        /// around quotes, which it takes for text.
        #[test]
        fn a_record_is_what_another_library_reads(text in "[a-c,\"]{0,12}") {
            if let Ok(fields) = split(COMMAS, &text) {
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .from_reader(text.as_bytes());
                let mut record = csv::StringRecord::new();
                let found = reader.read_record(&mut record).expect("UTF-8");
                let other: Vec<String> = record.iter().map(String::from).collect();
                prop_assert_eq!(if found { other } else { vec![String::new()] }, fields);
            }
        }
    }
}
