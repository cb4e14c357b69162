//! The forms in which a text may lie in a file.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Serialize;

use recant_types::without_blanks;

/// Shortest pattern of a derived form. Four bytes occur by chance about once in 4 GiB of
/// ciphertext, three about once in 16 MiB: shorter ones would report noise.
const DERIVED_BYTES_MIN: usize = 4;

/// Fewest bytes that a number must need for its binary forms to be searched. Smaller numbers are
/// row numbers, lengths and flags in every binary file.
const INTEGER_BYTES_MIN: usize = 3;

/// How a text was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// Its bytes, UTF-8.
    Plain,
    /// As in a JSON text, where that differs.
    Json,
    /// As in a URL, where that differs.
    Percent,
    /// Its bytes as hexadecimal digits, lower or upper case.
    Hex,
    /// Its bytes within base64, standard or URL alphabet, at any of the three alignments.
    Base64,
    /// The number it is the decimal form of, least significant byte first.
    IntegerLittleEndian,
    /// The number it is the decimal form of, most significant byte first.
    IntegerBigEndian,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Percent => "percent",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::IntegerLittleEndian => "integer-little-endian",
            Self::IntegerBigEndian => "integer-big-endian",
        })
    }
}

/// Why a text cannot be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NeedleError {
    /// It has no bytes.
    #[error("a needle must not be empty")]
    Empty,
}

/// A text to look for. `Debug` does not show it: it is somebody's id.
#[derive(Clone)]
pub(crate) struct Needle {
    patterns: BTreeMap<Vec<u8>, Form>,
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Needle")
            .field("forms", &self.forms())
            .finish_non_exhaustive()
    }
}

impl Needle {
    /// Every form of `text` that is worth searching for, and of what it is without the blanks around it,
    /// which are no part of an id: a number is not recognised with them.
    pub(crate) fn new(text: &str) -> Result<Self, NeedleError> {
        if text.is_empty() {
            return Err(NeedleError::Empty);
        }
        let mut needle = Self {
            patterns: BTreeMap::new(),
        };
        needle.add(text);
        let bare = without_blanks(text);
        if !bare.is_empty() {
            needle.add(bare);
        }
        Ok(needle)
    }

    fn add(&mut self, text: &str) {
        // The first form of a pattern counts: a plain text is not reported as JSON, too.
        self.patterns.insert(text.into(), Form::Plain);
        self.derive(Form::Json, json(text));
        self.derive(Form::Percent, percent(text));
        self.derive(Form::Hex, hex(text, b"0123456789abcdef"));
        self.derive(Form::Hex, hex(text, b"0123456789ABCDEF"));
        for alignment in 0..3 {
            self.derive(Form::Base64, base64(&STANDARD_NO_PAD, text, alignment));
            self.derive(Form::Base64, base64(&URL_SAFE_NO_PAD, text, alignment));
        }
        if let Some(little_endian) = integer(text) {
            let big_endian = little_endian.iter().rev().copied().collect();
            self.derive(Form::IntegerLittleEndian, little_endian);
            self.derive(Form::IntegerBigEndian, big_endian);
        }
    }

    fn derive(&mut self, form: Form, pattern: Vec<u8>) {
        if pattern.len() >= DERIVED_BYTES_MIN {
            self.patterns.entry(pattern).or_insert(form);
        }
    }

    /// The byte patterns, each with the form it stands for.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&[u8], Form)> {
        self.patterns
            .iter()
            .map(|(pattern, form)| (pattern.as_slice(), *form))
    }

    /// The forms that are searched for. A short text lacks some: see `recant scan --help`.
    pub(crate) fn forms(&self) -> Vec<Form> {
        let mut forms: Vec<Form> = self.patterns.values().copied().collect();
        forms.sort_unstable();
        forms.dedup();
        forms
    }
}

fn json(text: &str) -> Vec<u8> {
    let quoted = serde_json::to_string(text).expect("a text");
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

/// Everything but the unreserved characters of RFC 3986 escaped.
fn percent(text: &str) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte);
        } else {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    escaped
}

fn hex(text: &str, digits: &[u8; 16]) -> Vec<u8> {
    text.bytes()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| digits[usize::from(nibble)])
        .collect()
}

/// The characters that `text` alone determines when `alignment` bytes of something else go before
/// it in a group of three, and anything follows.
fn base64(engine: &impl Engine, text: &str, alignment: usize) -> Vec<u8> {
    let mut bytes = vec![0; alignment];
    bytes.extend_from_slice(text.as_bytes());
    // A character stands for six bits.
    let (start, end) = ((alignment * 8).div_ceil(6), bytes.len() * 8 / 6);
    let encoded = engine.encode(&bytes).into_bytes();
    encoded
        .get(start..end)
        .map_or_else(Vec::new, <[u8]>::to_vec)
}

/// The number of a decimal text, in as few bytes as it needs but at least
/// [`DERIVED_BYTES_MIN`], least significant first. Wider forms, up to eight bytes, contain this one
/// or its mirror image. `None` for other texts and for numbers that are too small to be told from
/// noise.
fn integer(text: &str) -> Option<Vec<u8>> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number: u64 = text.parse().ok().filter(|_| is_decimal)?;
    let width = (u64::BITS - number.leading_zeros()).div_ceil(8) as usize;
    let bytes = &number.to_le_bytes()[..width.max(DERIVED_BYTES_MIN)];
    (width >= INTEGER_BYTES_MIN).then(|| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(text: &str, form: Form) -> Vec<Vec<u8>> {
        let needle = Needle::new(text).expect("a text");
        let of_form = needle.patterns().filter(|(_, found)| *found == form);
        of_form.map(|(pattern, _)| pattern.to_vec()).collect()
    }

    fn contains(haystack: &[u8], pattern: &[u8]) -> bool {
        haystack
            .windows(pattern.len())
            .any(|window| window == pattern)
    }

    #[test]
    fn numbers_are_searched_where_they_are_no_noise() {
        assert_eq!(
            patterns("123456789", Form::IntegerBigEndian),
            [[7, 91, 205, 21]]
        );
        assert_eq!(
            patterns("123456789", Form::IntegerLittleEndian),
            [[21, 205, 91, 7]]
        );
        assert_eq!(patterns("65536", Form::IntegerBigEndian), [[0, 1, 0, 0]]);
        assert_eq!(
            patterns("1099511627776", Form::IntegerLittleEndian),
            [[0, 0, 0, 0, 0, 1]]
        );
        for none in [
            "65535",
            "7",
            "007",
            "0",
            "-70000",
            "12a45678",
            "99999999999999999999",
        ] {
            assert!(
                patterns(none, Form::IntegerLittleEndian).is_empty(),
                "{none}"
            );
        }
    }

    #[test]
    fn a_short_text_is_searched_in_the_forms_that_are_no_noise() {
        let forms = Needle::new("ada").expect("a text").forms();
        assert_eq!(forms, [Form::Plain, Form::Hex, Form::Base64]);
        assert_eq!(Needle::new("a").expect("a text").forms(), [Form::Plain]);
        assert_eq!(Needle::new("").expect_err("nothing"), NeedleError::Empty);
    }

    #[test]
    fn blanks_around_a_text_hide_none_of_its_forms() {
        for text in ["123456789", "ada-0001"] {
            let bare = Needle::new(text).expect("a text");
            let around = Needle::new(&format!("\u{feff} {text}\t\r")).expect("a text");
            let all: Vec<_> = around.patterns().collect();
            assert!(bare.patterns().all(|pattern| all.contains(&pattern)));
            assert!(all.len() > bare.patterns().count(), "and as it is");
        }
        assert_eq!(patterns("  ", Form::Plain), [b"  "]);
    }

    #[test]
    fn what_must_be_escaped_is_searched_so() {
        assert_eq!(patterns("a\"ü b", Form::Json), ["a\\\"ü b".as_bytes()]);
        assert_eq!(patterns("a\"ü b", Form::Percent), [b"a%22%C3%BC%20b"]);
        assert!(patterns("ada-0001", Form::Json).is_empty());
    }

    proptest! {
        #[test]
        fn base64_of_anything_around_the_text_contains_a_pattern(
            before in prop::collection::vec(any::<u8>(), 0..7),
            text in "[ -~]{5,20}",
            after in prop::collection::vec(any::<u8>(), 0..7),
        ) {
            let whole = [&before[..], text.as_bytes(), &after[..]].concat();
            for encoded in [STANDARD_NO_PAD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                let found = patterns(&text, Form::Base64)
                    .iter()
                    .any(|pattern| contains(encoded.as_bytes(), pattern));
                prop_assert!(found, "{}", encoded);
            }
        }

        #[test]
        fn any_width_that_holds_the_number_contains_it(number in 65_536u64..) {
            let text = number.to_string();
            let little = &patterns(&text, Form::IntegerLittleEndian)[0];
            let big = patterns(&text, Form::IntegerBigEndian);
            prop_assert!(contains(&number.to_le_bytes(), little));
            // A number that reads the same both ways is reported as little endian.
            prop_assert!(big.first().is_none_or(|big| contains(&number.to_be_bytes(), big)));
            if let Ok(number) = u32::try_from(number) {
                prop_assert!(contains(&number.to_le_bytes(), little));
            }
        }
    }
}
