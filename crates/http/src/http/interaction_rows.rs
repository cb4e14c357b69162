//! Interactions read row by row: a bad row is told apart from a bad request.
//!
//! A row is read into [`InteractionFields`], which accepts any JSON value and keeps only scalars of known fields,
//! so that neither one wrong row nor a deeply filled one costs more than its own bytes.

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess};

use super::body_rows::{self, Row, RowList, Rows, put};
use super::json_body;
use super::known_feedback::KnownFeedback;
use super::problem::Problem;
use super::scalar::{Scalar, id, time};
use crate::config::InteractionSettings;
use recant_types::{
    ADDITION_INTERACTIONS_MAX, FeedbackType, Interaction, InvalidTime, InvalidWeight, ItemId,
    TimeRule, UnixMillis, UserId, WEIGHT_MAX, WEIGHT_MIN, WeightTransform, new_id,
};

/// Weight of an interaction that gives none.
const WEIGHT_DEFAULT: f32 = 1.0;

/// How rows are understood: ids, times and weights by the rules that files have too.
#[derive(Debug)]
pub(super) struct RowRules {
    keep_null_ids: bool,
    weights: WeightTransform,
    feedback: KnownFeedback,
    times: TimeRule,
}

impl RowRules {
    /// The rules that are configured, by the clock of now.
    pub(super) fn now(settings: InteractionSettings, feedback: KnownFeedback) -> Self {
        Self {
            keep_null_ids: settings.keep_null_ids,
            weights: settings.weights,
            feedback,
            times: TimeRule::new(UnixMillis::now()),
        }
    }
}

/// Rows of `{"interactions":[…]}`.
pub(super) fn rows_of_json(bytes: &[u8], rules: &RowRules) -> Result<Rows<Interaction>, Problem> {
    #[derive(Deserialize)]
    #[serde(
        deny_unknown_fields,
        expecting = "an object with the array interactions"
    )]
    struct Body {
        interactions: RowList<InteractionFields>,
    }
    let body: Body = json_body::parse(bytes)?;
    body.interactions.judged(|row| row.check(rules))
}

/// Rows of NDJSON, one a line; blank lines do not count.
pub(super) fn rows_of_lines(bytes: &[u8], rules: &RowRules) -> Result<Rows<Interaction>, Problem> {
    body_rows::rows_of_lines(bytes, |row: InteractionFields| row.check(rules))
}

/// One row as it came; [`InteractionFields::check`] judges it.
#[derive(Debug, Default)]
struct InteractionFields {
    user: Option<Scalar>,
    item: Option<Scalar>,
    feedback: Option<Scalar>,
    weight: Option<Scalar>,
    timestamp: Option<Scalar>,
    /// What is wrong with the row as a whole, if anything.
    flaw: Option<&'static str>,
}

impl InteractionFields {
    fn check(self, rules: &RowRules) -> Result<Interaction, String> {
        if let Some(flaw) = self.flaw {
            return Err(flaw.to_owned());
        }
        let keep = rules.keep_null_ids;
        let feedback = feedback(self.feedback.unwrap_or_default(), &rules.feedback)?;
        let weight = weight(self.weight.unwrap_or_default(), rules.weights)?;
        rules.feedback.check_weight(&feedback, weight)?;
        Ok(Interaction {
            user: id("user", self.user.unwrap_or_default(), |text| {
                UserId::new(new_id(text, keep)?)
            })?,
            item: id("item", self.item.unwrap_or_default(), |text| {
                ItemId::new(new_id(text, keep)?)
            })?,
            feedback,
            weight,
            timestamp: timestamp(self.timestamp.unwrap_or_default(), &rules.times)?,
        })
    }
}

fn feedback(value: Scalar, known: &KnownFeedback) -> Result<FeedbackType, String> {
    match value {
        Scalar::Absent => Ok(FeedbackType::default()),
        Scalar::Text(name) => known.find(&name).map_err(|error| error.to_string()),
        _ => Err(String::from("type must be a string")),
    }
}

fn weight(value: Scalar, transform: WeightTransform) -> Result<f32, String> {
    let number = match value {
        Scalar::Absent => return Ok(WEIGHT_DEFAULT),
        Scalar::Integer(integer) => integer as f64,
        Scalar::Large(integer) => integer as f64,
        Scalar::Float(float) => float,
        Scalar::Text(_) | Scalar::Other => f64::NAN,
    };
    transform.apply(number).map_err(|reason| match reason {
        InvalidWeight::TooLarge => format!(
            "weight is above {WEIGHT_MAX}: scale it down, or have interactions.weights set to log1p, \
             sqrt, binary or clip=X"
        ),
        InvalidWeight::TooSmall => {
            format!("weight is zero or below {WEIGHT_MIN}: leave the row out, or scale it up")
        }
        reason => reason.to_string(),
    })
}

fn timestamp(value: Scalar, times: &TimeRule) -> Result<Option<i64>, String> {
    time(value, times).map_err(|reason| match reason {
        InvalidTime::Ahead => format!("timestamp {reason}"),
        _ => String::from("timestamp must be RFC 3339 or a number since 1970"),
    })
}

impl Row for InteractionFields {
    const MOST: usize = ADDITION_INTERACTIONS_MAX;
    const NAME: &'static str = "rows";
    const LIST: &'static str = "an array of interactions";
    const NOT_AN_OBJECT: &'static str = "a row must be an object with user and item";

    fn read<'de, A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut row = Self::default();
        while let Some(name) = fields.next_key::<String>()? {
            let is_twice = match name.as_str() {
                "user" => put(&mut row.user, &mut fields)?,
                "item" => put(&mut row.item, &mut fields)?,
                "type" => put(&mut row.feedback, &mut fields)?,
                "weight" => put(&mut row.weight, &mut fields)?,
                "timestamp" => put(&mut row.timestamp, &mut fields)?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    row.flaw =
                        Some("a row has user, item, type, weight and timestamp, no other field");
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

    fn rules() -> RowRules {
        RowRules::now(InteractionSettings::default(), KnownFeedback::default())
    }

    fn of_rows(rows: &str) -> Rows<Interaction> {
        let body = format!("{{\"interactions\":[{rows}]}}");
        rows_of_json(body.as_bytes(), &rules()).expect("a good envelope")
    }

    #[test]
    fn ids_and_times_are_taken_in_every_spelling_that_files_may_have() {
        let rows = of_rows(
            r#"{"user":7,"item":" x "},{"user":"7","item":8.0},{"user":18446744073709551615,"item":"x"},
               {"user":"a","item":"x","timestamp":"2024-01-15T12:30:00Z"},
               {"user":"a","item":"x","timestamp":"2024-01-15 12:30:00 UTC"},
               {"user":"a","item":"x","timestamp":1705321800.5},
               {"user":"a","item":"x","timestamp":20240115123000}"#,
        );
        assert_eq!(rows.rejected, []);
        let ids = |row: usize| (rows.good[row].user.expose(), rows.good[row].item.expose());
        assert_eq!((ids(0), ids(1)), (("7", "x"), ("7", "8")));
        assert_eq!(ids(2).0, "18446744073709551615");
        let seconds = |row: usize| {
            let time = rows.good[row].timestamp.expect("a time");
            UnixMillis::from_timestamp(time).0 / 1_000
        };
        assert_eq!([3, 4, 5, 6].map(seconds), [1_705_321_800; 4]);
    }

    #[test]
    fn the_configuration_transforms_weights_and_keeps_odd_names() {
        let settings = InteractionSettings {
            weights: WeightTransform::Log1p,
            keep_null_ids: true,
        };
        let rules = RowRules::now(settings, KnownFeedback::default());
        let body = br#"{"interactions":[{"user":"null","item":"x","weight":3e9}]}"#;
        let rows = rows_of_json(body, &rules).expect("a good envelope");
        assert_eq!(rows.good[0].weight, 3e9f64.ln_1p() as f32);
        assert_eq!(rows.good[0].user.expose(), "null");
    }

    #[test]
    fn good_rows_are_kept_beside_bad_ones() {
        let rows = of_rows(
            r#"{"user":"a","item":"x"},{"user":"","item":"x"},
               {"user":"b","item":"y","weight":2.5,"timestamp":-7},{"user":"c"}"#,
        );
        assert_eq!(rows.good.len(), 2);
        assert_eq!((rows.good[0].weight, rows.good[0].timestamp), (1.0, None));
        assert_eq!(
            (rows.good[1].weight, rows.good[1].timestamp),
            (2.5, Some(-7))
        );
        let rejected: Vec<_> = rows
            .rejected
            .iter()
            .map(|row| (row.index, row.reason.as_str()))
            .collect();
        assert_eq!(
            rejected,
            [(1, "user: an id must not be empty"), (3, "item is missing")]
        );
    }

    #[test]
    fn every_kind_of_bad_row_gets_a_reason_that_repeats_nothing() {
        for (row, part) in [
            ("1", "object"),
            ("null", "object"),
            ("true", "object"),
            ("\"needle\"", "object"),
            ("-2.5", "object"),
            (r#"["needle"]"#, "object"),
            (r#"{"user":7.5,"item":"x"}"#, "user: an id that is a number"),
            (r#"{"user":true,"item":"x"}"#, "user must be a string"),
            (r#"{"user":"NaN","item":"x"}"#, "word for nothing"),
            (r#"{"user":" ","item":"x"}"#, "must not be empty"),
            (r#"{"user":"a","item":["needle"]}"#, "item must be a string"),
            (r#"{"user":"a","item":"needle\u0007"}"#, "control"),
            (r#"{"user":"a","item":"x","needle":1}"#, "no other field"),
            (r#"{"user":"a","user":"b","item":"x"}"#, "twice"),
            (r#"{"user":"a","item":"x","weight":"NaN"}"#, "weight"),
            (r#"{"user":"a","item":"x","weight":-1}"#, "weight"),
            (r#"{"user":"a","item":"x","weight":0}"#, "weight"),
            (r#"{"user":"a","item":"x","weight":1e300}"#, "weight"),
            (r#"{"user":"a","item":"x","weight":1e-300}"#, "weight"),
            (r#"{"user":"a","item":"x","weight":{"a":[1]}}"#, "weight"),
            (r#"{"user":"a","item":"x","timestamp":[1]}"#, "timestamp"),
            (
                r#"{"user":"a","item":"x","type":"needle"}"#,
                "feedback.types",
            ),
            (r#"{"user":"a","item":"x","type":"nee dle"}"#, "letters"),
            (
                r#"{"user":"a","item":"x","type":7}"#,
                "type must be a string",
            ),
            (r#"{"user":"a","item":"x","timestamp":4102444800}"#, "ahead"),
            (
                r#"{"user":"a","item":"x","weight":3e6}"#,
                "interactions.weights",
            ),
            (
                r#"{"user":"a","item":"x","timestamp":"today"}"#,
                "timestamp",
            ),
        ] {
            let rows = of_rows(row);
            assert!(rows.good.is_empty(), "{row}");
            let reason = &rows.rejected[0].reason;
            assert!(
                reason.contains(part) && !reason.contains("needle"),
                "{row}: {reason}"
            );
        }
    }

    /// As files that are imported end theirs.
    #[test]
    fn lines_end_in_any_of_the_three_ways_and_a_mark_before_the_first_is_none_of_them() {
        let row = |user: &str| format!("{{\"user\":\"{user}\",\r\"item\":\"x\"}}");
        for (ending, mark) in [("\n", ""), ("\r\n", "\u{feff}"), ("\n", "\u{feff}")] {
            let body = [mark, &row("a"), ending, ending, &row("b")].concat();
            let rows = rows_of_lines(body.as_bytes(), &rules()).expect("lines");
            assert_eq!((rows.good.len(), rows.rejected.len()), (2, 0), "{body:?}");
        }
        for mark in ["", "\u{feff}"] {
            let row = |user: &str| row(user).replace('\r', "");
            let body = [mark, &row("a"), "\r\r", &row("b"), "\r{oops\r"].concat();
            let rows = rows_of_lines(body.as_bytes(), &rules()).expect("lines");
            assert_eq!(rows.good.len(), 2, "{body:?}");
            assert_eq!(rows.rejected[0].index, 2, "{body:?}");
        }
    }

    #[test]
    fn lines_are_judged_one_by_one() {
        let body = b"{\"user\":\"a\",\"item\":\"x\"}\r\n\n{oops\n{\"user\":\"a\",\"item\":\"y\",\"weight\":1e999}\n";
        let rows = rows_of_lines(body, &rules()).expect("lines");
        assert_eq!(rows.good.len(), 1);
        let indices: Vec<_> = rows.rejected.iter().map(|row| row.index).collect();
        assert_eq!(indices, [1, 2]);
        assert!(rows_of_lines(b" \n\n", &rules()).is_err(), "nothing at all");
        assert!(
            rows_of_lines(b"\xef\xbb\xbf\r\r", &rules()).is_err(),
            "nothing at all"
        );
    }

    #[test]
    fn envelopes_are_strict() {
        for (body, code) in [
            ("not json", "malformed_body"),
            ("[1,2]", "invalid_body"),
            ("{}", "invalid_body"),
            (r#"{"interactions":{}}"#, "invalid_body"),
            (r#"{"interactions":[],"more":1}"#, "invalid_body"),
            (
                r#"{"interactions":[{"user":"a","item":"b","weight":1e999}]}"#,
                "malformed_body",
            ),
        ] {
            let problem = rows_of_json(body.as_bytes(), &rules()).expect_err(body);
            assert_eq!(problem.parts().0, code, "{body}");
        }
        let none =
            rows_of_json(br#"{"interactions":[]}"#, &rules()).expect("an empty list is a list");
        assert!(none.good.is_empty() && none.rejected.is_empty());
    }

    #[test]
    fn the_number_of_rows_is_bounded_in_both_forms() {
        let row = r#"{"user":"a","item":"x"}"#;
        let list = vec![row; ADDITION_INTERACTIONS_MAX + 1];
        let json = format!("{{\"interactions\":[{}]}}", list.join(","));
        let problem = rows_of_json(json.as_bytes(), &rules()).expect_err("too many");
        assert_eq!(problem.parts().0, "body_too_large");
        let problem = rows_of_lines(list.join("\n").as_bytes(), &rules()).expect_err("too many");
        assert_eq!(problem.parts().0, "body_too_large");
        let most = vec![row; ADDITION_INTERACTIONS_MAX].join("\n");
        assert!(rows_of_lines(most.as_bytes(), &rules()).is_ok());
    }
}
