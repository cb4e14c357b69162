//! What a service keeps about a person beside what they did.

use std::collections::{BTreeMap, BTreeSet};
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

/// What is to be changed in what is said about a person. `Debug` shows nothing of it.
#[derive(Clone, Default, PartialEq)]
pub struct PersonPatch {
    /// No property stays but those with these names; without it all do.
    pub keeps: Option<BTreeSet<Arc<str>>>,
    /// Of these properties the values then, or that there is none.
    pub sets: BTreeMap<Arc<str>, Option<PropertyValue>>,
}

impl PersonPatch {
    /// What is said once the changes are made; refused when that is out of bounds.
    pub fn apply(&self, to: &PersonProperties) -> Result<PersonProperties, InvalidProperties> {
        let stays = |name: &Arc<str>| {
            let kept = self.keeps.as_ref().is_none_or(|keeps| keeps.contains(name));
            kept && !self.sets.contains_key(name)
        };
        let said = to.0.iter().filter(|(name, _)| stays(name));
        let said = said.map(|(name, value)| (Arc::clone(name), value.clone()));
        let set = self.sets.iter();
        let set = set.filter_map(|(name, value)| Some((Arc::clone(name), value.clone()?)));
        PersonProperties::new(said.chain(set).collect())
    }
}

impl fmt::Debug for PersonPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonPatch(redacted)")
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
    /// Whether what is held is kept without being processed.
    pub restricted: bool,
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
            restricted: false,
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
    fn a_patch_changes_what_it_names_and_keeps_the_bounds() {
        let number = |value| Some(PropertyValue::Number(value));
        let read = |text: &str| serde_json::from_str::<PersonProperties>(text).expect("properties");
        let before = read(r#"{"a":1,"b":2,"c":3}"#);
        let sets = BTreeMap::from([("a".into(), None), ("d".into(), number(4.0))]);
        let patch = PersonPatch { keeps: None, sets };
        assert!(!format!("{patch:?}").contains('4'));
        let after = patch.apply(&before).expect("within bounds");
        assert!(after == read(r#"{"b":2,"c":3,"d":4}"#));
        let keeps = Some(BTreeSet::from(["b".into(), "unknown".into()]));
        let few = PersonPatch { keeps, ..patch };
        assert!(few.apply(&before).expect("within bounds") == read(r#"{"b":2,"d":4}"#));
        let sets = BTreeMap::from([("d".into(), number(f64::NAN))]);
        let refused = PersonPatch { keeps: None, sets }.apply(&before);
        assert_eq!(refused, Err(InvalidProperties::NumberNotFinite));
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
