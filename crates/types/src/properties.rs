//! Properties of items and of people: values by name, and which there may be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// Most properties that one item or person may have.
const PROPERTIES_MAX: usize = 100;

/// Longest name of a property, in bytes.
const PROPERTY_NAME_BYTES_MAX: usize = 64;

/// Longest text of a property, in bytes of UTF-8.
const PROPERTY_TEXT_BYTES_MAX: usize = 1_024;

/// Longest the properties of one item or person may be together, in bytes of JSON: a record of the
/// store has to hold them.
const PROPERTIES_BYTES_MAX: usize = 30_000;

/// No number has more bytes in JSON.
pub(crate) const NUMBER_BYTES_MAX: usize = 32;

/// 2⁵³: below it every integer is exact in an f64.
const EXACT_INTEGER_LIMIT: f64 = 9_007_199_254_740_992.0;

/// Values by name.
pub(crate) type Properties = BTreeMap<Arc<str>, PropertyValue>;

/// The value of a property. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum PropertyValue {
    /// A truth.
    Truth(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(Arc<str>),
}

/// Why properties are not taken. What they say is never part of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum InvalidProperties {
    /// There are too many.
    #[error("properties: at most {PROPERTIES_MAX}")]
    TooMany,
    /// The name of one is none.
    #[error(
        "properties: a name begins with a letter or _, goes on with letters, digits and _, all \
         ASCII, and has at most {PROPERTY_NAME_BYTES_MAX} bytes"
    )]
    BadName,
    /// A text is too long.
    #[error("properties: a text has at most {PROPERTY_TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    /// A number is none.
    #[error("properties: a number must be finite")]
    NumberNotFinite,
    /// All together are too long.
    #[error("properties: all together have at most {PROPERTIES_BYTES_MAX} bytes of JSON")]
    TooLong,
}

/// Whether each of `properties` is within its bounds, and all together.
pub(crate) fn check_properties(properties: &Properties) -> Result<(), InvalidProperties> {
    use InvalidProperties as Invalid;
    if properties.len() > PROPERTIES_MAX {
        return Err(Invalid::TooMany);
    }
    if !properties.keys().all(|name| is_name(name)) {
        return Err(Invalid::BadName);
    }
    for value in properties.values() {
        match value {
            PropertyValue::Number(number) if !number.is_finite() => {
                return Err(Invalid::NumberNotFinite);
            }
            PropertyValue::Text(text) if text.len() > PROPERTY_TEXT_BYTES_MAX => {
                return Err(Invalid::TextTooLong);
            }
            _ => {}
        }
    }
    if properties_bytes_at_most(properties) > PROPERTIES_BYTES_MAX {
        return Err(Invalid::TooLong);
    }
    Ok(())
}

/// No fewer bytes than the JSON of `properties` has, and not many more.
pub(crate) fn properties_bytes_at_most(properties: &Properties) -> usize {
    const BETWEEN: usize = 8;
    let value = |value: &PropertyValue| match value {
        PropertyValue::Text(text) => escaped(text),
        PropertyValue::Truth(_) | PropertyValue::Number(_) => NUMBER_BYTES_MAX,
    };
    let named = properties.iter();
    named
        .map(|(name, held)| escaped(name) + value(held) + BETWEEN)
        .sum()
}

/// Bytes of a text within JSON.
pub(crate) fn escaped(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(byte).sum()
}

/// Whether a text can be the name of a property: an identifier, so that expressions can name it.
fn is_name(text: &str) -> bool {
    let begins = |first: u8| first.is_ascii_alphabetic() || first == b'_';
    text.len() <= PROPERTY_NAME_BYTES_MAX
        && text.bytes().next().is_some_and(begins)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whole numbers that an f64 holds exactly are written as such.
impl Serialize for PropertyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Truth(truth) => serializer.serialize_bool(*truth),
            Self::Number(number)
                if number.fract() == 0.0
                    && number.abs() < EXACT_INTEGER_LIMIT
                    && !(*number == 0.0 && number.is_sign_negative()) =>
            {
                serializer.serialize_i64(*number as i64)
            }
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl fmt::Debug for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PropertyValue(redacted)")
    }
}
