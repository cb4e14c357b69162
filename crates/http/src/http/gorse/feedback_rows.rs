//! Feedback as bodies have it. gorse's type is the configured type of the same name, and its value the
//! weight that an event comes with.

use serde::Deserialize;

use super::times;
use crate::config::InteractionSettings;
use crate::http::known_feedback::KnownFeedback;
use crate::http::scalar::{Scalar, id};
use recant_types::{
    Combine, FeedbackType, Interaction, InvalidTime, ItemId, TimeRule, UnixMillis, UserId, new_id,
};

/// The weight of an event that comes without a value, which is 0 with gorse.
const WEIGHT_DEFAULT: f64 = 1.0;

/// How rows are understood, by the clock of now.
pub(super) struct Rules {
    pub(super) settings: InteractionSettings,
    pub(super) known: KnownFeedback,
    /// Whether each is to take the place of what is held of its pair.
    pub(super) replaces: bool,
    pub(super) now: UnixMillis,
}

/// One row as it came. Its comment and labels are not read, for they would be kept of a person and
/// nothing would use them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
pub(super) struct FeedbackRow {
    feedback_type: Scalar,
    user_id: Scalar,
    item_id: Scalar,
    value: Option<f64>,
    timestamp: Scalar,
}

impl FeedbackRow {
    /// The interaction that it is.
    pub(super) fn check(self, rules: &Rules) -> Result<Interaction, String> {
        let keep = rules.settings.keep_null_ids;
        let user = id("UserId", self.user_id, |text| {
            UserId::new(new_id(text, keep)?)
        })?;
        let item = id("ItemId", self.item_id, |text| {
            ItemId::new(new_id(text, keep)?)
        })?;
        let feedback = feedback_type(self.feedback_type, &rules.known)?;
        if rules.replaces && rules.known.rule(&feedback).combine != Combine::Latest {
            return Err(String::from(
                "FeedbackType: PUT takes the place of what is held, and this type is configured to \
                 put events together: POST it, or set combine of the type to latest",
            ));
        }
        let weight = weight(self.value, rules)?;
        rules.known.check_weight(&feedback, weight)?;
        let said = times::read(self.timestamp, &TimeRule::new(rules.now));
        let said = said.map_err(|reason| match reason {
            InvalidTime::Ahead => format!("Timestamp {reason}"),
            _ => String::from("Timestamp must be RFC 3339 or a number since 1970"),
        })?;
        Ok(Interaction {
            user,
            item,
            feedback,
            weight,
            timestamp: said.map(times::of_event),
        })
    }

    /// The type and the item alone, for a session that is nobody's.
    pub(super) fn of_session(
        self,
        known: &KnownFeedback,
    ) -> Result<(FeedbackType, ItemId), String> {
        let feedback = feedback_type(self.feedback_type, known)?;
        let item = id("ItemId", self.item_id, ItemId::trimmed)?;
        Ok((feedback, item))
    }
}

fn feedback_type(value: Scalar, known: &KnownFeedback) -> Result<FeedbackType, String> {
    match value {
        Scalar::Text(name) => named(&name, known),
        _ => Err(String::from("FeedbackType must be a text")),
    }
}

/// The configured type of this name.
pub(super) fn named(name: &str, known: &KnownFeedback) -> Result<FeedbackType, String> {
    known
        .find(name)
        .map_err(|error| format!("feedback {error}"))
}

fn weight(value: Option<f64>, rules: &Rules) -> Result<f32, String> {
    let given = value
        .filter(|value| *value != 0.0)
        .unwrap_or(WEIGHT_DEFAULT);
    let weight = rules.settings.weights.apply(given);
    weight.map_err(|reason| format!("Value: {reason}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::FeedbackSettings;
    use recant_types::FeedbackRule;

    fn rules(replaces: bool) -> Rules {
        let rule = |combine| FeedbackRule {
            combine,
            ..FeedbackRule::default()
        };
        let named = |name| FeedbackType::new(name).expect("a name");
        let types = [
            (named("star"), rule(Combine::Latest)),
            (named("read"), rule(Combine::Sum)),
        ];
        Rules {
            settings: InteractionSettings::default(),
            known: KnownFeedback::new(&FeedbackSettings {
                types: types.into(),
            }),
            replaces,
            now: UnixMillis(1_700_000_000_900),
        }
    }

    fn check(row: Value, replaces: bool) -> Result<Interaction, String> {
        let row: FeedbackRow = serde_json::from_value(row).expect("a row");
        row.check(&rules(replaces))
    }

    #[test]
    fn a_value_is_a_weight_and_none_is_one() {
        let of = |value: Value| {
            let row = json!({"FeedbackType": "read", "UserId": "a", "ItemId": 7, "Value": value,
                "Timestamp": "", "Comment": "needle", "Labels": {"a": 1}});
            check(row, false).expect("a good row")
        };
        assert_eq!(
            [json!(0), json!(null), json!(2.5)]
                .map(of)
                .map(|row| row.weight),
            [1.0, 1.0, 2.5]
        );
        let row = of(json!(1));
        assert_eq!((row.feedback.as_str(), row.item.expose()), ("read", "7"));
        assert_eq!(row.timestamp, None);
    }

    #[test]
    fn a_row_with_a_time_to_the_second_happens_at_the_end_of_it() {
        let of = |time: &str| {
            let row =
                json!({"FeedbackType": "star", "UserId": "a", "ItemId": "x", "Timestamp": time});
            check(row, true).expect("a good row").timestamp
        };
        assert_eq!(of("2023-11-14T22:13:20Z"), Some(1_700_000_000_999));
        assert_eq!(of("2023-11-14T22:13:20.5Z"), Some(1_700_000_000_500));
        assert_eq!(of("0001-01-01T00:00:00Z"), None);
    }

    #[test]
    fn words_for_nothing_are_ids_where_they_are_kept() {
        let row = json!({"FeedbackType": "star", "UserId": "null", "ItemId": "NaN"});
        let row: FeedbackRow = serde_json::from_value(row).expect("a row");
        let mut rules = rules(false);
        rules.settings.keep_null_ids = true;
        let row = row.check(&rules).expect("kept");
        assert_eq!((row.user.expose(), row.item.expose()), ("null", "NaN"));
    }

    #[test]
    fn bad_rows_have_a_reason_that_repeats_nothing() {
        let with = |name: &str, value: Value| {
            let mut row = json!({"FeedbackType": "star", "UserId": "a", "ItemId": "x"});
            row[name] = value;
            row
        };
        for (row, replaces, part) in [
            (
                with("FeedbackType", json!("needle")),
                false,
                "feedback.types",
            ),
            (with("FeedbackType", json!("")), false, "letters"),
            (
                with("FeedbackType", json!(null)),
                false,
                "FeedbackType must be a text",
            ),
            (with("FeedbackType", json!("read")), true, "combine"),
            (with("UserId", json!("")), false, "UserId: "),
            (with("UserId", json!("null")), false, "UserId: "),
            (with("UserId", json!(" NaN ")), false, "UserId: "),
            (with("UserId", json!(null)), false, "UserId is missing"),
            (with("ItemId", json!("None")), false, "ItemId: "),
            (with("ItemId", json!(null)), false, "ItemId is missing"),
            (with("Value", json!(-1)), false, "Value: "),
            (with("Value", json!(1e9)), false, "Value: "),
            (with("Timestamp", json!("needle")), false, "Timestamp must"),
            (
                with("Timestamp", json!("2033-11-14T22:13:20Z")),
                false,
                "ahead",
            ),
        ] {
            let reason = check(row, replaces).expect_err(part);
            assert!(
                reason.contains(part) && !reason.contains("needle"),
                "{reason}"
            );
        }
    }
}
