//! Rows of a body, judged one by one: a bad row is told apart from a bad request.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{BODY_TOO_LARGE, MALFORMED_BODY, Problem};

/// One row that was not taken.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct RejectedRow {
    /// Its place in the request, from 0; blank lines do not count.
    pub(super) index: usize,
    /// What is wrong with it; never what it says.
    pub(super) reason: String,
}

/// The rows of a request, sorted.
#[derive(Debug)]
pub(super) struct Rows<T> {
    /// Those that can be taken.
    pub(super) good: Vec<T>,
    /// Those that cannot.
    pub(super) rejected: Vec<RejectedRow>,
}

/// A kind of row, as it comes: whatever its fields hold.
pub(super) trait Row: Sized {
    /// Most of them in a request, and what they are called there.
    const MOST: usize;
    const NAME: &'static str;
    /// What the array of them is.
    const LIST: &'static str;
    /// What is wrong with a row that is no object.
    const NOT_AN_OBJECT: &'static str;

    /// Reads the fields of an object.
    fn read<'de, A: MapAccess<'de>>(fields: A) -> Result<Self, A::Error>;
}

/// Reads the next value into `field`; whether it was given before.
pub(super) fn put<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Option<T>,
    fields: &mut A,
) -> Result<bool, A::Error> {
    Ok(field.replace(fields.next_value()?).is_some())
}

impl<T> Rows<T> {
    /// Judges rows, as many as one request may bring.
    fn judged<R: Row>(
        rows: impl Iterator<Item = Result<Fields<R>, String>>,
        judge: impl Fn(R) -> Result<T, String>,
    ) -> Result<Self, Problem> {
        let (mut good, mut rejected) = (Vec::new(), Vec::new());
        for (index, row) in rows.enumerate() {
            if index == R::MOST {
                return Err(too_many::<R>());
            }
            match row.and_then(Fields::object).and_then(&judge) {
                Ok(row) => good.push(row),
                Err(reason) => rejected.push(RejectedRow { index, reason }),
            }
        }
        Ok(Self { good, rejected })
    }
}

fn too_many<R: Row>() -> Problem {
    let detail = format!("send at most {} {} a request", R::MOST, R::NAME);
    Problem::new(&BODY_TOO_LARGE, detail)
}

/// The byte order mark in UTF-8, which some programs write before the first line.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Rows of NDJSON, one a line; blank lines do not count. Lines end as those of imported files do: where
/// there are no newlines, in carriage returns.
pub(super) fn rows_of_lines<R: Row, T>(
    bytes: &[u8],
    judge: impl Fn(R) -> Result<T, String>,
) -> Result<Rows<T>, Problem> {
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    let has_newlines = bytes.contains(&b'\n');
    let ending = if has_newlines { b'\n' } else { b'\r' };
    let lines = bytes.split(|byte| *byte == ending);
    let lines = lines.map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty()).map(|line| {
        let row = serde_json::from_slice(line);
        row.map_err(|_| String::from("the line is not well-formed JSON"))
    });
    let rows = Rows::judged(lines, judge)?;
    if rows.good.is_empty() && rows.rejected.is_empty() {
        let detail = "the body has no lines: send a JSON object a line";
        return Err(Problem::new(&MALFORMED_BODY, detail));
    }
    Ok(rows)
}

/// An array of rows, read no further than the limit.
pub(super) struct RowList<R> {
    rows: Vec<Fields<R>>,
    overflowed: bool,
}

impl<R: Row> RowList<R> {
    /// The rows, judged.
    pub(super) fn judged<T>(
        self,
        judge: impl Fn(R) -> Result<T, String>,
    ) -> Result<Rows<T>, Problem> {
        if self.overflowed {
            return Err(too_many::<R>());
        }
        Rows::judged(self.rows.into_iter().map(Ok), judge)
    }
}

impl<'de, R: Row> Deserialize<'de> for RowList<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<R>(PhantomData<R>);

impl<'de, R: Row> Visitor<'de> for ListVisitor<R> {
    type Value = RowList<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(R::LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RowList<R>, A::Error> {
        let mut rows = Vec::new();
        while rows.len() < R::MOST {
            match list.next_element()? {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        let mut overflowed = false;
        while list.next_element::<IgnoredAny>()?.is_some() {
            overflowed = true;
        }
        Ok(RowList { rows, overflowed })
    }
}

/// Any JSON value, kept where it is an object.
pub(super) struct Fields<R>(Option<R>);

impl<R: Row> Fields<R> {
    /// The object, or what is wrong with anything else.
    pub(super) fn object(self) -> Result<R, String> {
        self.0.ok_or_else(|| R::NOT_AN_OBJECT.to_owned())
    }
}

impl<'de, R: Row> Deserialize<'de> for Fields<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor(PhantomData))
    }
}

struct FieldsVisitor<R>(PhantomData<R>);

impl<'de, R: Row> Visitor<'de> for FieldsVisitor<R> {
    type Value = Fields<R>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields<R>, A::Error> {
        R::read(map).map(|row| Fields(Some(row)))
    }

    fn visit_unit<E>(self) -> Result<Fields<R>, E> {
        Ok(Fields(None))
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Fields<R>, E> {
        Ok(Fields(None))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Fields<R>, E> {
        Ok(Fields(None))
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Fields<R>, E> {
        Ok(Fields(None))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Fields<R>, E> {
        Ok(Fields(None))
    }

    fn visit_str<E>(self, _value: &str) -> Result<Fields<R>, E> {
        Ok(Fields(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields<R>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields(None))
    }
}
