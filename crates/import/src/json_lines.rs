//! One JSON object a line.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use recant_types::{InvalidId, id_of_float};

use super::columns::{Kind, Wanted};
use super::error::{ImportError, Rejection};
use super::lines::LineReader;
use super::reader::{FormatDescription, ReadRecords};
use super::record::{Next, Record};
use super::source::Source;

/// One JSON object a line.
pub(super) const JSON_LINES: FormatDescription = FormatDescription {
    name: "jsonl",
    extensions: &["jsonl", "ndjson", "json"],
    is_content: |head| matches!(head.trim_ascii_start().first(), Some(b'{' | b'[')),
    yields_to_delimiter: false,
    open: |file| {
        let reader = JsonLinesReader::new(file.path, file.source, file.wanted)?;
        Ok(Box::new(reader))
    },
};

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

    fn parse(&self, record: &mut Record) -> Result<(), Rejection> {
        record.clear(self.wanted.len());
        record.is_exact = true;
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

impl ReadRecords for JsonLinesReader {
    /// Reads the wanted fields of the next object.
    fn next(&mut self, record: &mut Record) -> Next {
        let found = self.lines.next_row(&mut self.text, record)?;
        Ok(found.map(|line| line.and_then(|()| self.parse(record))))
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
                kind: self.wanted[index].kind,
            };
            let unusable = map.next_value_seed(value)?.err();
            if let Some(unusable) = unusable {
                *self.rejection = Some(match unusable {
                    Unusable::Type => Rejection::WrongType(name),
                    Unusable::Number(reason) => Rejection::InvalidId {
                        field: name,
                        reason,
                    },
                });
                return Err(A::Error::custom("a value cannot be used"));
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

/// Writes one scalar into a record, unless it cannot be used.
struct ValueSeed<'a> {
    record: &'a mut Record,
    index: usize,
    kind: Kind,
}

/// Why a value cannot be used.
enum Unusable {
    /// It is no scalar, or a truth.
    Type,
    /// It is a number that is no id.
    Number(InvalidId),
}

type Written = Result<(), Unusable>;

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Written;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Written, E> {
        self.record.set(self.index, text.as_bytes());
        Ok(Ok(()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Written, E> {
        self.record.set_display(self.index, number);
        Ok(Ok(()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Written, E> {
        self.record.set_display(self.index, number);
        Ok(Ok(()))
    }

    /// Integers too large for 64 bits arrive here rounded: as ids they would collide.
    fn visit_f64<E>(self, number: f64) -> Result<Written, E> {
        if self.kind == Kind::Id {
            return Ok(match id_of_float(number) {
                Ok(whole) => {
                    self.record.set_display(self.index, whole);
                    Ok(())
                }
                Err(reason) => Err(Unusable::Number(reason)),
            });
        }
        self.record.set_display(self.index, number);
        Ok(Ok(()))
    }

    /// Null is no value, and hides one found under a less preferred name. As an id or a weight it is
    /// an empty one.
    fn visit_unit<E>(self) -> Result<Written, E> {
        match self.kind {
            Kind::Id | Kind::Weight => self.record.set(self.index, b""),
            Kind::Time | Kind::Text | Kind::Parts | Kind::Truth => {
                self.record.fields[self.index] = None;
            }
        }
        Ok(Ok(()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Written, E> {
        if self.kind != Kind::Truth {
            return Ok(Err(Unusable::Type));
        }
        self.record.set_display(self.index, truth);
        Ok(Ok(()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        if self.kind == Kind::Parts {
            let parts = Value::deserialize(MapAccessDeserializer::new(map))?;
            self.record.set_display(self.index, parts);
            return Ok(Ok(()));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err(Unusable::Type))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        if self.kind == Kind::Parts {
            let parts = Value::deserialize(SeqAccessDeserializer::new(items))?;
            self.record.set_display(self.index, parts);
            return Ok(Ok(()));
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(Unusable::Type))
    }
}
