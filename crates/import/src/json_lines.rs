//! One JSON object a line.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::columns::Wanted;
use super::error::{ImportError, Rejection};
use super::lines::{Line, LineReader};
use super::record::Record;
use super::record_reader::Next;
use super::source::Source;

/// 2⁵³: below it every integer is exact in an f64.
const EXACT_INTEGER_LIMIT: f64 = 9_007_199_254_740_992.0;

/// Reads the wanted keys of JSON objects; other keys are ignored.
pub(super) struct JsonLinesReader {
    lines: LineReader,
    wanted: Vec<Wanted>,
    text: Vec<u8>,
}

impl JsonLinesReader {
    /// Reads the objects of `source`.
    pub(super) fn new(
        path: &Path,
        source: Source,
        wanted: Vec<Wanted>,
    ) -> Result<Self, ImportError> {
        if source.head.trim_ascii_start().starts_with(b"[") {
            return Err(ImportError::JsonArray(path.to_owned()));
        }
        Ok(Self {
            lines: LineReader::new(path, source),
            wanted,
            text: Vec::new(),
        })
    }

    /// Reads the wanted fields of the next object.
    pub(super) fn next(&mut self, record: &mut Record) -> Next {
        self.text.clear();
        let line = self.lines.next_row_line(&mut self.text)?;
        record.number = self.lines.number();
        match line {
            Line::End => Ok(None),
            Line::TooLong => Ok(Some(Err(Rejection::TooLong))),
            Line::Whole => Ok(Some(self.parse(record))),
        }
    }

    fn parse(&self, record: &mut Record) -> Result<(), Rejection> {
        record.clear(self.wanted.len());
        let mut rejection = None;
        let mut parser = serde_json::Deserializer::from_slice(&self.text);
        let object = ObjectSeed {
            wanted: &self.wanted,
            record,
            rejection: &mut rejection,
        };
        let parsed = object.deserialize(&mut parser).and_then(|()| parser.end());
        match (parsed, rejection) {
            (_, Some(rejection)) => Err(rejection),
            // The parser's own message may repeat a value, its position does not.
            (Err(error), None) => Err(Rejection::NotJson {
                column: error.column(),
            }),
            (Ok(()), None) => Ok(()),
        }
    }
}

/// Writes the wanted keys of one object into a record, without building the object.
struct ObjectSeed<'a> {
    wanted: &'a [Wanted],
    record: &'a mut Record,
    /// Why the row is rejected although it is JSON.
    rejection: &'a mut Option<Rejection>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // The name each field was found under: a preferred one wins, the same one twice does not.
        let mut found = vec![None; self.wanted.len()];
        while let Some(key) = map.next_key_seed(KeySeed(self.wanted))? {
            let Some((index, preference)) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let name = self.wanted[index].name;
            match found[index] {
                Some(before) if before == preference => {
                    *self.rejection = Some(Rejection::NamedTwice(name));
                    return Err(A::Error::custom("a key occurs twice"));
                }
                Some(before) if before < preference => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => found[index] = Some(preference),
            }
            let value = ValueSeed {
                record: self.record,
                index,
                is_id: self.wanted[index].is_id,
            };
            if !map.next_value_seed(value)? {
                *self.rejection = Some(Rejection::WrongType(name));
                return Err(A::Error::custom("a value has a type that cannot be used"));
            }
        }
        Ok(())
    }
}

/// Finds out which wanted field a key names, and how well.
struct KeySeed<'a>(&'a [Wanted]);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<(usize, usize)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<(usize, usize)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let named = |(index, wanted): (usize, &Wanted)| Some((index, wanted.preference(key)?));
        Ok(self.0.iter().enumerate().find_map(named))
    }
}

/// Writes one scalar into a record; the value is `false` when it is none.
struct ValueSeed<'a> {
    record: &'a mut Record,
    index: usize,
    is_id: bool,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        self.record.set(self.index, text.as_bytes());
        Ok(true)
    }

    fn visit_i64<E>(self, number: i64) -> Result<bool, E> {
        self.record.set_display(self.index, number);
        Ok(true)
    }

    fn visit_u64<E>(self, number: u64) -> Result<bool, E> {
        self.record.set_display(self.index, number);
        Ok(true)
    }

    /// Integers too large for 64 bits arrive here rounded: as ids they would collide.
    fn visit_f64<E>(self, number: f64) -> Result<bool, E> {
        if self.is_id && !(number.fract() == 0.0 && number.abs() < EXACT_INTEGER_LIMIT) {
            return Ok(false);
        }
        self.record.set_display(self.index, number);
        Ok(true)
    }

    /// Null is the same as no value; it hides one found under a less preferred name.
    fn visit_unit<E>(self) -> Result<bool, E> {
        self.record.fields[self.index] = None;
        Ok(true)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}
