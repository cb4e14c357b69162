//! What fuzzing calls of this crate: bodies and queries, read as the routes read them.

use super::body_rows::Rows;
use super::drp::fuzzing as drp;
use super::erasure_answer::ErasureBody;
use super::gorse::fuzzing as gorse;
use super::interaction_rows::RowRules;
use super::interaction_rows::{rows_of_json, rows_of_lines};
use super::json_body;
use super::known_feedback::KnownFeedback;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::config::FeedbackSettings;
use recant_types::{
    ADDITION_INTERACTIONS_MAX, ERASURE_PAIRS_MAX, ErasureTarget, FeedbackRule, FeedbackType,
    Interaction,
};

/// Reads the JSON body of `POST /interactions`; whether it was taken.
pub fn interactions_json(bytes: &[u8]) -> bool {
    check_rows(rows_of_json(bytes, &rules()))
}

/// Reads the NDJSON body of `POST /interactions`; whether it was taken.
pub fn interactions_lines(bytes: &[u8]) -> bool {
    check_rows(rows_of_lines(bytes, &rules()))
}

fn rules() -> RowRules {
    RowRules::now(Default::default(), known())
}

/// The default type of feedback, and two others.
fn known() -> KnownFeedback {
    let named = |name| FeedbackType::new(name).expect("a name");
    let types = ["view", "dislike"].map(|name| (named(name), FeedbackRule::default()));
    KnownFeedback::new(&FeedbackSettings {
        types: types.into(),
    })
}

fn check_rows(rows: Result<Rows<Interaction>, Problem>) -> bool {
    let Ok(rows) = rows else {
        return false;
    };
    assert!(rows.good.len() + rows.rejected.len() <= ADDITION_INTERACTIONS_MAX);
    for row in &rows.good {
        assert!((recant_types::WEIGHT_MIN..=recant_types::WEIGHT_MAX).contains(&row.weight));
        assert_eq!(
            recant_types::trim_id(row.user.expose()),
            Ok(row.user.expose())
        );
    }
    !rows.good.is_empty()
}

/// Reads the body of `POST /erasures`; whether it was taken.
pub fn erasures(bytes: &[u8]) -> bool {
    let target = json_body::parse::<ErasureBody>(bytes).and_then(|body| body.target(&known()));
    if let Ok(ErasureTarget::Pairs(pairs)) = &target {
        assert!(!pairs.is_empty() && pairs.len() <= ERASURE_PAIRS_MAX);
    }
    if let Ok(ErasureTarget::TypedPairs(pairs)) = &target {
        assert!(!pairs.is_empty() && pairs.len() <= ERASURE_PAIRS_MAX);
    }
    if let Ok(ErasureTarget::Several(names)) = &target {
        assert!((1..=ERASURE_PAIRS_MAX).contains(&names.count()));
    }
    target.is_ok()
}

/// Reads feedback as clients of gorse send it; whether it was taken.
pub fn gorse_feedback(bytes: &[u8]) -> bool {
    gorse::feedback(bytes, &known())
}

/// Reads an item, or items, as clients of gorse send them; whether it was taken.
pub fn gorse_item(bytes: &[u8]) -> bool {
    gorse::item(bytes)
}

/// Reads a user, or users, as clients of gorse send them; whether it was taken.
pub fn gorse_user(bytes: &[u8]) -> bool {
    gorse::user(bytes)
}

/// Reads the body of a request by the Data Rights Protocol; whether the agent signed it.
pub fn drp_signed(bytes: &[u8]) -> bool {
    drp::signed(bytes)
}

/// Reads a message by the Data Rights Protocol as if the agent had signed it; whether it is carried out.
pub fn drp_message(bytes: &[u8]) -> bool {
    drp::message(bytes)
}

/// The body that the agent of [`drp_signed`] sends to say `message`.
pub fn drp_body(message: &[u8]) -> Vec<u8> {
    drp::body(message)
}

/// Reads a query string; whether it was taken.
pub fn query(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let read = || -> Result<(), Problem> {
        let mut parameters = Parameters::parse(Some(text), &["user", "item", "k"])?;
        parameters.user()?;
        parameters.item()?;
        let k: usize = parameters.number("k", 1..=1_000, 10)?;
        assert!((1..=1_000).contains(&k));
        Ok(())
    };
    read().is_ok()
}
