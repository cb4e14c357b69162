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
    /// Checks `text` and wraps it.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check_id(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// The text of the id. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl ItemId {
    /// Checks `text` and wraps it.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        check_id(text)?;
        Ok(Self(Arc::from(text)))
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
