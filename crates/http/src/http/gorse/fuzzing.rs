//! What fuzzing calls of the face: bodies, read as its calls read them.
//!
//! What is taken is within bounds and reads back as it was said; what is refused is an error of the caller,
//! told in a line that repeats nothing of the body; and of many rows all are taken or none.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::feedback_rows::{FeedbackRow, Rules};
use super::item::{ItemAnswer, ItemPatch, ItemRow};
use super::json;
use super::refusal::Refusal;
use super::rows::checked;
use super::user::{UserAnswer, UserPatch, UserRow};
use crate::config::InteractionSettings;
use crate::http::known_feedback::KnownFeedback;
use recant_types::{
    ADDITION_INTERACTIONS_MAX, DESCRIPTIONS_MAX, ItemDescription, ItemId, PersonProperties,
    PersonSummary, UnixMillis, UserId, WEIGHT_MAX, WEIGHT_MIN, trim_id,
};

/// A fixed clock: what is refused as ahead of it is so in every run.
const NOW: UnixMillis = UnixMillis(1_700_000_000_900);

/// Longest line of a refusal.
const REFUSAL_BYTES_MAX: usize = 400;

/// Reads the body of `POST` and `PUT /api/feedback` and of sessions; whether it was taken.
pub(in crate::http) fn feedback(bytes: &[u8], known: &KnownFeedback) -> bool {
    let mut is_taken = false;
    for replaces in [false, true] {
        let rules = Rules {
            settings: InteractionSettings::default(),
            known: known.clone(),
            replaces,
            now: NOW,
        };
        let check = |row: FeedbackRow| row.check(&rules);
        let rows = many(bytes, ADDITION_INTERACTIONS_MAX, "feedback", check);
        for row in rows.iter().flatten() {
            assert!((WEIGHT_MIN..=WEIGHT_MAX).contains(&row.weight));
            assert_eq!(trim_id(row.user.expose()), Ok(row.user.expose()));
            assert_eq!(trim_id(row.item.expose()), Ok(row.item.expose()));
        }
        is_taken |= rows.is_some_and(|rows| !rows.is_empty());
    }
    let check = |row: FeedbackRow| row.of_session(known);
    let _ = many(bytes, ADDITION_INTERACTIONS_MAX, "feedback", check);
    is_taken
}

/// Reads the body of `POST /api/item` and `PATCH /api/item/{item}`, and that of `POST /api/items`; whether it
/// was taken.
pub(in crate::http) fn item(bytes: &[u8]) -> bool {
    let check = |row: ItemRow| row.check(false);
    let items = many(bytes, DESCRIPTIONS_MAX, "item", check).unwrap_or_default();
    let one = one(bytes, check);
    for item in items.iter().chain(&one) {
        assert_eq!(item.check(), Ok(()));
        assert_eq!(trim_id(item.id.expose()), Ok(item.id.expose()));
        let shown = shown(item);
        let again: ItemRow = serde_json::from_value(shown.clone()).expect("what is shown is a row");
        let again = again.check(false).expect("what is shown may be said");
        assert_eq!(self::shown(&again), shown);
    }
    if let Some(item) = &one {
        check_item_patch(bytes, item);
    }
    let before = ItemDescription::of(ItemId::new("x").expect("an id"));
    let patch = self::one(bytes, |patch: ItemPatch| patch.check(&before));
    !items.is_empty() || one.is_some() || patch.is_some()
}

/// What a patch names reads back as from the row that names the same.
fn check_item_patch(bytes: &[u8], item: &ItemDescription) {
    let said = json!({
        "ItemId": "x", "Categories": ["b", "a"], "Comment": "Other", "Timestamp": "2020-01-01",
        "Labels": {"a": 1, "more": [1, {"a": "x".repeat(2_000)}]},
    });
    let said: ItemRow = serde_json::from_value(said).expect("a row");
    let mut patched = said.check(false).expect("a good one");
    let Some(patch) = one(bytes, |patch: ItemPatch| patch.check(&patched)) else {
        return;
    };
    patch.apply(&mut patched);
    if patched.check().is_err() {
        return;
    }
    // What rows pass over may be no JSON that can be kept.
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let (expected, found) = (shown(item), shown(&patched));
    for name in ["Categories", "Labels", "Comment", "IsHidden"] {
        if !body[name].is_null() {
            assert_eq!(found[name], expected[name], "{name}");
        }
    }
}

fn shown(item: &ItemDescription) -> Value {
    serde_json::to_value(ItemAnswer::from(item)).expect("an answer")
}

/// Reads the body of `POST /api/user` and `PATCH /api/user/{user}`, and that of `POST /api/users`; whether it
/// was taken.
pub(in crate::http) fn user(bytes: &[u8]) -> bool {
    let check = |row: UserRow| row.check(false);
    let users = many(bytes, DESCRIPTIONS_MAX, "user", check).unwrap_or_default();
    let one = one(bytes, check);
    for (user, said) in users.iter().chain(&one) {
        assert_eq!(trim_id(user.expose()), Ok(user.expose()));
        let shown = shown_user(user, said);
        let again: UserRow = serde_json::from_value(shown.clone()).expect("what is shown is a row");
        let (again, said) = again.check(false).expect("what is shown may be said");
        assert_eq!(shown_user(&again, &said), shown);
    }
    let patch = self::one(bytes, |patch: UserPatch| patch.check());
    !users.is_empty() || one.is_some() || patch.is_some()
}

fn shown_user(user: &UserId, said: &PersonProperties) -> Value {
    let summary = PersonSummary {
        user: user.clone(),
        properties: said.clone(),
        interactions: 0,
        restricted: false,
    };
    serde_json::to_value(UserAnswer::from(summary)).expect("an answer")
}

/// A body of one row; `None` where it is refused.
fn one<Row: DeserializeOwned, Checked>(
    bytes: &[u8],
    check: impl Fn(Row) -> Result<Checked, String>,
) -> Option<Checked> {
    let row = json::parse::<Row>(bytes);
    let checked = row.and_then(|row| check(row).map_err(Refusal::invalid));
    checked.map_err(check_refusal).ok()
}

/// A body of many rows; `None` where it is refused, which it is when one of them is.
fn many<Row: DeserializeOwned, Checked>(
    bytes: &[u8],
    most: usize,
    what: &str,
    check: impl Fn(Row) -> Result<Checked, String>,
) -> Option<Vec<Checked>> {
    let rows = || json::parse::<Vec<Row>>(bytes);
    let given = rows().map_err(check_refusal).ok()?.len();
    let alone = rows().expect("it was read").into_iter().map(&check);
    let first_bad = alone.enumerate().find_map(|(number, row)| {
        let reason = row.err()?;
        Some(format!("{what} number {number}: {reason}"))
    });
    let together = checked(most, what, rows().expect("it was read"), check);
    match together {
        Ok(together) => {
            assert!(first_bad.is_none() && together.len() == given);
            Some(together)
        }
        Err(refusal) => {
            if let Refusal::Told(StatusCode::BAD_REQUEST, text) = &refusal {
                assert_eq!(Some(text), first_bad.as_ref());
            } else {
                assert!(given > most);
            }
            check_refusal(refusal);
            None
        }
    }
}

/// A refusal says that the caller is wrong, in a line of ASCII: what people send is mostly not that short,
/// or not that plain.
fn check_refusal(refusal: Refusal) {
    if let Refusal::Told(_, text) = &refusal {
        assert!(text.len() <= REFUSAL_BYTES_MAX, "{} bytes", text.len());
        assert!(
            text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{text}"
        );
    }
    assert!(refusal.into_response().status().is_client_error());
}
