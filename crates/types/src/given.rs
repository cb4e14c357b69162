//! Ids in bodies of requests, by the rule that files have too: texts without the blanks around them,
//! and whole numbers as their decimal text.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::ids::{InvalidId, ItemId, UserId, id_of_float};

/// An id as a body gives it. What is asked for or erased may be a word for nothing: it may have been
/// kept.
#[derive(Debug)]
pub struct Given<T>(pub T);

impl<T> Given<T> {
    /// The ids of a list.
    pub fn ids(list: Vec<Self>) -> Vec<T> {
        list.into_iter().map(|given| given.0).collect()
    }
}

/// What an id is made into: a user's or an item's.
pub trait Id: Sized {
    /// The id in a text from outside.
    fn trimmed(text: &str) -> Result<Self, InvalidId>;
}

impl Id for UserId {
    fn trimmed(text: &str) -> Result<Self, InvalidId> {
        Self::trimmed(text)
    }
}

impl Id for ItemId {
    fn trimmed(text: &str) -> Result<Self, InvalidId> {
        Self::trimmed(text)
    }
}

impl<'de, T: Id> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor(PhantomData))
    }
}

struct IdVisitor<T>(PhantomData<T>);

impl<T: Id> IdVisitor<T> {
    fn read<E: Error>(text: &str) -> Result<Given<T>, E> {
        T::trimmed(text).map(Given).map_err(E::custom)
    }
}

impl<T: Id> Visitor<'_> for IdVisitor<T> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a string or a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Given<T>, E> {
        Self::read(text)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Given<T>, E> {
        Self::read(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Given<T>, E> {
        Self::read(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Given<T>, E> {
        Self::read(&id_of_float(number).map_err(E::custom)?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_the_same_in_every_spelling_that_json_has() {
        let read = |json: &str| serde_json::from_str::<Given<UserId>>(json);
        for json in ["\"7\"", "\" 7 \"", "7", "7.0"] {
            assert_eq!(read(json).expect(json).0.expose(), "7");
        }
        assert_eq!(
            read("18446744073709551615").expect("64 bits").0.expose(),
            "18446744073709551615"
        );
        assert_eq!(read("\"null\"").expect("a name").0.expose(), "null");
        for json in [
            "7.5",
            "1e300",
            "true",
            "null",
            "[7]",
            "\" \"",
            "\"a\\u0007b\"",
        ] {
            let error = read(json).expect_err(json).to_string();
            assert!(
                !error.contains("7.5") && !error.contains("\u{7}"),
                "{error}"
            );
        }
    }
}
