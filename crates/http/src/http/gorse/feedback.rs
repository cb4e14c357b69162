//! `POST` and `PUT /api/feedback`.

use axum::extract::State;
use axum::{Extension, Json};

use super::answers::{Affected, affected};
use super::feedback_rows::{FeedbackRow, Rules};
use super::json::Body;
use super::refusal::{Refusal, refuse_beyond};
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
    let rules = Rules {
        settings,
        known,
        replaces: false,
        now: UnixMillis::now(),
    };
    add(&state, &rules, rows).await
}

/// The same, in place of what is held of each type and pair.
pub(super) async fn put(
    State(state): State<AppState>,
    Extension(settings): Extension<InteractionSettings>,
    Extension(known): Extension<KnownFeedback>,
    Body(rows): Body<Vec<FeedbackRow>>,
) -> Result<Json<Affected>, Refusal> {
    let rules = Rules {
        settings,
        known,
        replaces: true,
        now: UnixMillis::now(),
    };
    add(&state, &rules, rows).await
}

/// How many rows there were, those too that an erasure holds back: the answer does not tell of it.
async fn add(
    state: &AppState,
    rules: &Rules,
    rows: Vec<FeedbackRow>,
) -> Result<Json<Affected>, Refusal> {
    refuse_beyond(ADDITION_INTERACTIONS_MAX, rows.len())?;
    let given = rows.len();
    let interactions = (0..).zip(rows).map(|(number, row)| {
        let interaction = row.check(rules);
        interaction
            .map_err(|reason| Refusal::invalid(format!("feedback number {number}: {reason}")))
    });
    let interactions = interactions.collect::<Result<_, _>>()?;
    state.service()?.add(interactions).await?;
    Ok(affected(given))
}
