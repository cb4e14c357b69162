//! What a service keeps about a person beside what they did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::properties::{InvalidProperties, Properties, PropertyValue, check_properties};

/// The properties of one person, each within its bounds and all together.
///
/// They are personal data: `Debug` shows neither names nor values. As JSON they are an object.
///
/// ```
/// use recant_types::{PersonProperties, PropertyValue};
///
/// let said = [("city".into(), PropertyValue::Text("Turin".into()))];
/// let said = PersonProperties::new(said.into())?;
/// assert_eq!(format!("{said:?}"), "PersonProperties(redacted)");
/// assert!(PersonProperties::default().is_empty());
/// # Ok::<(), recant_types::InvalidProperties>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Properties")]
pub struct PersonProperties(Properties);

impl PersonProperties {
    /// Checks `properties` by the rule of those of items, and wraps them.
    pub fn new(properties: BTreeMap<Arc<str>, PropertyValue>) -> Result<Self, InvalidProperties> {
        check_properties(&properties)?;
        Ok(Self(properties))
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values by name. Do not log them.
    pub fn expose(&self) -> &BTreeMap<Arc<str>, PropertyValue> {
        &self.0
    }
}

impl TryFrom<Properties> for PersonProperties {
    type Error = InvalidProperties;
    fn try_from(properties: Properties) -> Result<Self, InvalidProperties> {
        Self::new(properties)
    }
}

impl fmt::Debug for PersonProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonProperties(redacted)")
    }
}

/// Somebody of whom something is held.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonSummary {
    /// Who.
    pub user: UserId,
    /// What is said about them; empty when there is nothing but interactions.
    pub properties: PersonProperties,
    /// How many interactions are held of them, those not counted that still wait to be learnt.
    pub interactions: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_people_have_the_bounds_of_those_of_items_and_are_never_shown() {
        let of = |name: &str, value: PropertyValue| {
            PersonProperties::new([(Arc::from(name), value)].into())
        };
        let text = |length: usize| PropertyValue::Text(Arc::from("n".repeat(length)));
        let good = of("a_1", text(1_024)).expect("within bounds");
        assert!(!format!("{good:?}").contains("nn"));
        let summary = PersonSummary {
            user: UserId::new("ada").expect("an id"),
            properties: good,
            interactions: 2,
        };
        let shown = format!("{summary:?}");
        assert!(!["nn", "a_1", "ada"].iter().any(|part| shown.contains(part)));
        use InvalidProperties as Invalid;
        assert_eq!(of("a b", text(1)), Err(Invalid::BadName));
        assert_eq!(of("a", text(1_025)), Err(Invalid::TextTooLong));
        let infinite = PropertyValue::Number(f64::INFINITY);
        assert_eq!(of("a", infinite), Err(Invalid::NumberNotFinite));
        let many = |count: usize, length: usize| {
            let names = (0..count).map(|n| (Arc::from(format!("p{n}")), text(length)));
            PersonProperties::new(names.collect())
        };
        assert!(many(100, 1).is_ok());
        assert_eq!(many(101, 1), Err(Invalid::TooMany));
        assert_eq!(many(40, 900), Err(Invalid::TooLong));
    }

    #[test]
    fn properties_are_an_object_of_values_and_read_back() {
        let text = r#"{"age":41,"city":"Turin","height":1.5,"member":true}"#;
        let read: PersonProperties = serde_json::from_str(text).expect("properties");
        assert_eq!(serde_json::to_string(&read).expect("text"), text);
        assert_eq!(read.expose().len(), 4);
        for bad in [r#"{"two words":1}"#, r#"{"a":[]}"#, r#"{"a":null}"#] {
            assert!(
                serde_json::from_str::<PersonProperties>(bad).is_err(),
                "{bad}"
            );
        }
    }
}
