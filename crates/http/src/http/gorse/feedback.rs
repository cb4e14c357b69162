//! `POST` and `PUT /api/feedback`.

use axum::extract::State;
use axum::{Extension, Json};

use super::answers::{Affected, affected};
use super::feedback_rows::{FeedbackRow, Rules};
use super::json::Body;
use super::refusal::Refusal;
use super::rows::checked;
use crate::config::InteractionSettings;
use crate::http::known_feedback::KnownFeedback;
use crate::http::state::AppState;
use recant_types::{ADDITION_INTERACTIONS_MAX, UnixMillis};

/// Adds feedback: durable when answered, all of it or nothing. Several events of one type with one pair
/// come together as the type is configured.
pub(super) async fn post(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Extension(known): Extension<KnownFeedback>,
    Body(rows): Body<Vec<FeedbackRow>>,
) -> Result<Json<Affected>, Refusal> {
    add(&state, &rules(settings, known, false), rows).await
}

/// The same, in place of what is held of each type and pair.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Extension(known): Extension<KnownFeedback>,
    Body(rows): Body<Vec<FeedbackRow>>,
) -> Result<Json<Affected>, Refusal> {
    add(&state, &rules(settings, known, true), rows).await
}

/// How the feedback of a request that comes now is read.
fn rules(settings: InteractionSettings, known: KnownFeedback, replaces: bool) -> Rules {
    Rules {
        settings,
        known,
        replaces,
        now: UnixMillis::now(),
    }
}

/// How many rows there were, those too that an erasure holds back: the answer does not tell of it.
async fn add(
    state: &AppState,
    rules: &Rules,
    rows: Vec<FeedbackRow>,
) -> Result<Json<Affected>, Refusal> {
    let given = rows.len();
    let check = |row: FeedbackRow| row.check(rules);
    let interactions = checked(ADDITION_INTERACTIONS_MAX, "feedback", rows, check)?;
    state.service()?.add(interactions).await?;
    Ok(affected(given))
}
