//! How a list is arranged besides the order of its scores: boosts, pins, diversity.

use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Schema, Type};

use super::parameters::{Parameters, invalid};
use super::problem::{INVALID_BODY, Problem};
use recant_service::{Arrangement, BOOST_MAX, BOOSTS_MAX, PINS_MAX};
use recant_types::{Given, ItemId};

/// What a query string says of an arrangement.
pub(super) fn arrangement_of(parameters: &mut Parameters) -> Result<Arrangement, Problem> {
    Ok(Arrangement {
        diversity: diversity_of(parameters)?,
        ..Arrangement::default()
    })
}

/// What a query string says of diversity.
pub(super) fn diversity_of(parameters: &mut Parameters) -> Result<f64, Problem> {
    let Some(text) = parameters.text("diversity") else {
        return Ok(0.0);
    };
    let diversity = text.parse().ok().filter(|share| is_share(*share));
    diversity.ok_or_else(|| invalid(NO_DIVERSITY))
}

/// What a body says of diversity.
pub(super) fn diversity(given: Option<f64>) -> Result<f64, Problem> {
    let diversity = given.unwrap_or(0.0);
    if !is_share(diversity) {
        return Err(Problem::new(&INVALID_BODY, NO_DIVERSITY));
    }
    Ok(diversity)
}

/// What is wrong with a diversity out of range.
const NO_DIVERSITY: &str = "diversity must be a number from 0 to 1";

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

/// What a body says of an arrangement.
#[derive(Default)]
pub(super) struct ArrangementFields {
    /// What is added to scores.
    pub(super) boosts: Boosts,
    /// What comes first.
    pub(super) pins: Vec<Given<ItemId>>,
    /// How much likeness counts against an item.
    pub(super) diversity: Option<f64>,
}

impl ArrangementFields {
    /// The arrangement, within its bounds.
    pub(super) fn check(self) -> Result<Arrangement, Problem> {
        let refuse = |detail: String| Err(Problem::new(&INVALID_BODY, detail));
        let diversity = diversity(self.diversity)?;
        let (boosts, pins) = (self.boosts.0, Given::ids(self.pins));
        if boosts.len() > BOOSTS_MAX {
            return refuse(format!("boosts may name up to {BOOSTS_MAX} items"));
        }
        if pins.len() > PINS_MAX {
            return refuse(format!("pins may name up to {PINS_MAX} items"));
        }
        if boosts.iter().any(|(_, boost)| boost.abs() > BOOST_MAX) {
            return refuse(format!(
                "each of boosts must be a number from -{BOOST_MAX} to {BOOST_MAX}"
            ));
        }
        for (field, is_unique) in [
            ("boosts", are_unique(boosts.iter().map(|(item, _)| item))),
            ("pins", are_unique(pins.iter())),
        ] {
            if !is_unique {
                return refuse(format!("{field} names an item twice: name it once"));
            }
        }
        Ok(Arrangement {
            boosts,
            pins,
            diversity,
        })
    }
}

fn are_unique<'a>(mut items: impl Iterator<Item = &'a ItemId>) -> bool {
    let mut named = HashSet::new();
    items.all(|item| named.insert(item))
}

/// An object of items with numbers, in its order, with what is named twice still in it.
#[derive(Default)]
pub(super) struct Boosts(Vec<(ItemId, f64)>);

impl<'de> Deserialize<'de> for Boosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BoostsVisitor)
    }
}

struct BoostsVisitor;

impl<'de> Visitor<'de> for BoostsVisitor {
    type Value = Boosts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of item ids with numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Boosts, A::Error> {
        let mut boosts = Vec::new();
        while let Some((item, boost)) = map.next_entry::<Given<ItemId>, f64>()? {
            boosts.push((item.0, boost));
        }
        Ok(Boosts(boosts))
    }
}

/// How boosts are described.
pub(super) fn boosts_schema() -> Object {
    let boost = ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(-BOOST_MAX))
        .maximum(Some(BOOST_MAX))
        .build();
    let of_any_item = AdditionalProperties::RefOr(RefOr::T(Schema::Object(boost)));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(of_any_item))
        .max_properties(Some(BOOSTS_MAX))
        .description(Some(
            "What is added to the scores of these items, up to 1000 of them. It is added to whatever orders \
             the list: counts, in one of popular items.",
        ))
        .examples([serde_json::json!({"dune": 0.2, "solaris": -0.1})])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json_body;

    fn boosts(text: &str) -> Result<Arrangement, Problem> {
        let fields = ArrangementFields {
            boosts: json_body::parse(text.as_bytes())?,
            ..ArrangementFields::default()
        };
        fields.check()
    }

    #[test]
    fn boosts_are_numbers_of_items_each_named_once() {
        let read = boosts(r#"{"a":0.5," b ":-2,"3":1e6}"#)
            .expect("good ones")
            .boosts;
        let read: Vec<_> = read.iter().map(|(item, by)| (item.expose(), *by)).collect();
        assert_eq!(read, [("a", 0.5), ("b", -2.0), ("3", 1e6)]);
        for bad in [
            r#"{"a":0.5,"a":1}"#,
            r#"{"a":0.5," a":1}"#,
            r#"{"a":1000001}"#,
            r#"{"a":"0.5"}"#,
            r#"{"a":null}"#,
            r#"{"":1}"#,
        ] {
            let problem = boosts(bad).expect_err(bad);
            assert_eq!(problem.parts().0, "invalid_body", "{bad}");
            assert!(!problem.parts().1.contains("\"a\""), "{problem:?}");
        }
        let many: Vec<String> = (0..=BOOSTS_MAX)
            .map(|item| format!("\"{item}\":1"))
            .collect();
        assert!(boosts(&format!("{{{}}}", many.join(","))).is_err());
    }

    #[test]
    fn pins_and_diversity_are_bounded() {
        let check = |pins: &[&str], diversity| {
            let pins = pins
                .iter()
                .map(|pin| Given(ItemId::new(pin).expect("an id")));
            let fields = ArrangementFields {
                pins: pins.collect(),
                diversity,
                ..ArrangementFields::default()
            };
            fields.check()
        };
        let read = check(&["b", "a"], Some(0.25)).expect("within bounds");
        assert_eq!((read.pins.len(), read.diversity), (2, 0.25));
        assert!(check(&["a", "b", "a"], None).is_err());
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(check(&[], Some(bad)).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..=PINS_MAX).map(|pin| pin.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(check(&many, None).is_err());
        assert!(check(&many[1..], None).is_ok());
    }
}
