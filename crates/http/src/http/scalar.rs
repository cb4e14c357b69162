//! Scalars of a row: ids and times in every spelling that files may have too.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use recant_types::{InvalidId, InvalidTime, TimeRule, id_of_float};

/// A JSON value of which nothing but a scalar is kept.
#[derive(Debug, Default, Clone)]
pub(super) enum Scalar {
    /// The field is absent or null.
    #[default]
    Absent,
    Text(String),
    Integer(i64),
    /// A whole number beyond an i64.
    Large(u64),
    Float(f64),
    /// Anything else.
    Other,
}

/// The id that the field `name` says.
pub(super) fn id<T>(
    name: &str,
    value: Scalar,
    make: impl FnOnce(&str) -> Result<T, InvalidId>,
) -> Result<T, String> {
    let made = match value {
        Scalar::Text(text) => make(&text),
        Scalar::Integer(number) => make(&number.to_string()),
        Scalar::Large(number) => make(&number.to_string()),
        Scalar::Float(number) => id_of_float(number).and_then(|whole| make(&whole.to_string())),
        Scalar::Absent => return Err(format!("{name} is missing")),
        Scalar::Other => return Err(format!("{name} must be a string or a whole number")),
    };
    made.map_err(|reason| format!("{name}: {reason}"))
}

/// The time that a value says; none where it says nothing.
pub(super) fn time(value: Scalar, times: &TimeRule) -> Result<Option<i64>, InvalidTime> {
    match value {
        Scalar::Absent => Ok(None),
        Scalar::Integer(integer) => times.integer(integer).map(Some),
        Scalar::Float(float) => times.float(float).map(Some),
        Scalar::Text(text) => times.text(&text),
        Scalar::Large(_) => Err(InvalidTime::Ahead),
        Scalar::Other => Err(InvalidTime::Unreadable),
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Large(value), Scalar::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
