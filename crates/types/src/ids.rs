//! Identifiers as callers know them, checked once and then safe to pass around.
//!
//! User and item ids are personal data: a pair of them says what somebody did. Their `Debug`
//! prints a placeholder and they have no `Display`, so neither a log line nor an error text can
//! leak one by accident. Whoever really needs the text asks for it by name: [`UserId::expose`].

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// Longest id accepted, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 256;

/// Why a text is not an id. The text itself is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text was empty.
    #[error("an id must not be empty")]
    Empty,
    /// The text was longer than [`ID_BYTES_MAX`].
    #[error("an id must have at most {ID_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The text held a control character.
    #[error("an id must not contain control characters")]
    ControlCharacter,
    /// The text is a word for nothing, such as `null` or `NaN`.
    #[error("an id must not be a word for nothing, such as null, NaN or None")]
    NullWord,
    /// The number has a fraction, or is so large that others would look the same.
    #[error("an id that is a number must be whole, and exact as it is written")]
    NotWhole,
}

/// Words that programs write where they have no value, in lower case.
const NULL_WORDS: [&str; 18] = [
    "nan",
    "-nan",
    "null",
    "none",
    "nil",
    "na",
    "n/a",
    "<na>",
    "#na",
    "#n/a",
    "#null!",
    "nat",
    "<null>",
    "(null)",
    "<none>",
    "undefined",
    "\\n",
    "<nil>",
];

/// Longest of [`NULL_WORDS`], in bytes.
const NULL_WORD_BYTES_MAX: usize = 9;

/// Whether `text` is what a program writes where it has no value.
pub fn is_null_word(text: &str) -> bool {
    // Most ids are numbers, and no word begins with a digit.
    text.len() <= NULL_WORD_BYTES_MAX
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && NULL_WORDS
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text))
}

/// The id in a text from outside: without the blanks around it, which callers do not see and other
/// programs drop. A byte order mark, which begins the first line of some files, is one of them.
///
/// This and [`id_of_float`] are the one rule for ids, whichever file or request they come in. What
/// the service holds already is read with [`UserId::new`] as it is.
pub fn trim_id(text: &str) -> Result<&str, InvalidId> {
    // What is written counts, blanks included: so a description of the interface can state the limit.
    if text.len() > ID_BYTES_MAX && text.chars().count() > ID_BYTES_MAX {
        return Err(InvalidId::TooLong(text.len()));
    }
    // Most ids begin and end in a letter or a digit.
    let trimmed = match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => without_blanks(text),
    };
    check_id(trimmed)?;
    Ok(trimmed)
}

/// A text without the blanks around it that are no part of an id.
pub fn without_blanks(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The id in a text that brings something new: as [`trim_id`], and no word for nothing unless
/// `keep_null_words`. What is asked for or erased may have such a name: it may have been kept.
pub fn new_id(text: &str, keep_null_words: bool) -> Result<&str, InvalidId> {
    let id = trim_id(text)?;
    if !keep_null_words && is_null_word(id) {
        return Err(InvalidId::NullWord);
    }
    Ok(id)
}

/// 2⁵³: below it every integer is exact in an f64.
const EXACT_INTEGER_LIMIT: f64 = 9_007_199_254_740_992.0;

/// The whole number whose decimal text is the id that a floating-point number stands for. NaN is a
/// word for nothing; any other number that is not whole and exact is none.
pub fn id_of_float(number: f64) -> Result<i64, InvalidId> {
    if number.is_nan() {
        Err(InvalidId::NullWord)
    } else if number.fract() == 0.0 && number.abs() < EXACT_INTEGER_LIMIT {
        Ok(number as i64)
    } else {
        Err(InvalidId::NotWhole)
    }
}

/// Whether an id looks like a whole number that went through a column of floating-point numbers or a
/// spreadsheet: `123.0`, `7.6E+16`. The first will not meet the `123` of another file, the second
/// stands for many.
pub fn looks_like_float(id: &str) -> bool {
    let bytes = id.as_bytes();
    let is_number = |text: &[u8]| {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    if let Some(exponent) = bytes.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        let (number, power) = (&bytes[..exponent], &bytes[exponent + 1..]);
        let whole: Vec<u8> = number
            .iter()
            .copied()
            .filter(|byte| *byte != b'.')
            .collect();
        return number.iter().filter(|byte| **byte == b'.').count() <= 1
            && is_number(&whole)
            && power.strip_prefix(b"+").is_some_and(is_number);
    }
    match bytes.iter().position(|byte| *byte == b'.') {
        Some(dot) => {
            let zeros = &bytes[dot + 1..];
            is_number(&bytes[..dot]) && !zeros.is_empty() && zeros.iter().all(|byte| *byte == b'0')
        }
        None => false,
    }
}

/// What there is about an id that is held, and that no new one may have: it is from before the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdFlaw {
    /// Blanks around it: whoever asks for it asks for the text between them.
    Blanks,
    /// It is a word for nothing.
    NullWord,
    /// It looks like a number from a column of floating-point numbers; see [`looks_like_float`].
    LikeFloat,
}

/// What is wrong with an id that is held; `keep_null_words` as for [`new_id`].
pub fn id_flaw(id: &str, keep_null_words: bool) -> Option<IdFlaw> {
    match new_id(id, keep_null_words) {
        Err(InvalidId::NullWord) => Some(IdFlaw::NullWord),
        Ok(trimmed) if trimmed == id => looks_like_float(id).then_some(IdFlaw::LikeFloat),
        Ok(_) | Err(_) => Some(IdFlaw::Blanks),
    }
}

/// What an id that is held would be by the rule: without the blanks, and the whole number that a
/// floating-point one stands for, where it is exact. A word for nothing stays one.
pub fn mended_id(id: &str) -> String {
    let trimmed = trim_id(id).unwrap_or(id);
    let whole = trimmed.parse().ok().filter(|_| looks_like_float(trimmed));
    let whole = whole.and_then(|number: f64| id_of_float(number).ok());
    whole.map_or_else(|| trimmed.to_owned(), |whole| whole.to_string())
}

/// Whether `text` can be an id of a user or an item; for code that reads many and keeps few.
pub fn check_id(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(InvalidId::TooLong(text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::ControlCharacter);
    }
    Ok(())
}

/// The id of a user: 1 to 256 bytes of UTF-8 without control characters.
///
/// Cloning shares the text. `Debug` never shows it.
///
/// ```
/// use recant_types::UserId;
/// let user = UserId::new("ada@example.org")?;
/// assert_eq!(format!("{user:?}"), "UserId(redacted)");
/// assert_eq!(user.expose(), "ada@example.org");
/// # Ok::<(), recant_types::InvalidId>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct UserId(Arc<str>);

/// The id of an item: 1 to 256 bytes of UTF-8 without control characters.
///
/// Cloning shares the text. `Debug` never shows it, because in the company of a request it tells
/// what somebody did.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ItemId(Arc<str>);

impl UserId {
    /// Checks `text` and wraps it as it is.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check_id(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The id in a text from outside, by the rule of [`trim_id`].
    pub fn trimmed(text: &str) -> Result<Self, InvalidId> {
        Ok(Self(Arc::from(trim_id(text)?)))
    }

    /// The text of the id. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl ItemId {
    /// Checks `text` and wraps it as it is.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check_id(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The id in a text from outside, by the rule of [`trim_id`].
    pub fn trimmed(text: &str) -> Result<Self, InvalidId> {
        Ok(Self(Arc::from(trim_id(text)?)))
    }

    /// The text of the id. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Lets a map keyed by ids be asked with a text that is not an id yet.
impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Lets a map keyed by ids be asked with a text that is not an id yet.
impl Borrow<str> for ItemId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Straight from the text: answers name many ids, and none of them is worth a copy.
impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Straight from the text, as for [`UserId`].
impl Serialize for ItemId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(redacted)")
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemId(redacted)")
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(&text)
    }
}

impl TryFrom<String> for ItemId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(&text)
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl From<ItemId> for String {
    fn from(id: ItemId) -> String {
        id.0.as_ref().to_owned()
    }
}

/// The id of an erasure: a version 7 UUID, so that ids sort by the time of acceptance.
///
/// It names a request, not a person, and may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ErasureId(Uuid);

impl ErasureId {
    /// A fresh id for an erasure accepted now.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The sixteen bytes, in the order that sorts by time.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id made of these sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads the hyphenated text form; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for ErasureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_the_contract_refuses() {
        assert_eq!(UserId::new(""), Err(InvalidId::Empty));
        assert_eq!(UserId::new(&"é".repeat(129)), Err(InvalidId::TooLong(258)));
        assert_eq!(ItemId::new("a\0b"), Err(InvalidId::ControlCharacter));
        assert!(ItemId::new(&"x".repeat(ID_BYTES_MAX)).is_ok());
    }

    #[test]
    fn blanks_around_an_id_count_towards_its_length() {
        let padded = |blanks: usize| format!("ada{}", " ".repeat(blanks));
        assert_eq!(trim_id(&padded(ID_BYTES_MAX - 3)), Ok("ada"));
        assert!(matches!(
            trim_id(&padded(ID_BYTES_MAX - 2)),
            Err(InvalidId::TooLong(257))
        ));
    }

    #[test]
    fn ids_from_before_the_rule_are_told_from_others() {
        for (id, flaw, mended) in [
            ("ada", None, "ada"),
            ("7", None, "7"),
            (" ada", Some(IdFlaw::Blanks), "ada"),
            ("\u{a0}7.0 ", Some(IdFlaw::Blanks), "7"),
            (" ", Some(IdFlaw::Blanks), " "),
            ("NaN", Some(IdFlaw::NullWord), "NaN"),
            (" null", Some(IdFlaw::NullWord), "null"),
            ("123.0", Some(IdFlaw::LikeFloat), "123"),
            ("7.6E+16", Some(IdFlaw::LikeFloat), "7.6E+16"),
        ] {
            assert_eq!(id_flaw(id, false), flaw, "{id:?}");
            assert_eq!(mended_id(id), mended, "{id:?}");
        }
        assert_eq!(id_flaw("NaN", true), None);
        assert_eq!(id_flaw(" null", true), Some(IdFlaw::Blanks));
    }

    #[test]
    fn blanks_around_an_id_are_no_part_of_it() {
        for text in [
            "u1",
            " u1",
            "u1 ",
            "\u{feff}u1",
            "u1\r",
            "\u{a0}u1\t",
            "\u{3000}u1\n",
        ] {
            assert_eq!(trim_id(text), Ok("u1"), "{text:?}");
        }
        assert_eq!(trim_id("a b"), Ok("a b"));
        assert_eq!(trim_id(" \t "), Err(InvalidId::Empty));
        assert_eq!(trim_id(" a\tb"), Err(InvalidId::ControlCharacter));
        assert_eq!(
            UserId::trimmed(" u1 ").map(|id| id.expose().to_owned()),
            Ok("u1".into())
        );
    }

    #[test]
    fn words_for_nothing_bring_nobody_unless_they_are_kept() {
        for word in [
            "NaN",
            "nan",
            "NULL",
            "None",
            "\\N",
            "N/A",
            "<NA>",
            "undefined",
            " null ",
        ] {
            assert_eq!(new_id(word, false), Err(InvalidId::NullWord), "{word}");
            assert_eq!(new_id(word, true), Ok(word.trim()), "{word}");
        }
        for name in ["nana", "nullable", "0", "n", "-", "nobody", "Nancy"] {
            assert_eq!(new_id(name, false), Ok(name));
        }
        let longest = NULL_WORDS.iter().map(|word| word.len()).max();
        assert_eq!(longest, Some(NULL_WORD_BYTES_MAX));
    }

    #[test]
    fn a_number_is_an_id_when_it_is_whole_and_exact() {
        assert_eq!(id_of_float(7.0), Ok(7));
        assert_eq!(id_of_float(-0.0), Ok(0));
        assert_eq!(
            id_of_float(9_007_199_254_740_991.0),
            Ok(9_007_199_254_740_991)
        );
        assert_eq!(id_of_float(f64::NAN), Err(InvalidId::NullWord));
        for number in [0.5, 7.6e16, f64::INFINITY, -9_007_199_254_740_992.0] {
            assert_eq!(id_of_float(number), Err(InvalidId::NotWhole), "{number}");
        }
    }

    #[test]
    fn ids_that_went_through_a_column_of_floats_are_recognised() {
        for id in ["123.0", "1.00", "-7.0", "7.6E+16", "1e+05", "12E+3"] {
            assert!(looks_like_float(id), "{id}");
        }
        for id in [
            "123", "1.5", "v1.0", "1.0.0", ".0", "1.", "7.6E16x", "e+1", "1e5", "ada.0",
        ] {
            assert!(!looks_like_float(id), "{id}");
        }
    }

    #[test]
    fn debug_output_never_shows_the_text() {
        let user = UserId::new("needle").expect("a valid id");
        let item = ItemId::new("needle").expect("a valid id");
        let shown = format!("{user:?} {item:?} {:?}", Some((&user, &item)));
        assert!(!shown.contains("needle"), "{shown}");
    }

    #[test]
    fn deserialising_checks_the_id() {
        assert!(serde_json::from_str::<UserId>("\"\"").is_err());
        let error = serde_json::from_str::<UserId>("\"secret\\u0007\"").expect_err("a bell");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn erasure_ids_sort_by_creation_and_survive_text() {
        let (first, second) = (ErasureId::generate(), ErasureId::generate());
        assert!(first < second);
        assert_eq!(ErasureId::parse(&first.to_string()), Some(first));
        assert_eq!(ErasureId::parse("not-an-id"), None);
    }
}
