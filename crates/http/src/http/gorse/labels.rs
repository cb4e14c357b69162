//! Labels, which may be any JSON, as properties.
//!
//! Of an object the texts, numbers and truths are properties of their own names, so that filters and
//! exports see them. What is left, and whatever is no object, is kept as JSON.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::chunks::{self, Properties, TooLong, is_reserved};
use recant_types::{PersonProperties, PropertyValue};

/// Under which name JSON is kept.
pub(super) const LABELS: &str = "labels";

/// Puts `labels` into `properties`.
pub(super) fn put(labels: &Value, properties: &mut Properties) -> Result<(), TooLong> {
    let left = match labels {
        Value::Null => return Ok(()),
        Value::Object(named) => {
            let mut left = Map::new();
            for (name, value) in named {
                match plain(name, value) {
                    Some(plain) => drop(properties.insert(Arc::from(name.as_str()), plain)),
                    None => drop(left.insert(name.clone(), value.clone())),
                }
            }
            if left.is_empty() && !named.is_empty() {
                return Ok(());
            }
            Value::Object(left)
        }
        other => other.clone(),
    };
    chunks::put(LABELS, &left.to_string(), properties)
}

/// The labels in `properties`: an object of those that are no one's but the caller's, with what was
/// kept as JSON.
pub(super) fn get(properties: &Properties) -> Value {
    let own = properties.iter().filter(|(name, _)| !is_reserved(name));
    let own = own.map(|(name, value)| (name.to_string(), shown(value)));
    let own: Map<String, Value> = own.collect();
    let kept = chunks::get(LABELS, properties);
    match kept.and_then(|text| serde_json::from_str(&text).ok()) {
        Some(Value::Object(mut kept)) => {
            kept.extend(own);
            Value::Object(kept)
        }
        None if own.is_empty() => Value::Null,
        None => Value::Object(own),
        // Whoever describes things by other calls as well goes first.
        Some(_) if !own.is_empty() => Value::Object(own),
        Some(kept) => kept,
    }
}

/// The property that a label is, if it can be one and comes back as it was.
fn plain(name: &str, value: &Value) -> Option<PropertyValue> {
    let property = match value {
        Value::Bool(truth) => PropertyValue::Truth(*truth),
        Value::String(text) => PropertyValue::Text(Arc::from(text.as_str())),
        Value::Number(number) => PropertyValue::Number(number.as_f64()?),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    let comes_back = match (&shown(&property), value) {
        (Value::Number(shown), Value::Number(given)) => {
            shown.as_f64() == given.as_f64() && {
                let whole = given.as_i64().or(given.as_u64().map(|_| i64::MAX));
                whole.is_none_or(|whole| shown.as_i64() == Some(whole))
            }
        }
        _ => true,
    };
    let alone = [(Arc::from(name), property.clone())].into();
    let is_property = !is_reserved(name) && PersonProperties::new(alone).is_ok();
    (comes_back && is_property).then_some(property)
}

fn shown(property: &PropertyValue) -> Value {
    serde_json::to_value(property).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(labels: &Value) -> Properties {
        let mut properties = Properties::new();
        put(labels, &mut properties).expect("short enough");
        properties
    }

    #[test]
    fn labels_of_any_kind_read_back() {
        for labels in [
            json!(null),
            json!({}),
            json!([]),
            json!("one"),
            json!(7),
            json!(["a", "b", "c"]),
            json!({"age": 24, "gender": "M", "zip_code": "85711"}),
            json!({"embedding": [0.1, 0.2, 0.3], "price": 1.5, "used": true}),
            json!({"two words": "x", "gorse_labels": 1, "nested": {"a": [1, {"b": null}]}}),
            json!({"large": 9_007_199_254_740_993_u64, "largest": u64::MAX, "none": null}),
            json!({"long": "x".repeat(5_000), "é": "é"}),
        ] {
            assert_eq!(get(&kept(&labels)), labels);
        }
    }

    #[test]
    fn plain_labels_are_properties_of_their_names_and_the_rest_is_json() {
        let properties = kept(&json!({"age": 24, "city": "Turin", "tags": ["a"]}));
        let names: Vec<&str> = properties.keys().map(|name| &**name).collect();
        assert_eq!(names, ["age", "city", "gorse_labels"]);
        assert!(properties["age"] == PropertyValue::Number(24.0));
    }

    #[test]
    fn labels_longer_than_all_that_may_be_said_are_refused() {
        let mut properties = Properties::new();
        let long = json!(["x".repeat(40_000)]);
        assert_eq!(put(&long, &mut properties), Err(TooLong));
    }
}
