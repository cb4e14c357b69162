//! `POST /api/session/recommend[/{category}]`: for a history that is nobody's.

use axum::extract::{Path, State};
use axum::{Extension, Json};

use super::answers::{Score, scores};
use super::feedback_rows::FeedbackRow;
use super::json::Body;
use super::query::Query;
use super::refusal::Refusal;
use super::rows::checked;
use crate::http::known_feedback::KnownFeedback;
use crate::http::state::AppState;
use recant_service::{QUERY_ITEMS_MAX, RecommendQuery, Subject};
use recant_types::ItemId;

/// From this preference on feedback says that an item was wanted.
const WANTED: f32 = 0.5;

/// From all items.
pub(super) async fn everywhere(
    State(state): State<AppState>,
    Extension(known): Extension<KnownFeedback>,
    query: Query,
    Body(rows): Body<Vec<FeedbackRow>>,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, &known, None, &query, rows).await
}

/// From the items of a category.
pub(super) async fn in_category(
    State(state): State<AppState>,
    Extension(known): Extension<KnownFeedback>,
    Path(category): Path<String>,
    query: Query,
    Body(rows): Body<Vec<FeedbackRow>>,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, &known, Some(category), &query, rows).await
}

async fn answer(
    state: &AppState,
    known: &KnownFeedback,
    category: Option<String>,
    query: &Query,
    rows: Vec<FeedbackRow>,
) -> Result<Json<Vec<Score>>, Refusal> {
    let (wanted, rest) = history(known, rows)?;
    let mut asked = RecommendQuery::new(Subject::History(wanted), query.length()?);
    asked.offset = query.offset()?;
    asked.selection.tags_all = query.categories(category);
    asked.selection.exclude = rest;
    let found = state.service()?.recommend(asked).await?;
    Ok(scores(found.items))
}

/// The items that were wanted, and the others, none of which is recommended.
fn history(
    known: &KnownFeedback,
    rows: Vec<FeedbackRow>,
) -> Result<(Vec<ItemId>, Vec<ItemId>), Refusal> {
    let (mut wanted, mut rest) = (Vec::new(), Vec::new());
    let read = |row: FeedbackRow| row.of_session(known);
    for (feedback, item) in checked(QUERY_ITEMS_MAX, "feedback", rows, read)? {
        if known.rule(&feedback).target >= WANTED {
            wanted.push(item);
        } else {
            rest.push(item);
        }
    }
    Ok((wanted, rest))
}
