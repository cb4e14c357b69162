//! Properties as a body says them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use recant_types::PropertyValue;

/// The properties that an object names; those that are null have no value.
pub(super) fn property_values(
    named: &Map<String, Value>,
) -> Result<BTreeMap<Arc<str>, Option<PropertyValue>>, String> {
    let value = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::Bool(truth) => Ok(Some(PropertyValue::Truth(*truth))),
        Value::String(text) => Ok(Some(PropertyValue::Text(Arc::from(text.as_str())))),
        Value::Number(number) => Ok(number.as_f64().map(PropertyValue::Number)),
        Value::Array(_) | Value::Object(_) => Err(String::from(
            "properties: a value must be a text, a number, true or false",
        )),
    };
    let named = named.iter();
    named
        .map(|(name, held)| Ok((Arc::from(name.as_str()), value(held)?)))
        .collect()
}
