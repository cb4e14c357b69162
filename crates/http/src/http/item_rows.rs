//! What a request says about items, read field by field: what is wrong with a row is told apart
//! from what is wrong with the request, and neither repeats what was sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::Value;
use utoipa::ToSchema;

use super::body_rows::{self, Row, RowList, Rows, put, rows_of_lines};
use super::json_body::{self, Id};
use super::problem::{INVALID_BODY, Problem};
use super::property_values::property_values;
use super::scalar::{Scalar, id, time};
use recant_types::{DESCRIPTIONS_MAX, DescriptionPatch, ItemDescription, ItemId, TimeRule, new_id};

/// What is said about an item, in requests and answers.
#[derive(ToSchema)]
#[schema(as = Item, example = json!({
    "id": "dune", "title": "Dune", "tags": ["desert", "science fiction"],
    "properties": {"price": 12.5, "language": "en", "illustrated": false},
    "timestamp": 1_700_000_000, "hidden": false,
}))]
#[allow(dead_code, reason = "it only documents")]
pub(super) struct ItemBody {
    /// Which item. In a request to `/items/{id}` it may be left out.
    #[schema(value_type = Id, required = false)]
    id: String,
    /// Its title, at most 1 024 bytes.
    title: Option<String>,
    /// Its tags, at most 100 of 1 to 128 bytes each; in answers sorted, each once.
    #[schema(max_items = 100, required = false)]
    tags: Vec<String>,
    /// Texts of at most 1 024 bytes, numbers and truths by name, at most 100; a name is an
    /// identifier of at most 64 bytes. All that is said of an item has at most 30 000 bytes of JSON.
    #[schema(value_type = Object, required = false)]
    properties: BTreeMap<String, Value>,
    /// When it appeared: RFC 3339 as a text, or a number since 1970 in seconds, milliseconds,
    /// microseconds or nanoseconds, told apart by size. Answers show the number.
    #[schema(value_type = Option<i64>)]
    timestamp: Option<Value>,
    /// Left out of every list; what was learnt of it stays.
    #[schema(required = false)]
    hidden: bool,
}

/// Items of a request, sorted.
pub(super) type ItemRows = Rows<ItemDescription>;

/// Items of `{"items":[…]}`.
pub(super) fn items_of_json(bytes: &[u8], keep_null_ids: bool) -> Result<ItemRows, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object with the array items")]
    struct Body {
        items: RowList<Fields>,
    }
    let body: Body = json_body::parse(bytes)?;
    body.items.judged(|row| row.into_item(None, keep_null_ids))
}

/// Items of NDJSON, one a line; blank lines do not count.
pub(super) fn items_of_lines(bytes: &[u8], keep_null_ids: bool) -> Result<ItemRows, Problem> {
    rows_of_lines(bytes, |row: Fields| row.into_item(None, keep_null_ids))
}

/// What a body says about the item `id`.
pub(super) fn item_of_json(bytes: &[u8], id: &ItemId) -> Result<ItemDescription, Problem> {
    let fields: body_rows::Fields<Fields> = json_body::parse(bytes)?;
    let item = fields
        .object()
        .and_then(|row| row.into_item(Some(id), true));
    item.map_err(|reason| Problem::new(&INVALID_BODY, reason))
}

/// What a body changes in what is said about the item `id`.
pub(super) fn patch_of_json(bytes: &[u8], id: &ItemId) -> Result<DescriptionPatch, Problem> {
    let fields: body_rows::Fields<Fields> = json_body::parse(bytes)?;
    let patch = fields.object().and_then(|row| {
        row.named(Some(id), true)?;
        row.patch()
    });
    patch.map_err(|reason| Problem::new(&INVALID_BODY, reason))
}

/// The fields of one item as they came: `None` is absent, and a null is a null.
#[derive(Debug, Default)]
struct Fields {
    id: Option<Scalar>,
    title: Option<Value>,
    tags: Option<Value>,
    properties: Option<Value>,
    timestamp: Option<Scalar>,
    hidden: Option<Value>,
    /// What is wrong with all of it, if anything.
    flaw: Option<&'static str>,
}

impl Fields {
    /// The item that all of this is said about. What is absent or null is not said.
    fn into_item(
        self,
        of: Option<&ItemId>,
        keep_null_ids: bool,
    ) -> Result<ItemDescription, String> {
        let mut item = ItemDescription::of(self.named(of, keep_null_ids)?);
        self.patch()?.apply(&mut item);
        item.check().map_err(|reason| reason.to_string())?;
        Ok(item)
    }

    /// The id that is named, which is `of` when that is known already.
    fn named(&self, of: Option<&ItemId>, keep_null_ids: bool) -> Result<ItemId, String> {
        if let Some(flaw) = self.flaw {
            return Err(flaw.to_owned());
        }
        let text = match (&self.id, of) {
            (None, Some(of)) => return Ok(of.clone()),
            // In the path there is an id: that nothing is one is another mistake.
            (Some(Scalar::Absent), Some(_)) => Scalar::Other,
            (given, _) => given.clone().unwrap_or_default(),
        };
        let id = id("id", text, |text| ItemId::new(new_id(text, keep_null_ids)?))?;
        if of.is_some_and(|of| *of != id) {
            return Err(String::from("id is not the one in the path: leave it out"));
        }
        Ok(id)
    }

    /// The changes that this means: what is absent stays, what is null is cleared.
    fn patch(&self) -> Result<DescriptionPatch, String> {
        let (properties, clears_properties) = match &self.properties {
            None => Default::default(),
            Some(Value::Null) => (BTreeMap::new(), true),
            Some(Value::Object(named)) => (property_values(named)?, false),
            Some(_) => return Err(String::from("properties must be an object")),
        };
        Ok(DescriptionPatch {
            title: match &self.title {
                None => None,
                Some(Value::Null) => Some(None),
                Some(Value::String(title)) => Some(Some(Arc::from(title.as_str()))),
                Some(_) => return Err(String::from("title must be a text")),
            },
            tags: match &self.tags {
                None => None,
                Some(Value::Null) => Some(Vec::new()),
                Some(Value::Array(tags)) => Some(texts(tags)?),
                Some(_) => return Err(String::from("tags must be an array of texts")),
            },
            properties,
            clears_properties,
            timestamp: match &self.timestamp {
                None => None,
                Some(value) => Some(timestamp(value.clone())?),
            },
            hidden: match self.hidden {
                None => None,
                Some(Value::Null) => Some(false),
                Some(Value::Bool(hidden)) => Some(hidden),
                Some(_) => return Err(String::from("hidden must be true or false")),
            },
        })
    }
}

fn texts(values: &[Value]) -> Result<Vec<Arc<str>>, String> {
    let texts = values.iter().map(|value| value.as_str().map(Arc::from));
    let texts: Option<Vec<_>> = texts.collect();
    texts.ok_or_else(|| String::from("tags must be an array of texts"))
}

fn timestamp(value: Scalar) -> Result<Option<i64>, String> {
    let read = time(value, &TimeRule::of_catalogues());
    read.map_err(|_| String::from("timestamp must be RFC 3339 or a number since 1970"))
}

impl Row for Fields {
    const MOST: usize = DESCRIPTIONS_MAX;
    const NAME: &'static str = "items";
    const LIST: &'static str = "an array of items";
    const NOT_AN_OBJECT: &'static str = "an item must be an object";

    fn read<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut row = Self::default();
        while let Some(name) = fields.next_key::<String>()? {
            let is_twice = match name.as_str() {
                "id" => put(&mut row.id, &mut fields)?,
                "title" => put(&mut row.title, &mut fields)?,
                "tags" => put(&mut row.tags, &mut fields)?,
                "properties" => put(&mut row.properties, &mut fields)?,
                "timestamp" => put(&mut row.timestamp, &mut fields)?,
                "hidden" => put(&mut row.hidden, &mut fields)?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    row.flaw = Some(
                        "an item has id, title, tags, properties, timestamp and hidden, no other \
                         field",
                    );
                    false
                }
            };
            if is_twice {
                row.flaw = Some("a field is given twice");
            }
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ItemId {
        ItemId::new("x").expect("an id")
    }

    #[test]
    fn good_items_are_kept_beside_bad_ones_and_nothing_is_repeated() {
        let long = format!(r#"{{"id":"a","title":"{}"}}"#, "needle".repeat(300));
        let bad = [
            ("7", "an object"),
            ("{}", "id is missing"),
            (r#"{"id":""}"#, "empty"),
            (r#"{"id":true}"#, "string or a whole number"),
            (r#"{"id":"null"}"#, "word for nothing"),
            (r#"{"id":"a","needle":1}"#, "no other field"),
            (r#"{"id":"a","id":"b"}"#, "twice"),
            (&long, "title: at most 1024 bytes"),
            (r#"{"id":"a","title":7}"#, "title must be a text"),
            (r#"{"id":"a","tags":"needle"}"#, "array of texts"),
            (r#"{"id":"a","tags":["needle",1]}"#, "array of texts"),
            (r#"{"id":"a","tags":[""]}"#, "1 to 128 bytes"),
            (r#"{"id":"a","properties":[]}"#, "must be an object"),
            (
                r#"{"id":"a","properties":{"needle":[]}}"#,
                "a text, a number",
            ),
            (
                r#"{"id":"a","properties":{"two words":1}}"#,
                "a name begins",
            ),
            (r#"{"id":"a","timestamp":"needle"}"#, "RFC 3339"),
            (r#"{"id":"a","hidden":1}"#, "true or false"),
        ];
        let rows: Vec<&str> = bad.iter().map(|(row, _)| *row).collect();
        let text = format!(
            r#"{{"items":[{},{{"id":9,"tags":["b","a","b"]}}]}}"#,
            rows.join(",")
        );
        let read = items_of_json(text.as_bytes(), false).expect("a good envelope");
        assert_eq!(read.rejected.len(), bad.len());
        for (index, ((row, part), rejected)) in bad.iter().zip(&read.rejected).enumerate() {
            assert_eq!(rejected.index, index);
            assert!(rejected.reason.contains(part), "{row}: {}", rejected.reason);
            assert!(!rejected.reason.contains("needle"), "{}", rejected.reason);
        }
        let tags: Vec<&str> = read.good[0].tags.iter().map(AsRef::as_ref).collect();
        assert_eq!((read.good[0].id.expose(), tags), ("9", vec!["a", "b"]));
        let lines = format!("{}\n\n{{\"id\":9}}\n{{", rows.join("\n"));
        let read = items_of_lines(lines.as_bytes(), false).expect("lines");
        assert_eq!((read.good.len(), read.rejected.len()), (1, bad.len() + 1));
        assert!(items_of_lines(b" \n\n", false).is_err());
    }

    #[test]
    fn more_items_than_one_request_may_bring_are_refused() {
        let rows = |count: usize| vec![r#"{"id":"a"}"#; count];
        for count in [DESCRIPTIONS_MAX, DESCRIPTIONS_MAX + 1] {
            let text = format!(r#"{{"items":[{}]}}"#, rows(count).join(","));
            let (json, lines) = (
                items_of_json(text.as_bytes(), false),
                items_of_lines(rows(count).join("\n").as_bytes(), false),
            );
            assert_eq!(json.is_ok(), count == DESCRIPTIONS_MAX);
            assert_eq!(lines.is_ok(), count == DESCRIPTIONS_MAX);
        }
    }

    #[test]
    fn what_is_absent_stays_and_what_is_null_is_cleared() {
        let full = br#"{"id":"x","title":"T","tags":["a"],"properties":{"p":1,"q":"v","r":true},
                        "timestamp":"2023-11-14T22:13:20Z","hidden":true}"#;
        let full = item_of_json(full, &id()).expect("an item");
        assert_eq!(full.timestamp, Some(1_700_000_000));
        let after = |patch: &str| {
            let mut item = full.clone();
            patch_of_json(patch.as_bytes(), &id())
                .expect(patch)
                .apply(&mut item);
            item
        };
        assert_eq!(after("{}"), full);
        let cleared =
            after(r#"{"title":null,"tags":null,"properties":null,"timestamp":null,"hidden":null}"#);
        assert_eq!(cleared, ItemDescription::of(id()));
        let some = after(r#"{"properties":{"p":null,"q":"w"}}"#);
        let names: Vec<&str> = some.properties.keys().map(AsRef::as_ref).collect();
        assert_eq!(names, ["q", "r"]);
        assert!(patch_of_json(br#"{"id":"y"}"#, &id()).is_err());
        assert!(patch_of_json(br#"{"id":"x"}"#, &id()).is_ok());
    }
}
