//! Interactions and items as lines of JSON, which `recant import` and the service read alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use recant_import::TakenRow;
use recant_types::{FeedbackType, ItemDescription, ItemId, PropertyValue, TimeRule, UnixMillis};

/// One interaction. What was done is left out where it is what is meant without it.
#[derive(Serialize)]
pub(super) struct InteractionLine<'a> {
    user: &'a str,
    item: &'a str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    of_request: Option<&'a str>,
    #[serde(rename = "feedback_type", skip_serializing_if = "Option::is_none")]
    of_file: Option<&'a str>,
    weight: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Time>,
}

impl<'a> InteractionLine<'a> {
    /// A line of a request.
    pub(super) fn of_request(row: TakenRow<'a>, weight: f32) -> Self {
        Self {
            of_file: None,
            of_request: Self::named(row.feedback),
            ..Self::of_file(row, weight)
        }
    }

    /// A line of a file for `recant import`, which calls the type `feedback_type`: many files have
    /// something else under `type`.
    pub(super) fn of_file(row: TakenRow<'a>, weight: f32) -> Self {
        Self {
            user: row.user,
            item: row.item,
            of_request: None,
            of_file: Self::named(row.feedback),
            weight,
            timestamp: row.timestamp.map(Time::of),
        }
    }

    fn named(feedback: &'a FeedbackType) -> Option<&'a str> {
        Some(feedback.as_str()).filter(|_| *feedback != FeedbackType::default())
    }
}

/// All that is said about an item.
#[derive(Serialize)]
pub(super) struct ItemLine<'a> {
    id: &'a ItemId,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    tags: &'a [Arc<str>],
    properties: &'a BTreeMap<Arc<str>, PropertyValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Time>,
    hidden: bool,
}

impl<'a> From<&'a ItemDescription> for ItemLine<'a> {
    fn from(description: &'a ItemDescription) -> Self {
        Self {
            id: &description.id,
            title: description.title.as_deref(),
            tags: &description.tags,
            properties: &description.properties,
            timestamp: description.timestamp.map(Time::of),
            hidden: description.hidden,
        }
    }
}

/// A time in a spelling that reads back as the same number.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Time {
    Number(i64),
    /// RFC 3339, of a number whose digits would be read as a date.
    Text(String),
}

impl Time {
    fn of(timestamp: i64) -> Self {
        if TimeRule::of_catalogues().integer(timestamp) == Ok(timestamp) {
            Self::Number(timestamp)
        } else {
            Self::Text(UnixMillis::from_timestamp(timestamp).to_rfc3339())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_reads_back_as_it_was(number in prop_oneof![
            any::<i64>(),
            -3_000_000_000..3_000_000_000i64,
            19_000_101..=21_000_101i64,
            19_000_101_000_000..=21_000_101_000_000i64,
        ]) {
            // What the store holds went through the rule once.
            let times = TimeRule::of_catalogues();
            let held = times.integer(number).expect("however far ahead");
            let read = match Time::of(held) {
                Time::Number(number) => times.integer(number).map(Some),
                Time::Text(text) => times.text(&text),
            };
            prop_assert_eq!(read, Ok(Some(held)));
        }
    }

    #[test]
    fn a_number_that_looks_like_a_date_is_written_in_words() {
        let seconds = 20_240_115;
        let text = String::from("1970-08-23T06:15:15.000Z");
        assert_eq!(Time::of(seconds), Time::Text(text));
        assert_eq!(Time::of(1_700_000_000), Time::Number(1_700_000_000));
    }
}
