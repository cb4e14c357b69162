//! `GET /api/recommend/{user}[/{category}]`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};

use super::answers::scores;
use super::ids::user_id;
use super::query::Query;
use super::refusal::Refusal;
use super::shared::Shared;
use super::write_back::WriteBack;
use crate::http::caller::Caller;
use crate::http::known_feedback::KnownFeedback;
use crate::http::recommend::timed;
use crate::http::state::AppState;
use recant_service::{RecommendQuery, Subject};
use recant_types::ItemId;

/// Which of two answers a client wants.
const API_VERSION: &str = "x-api-version";

/// Whoever asks, and what it takes to write a list back.
pub(super) type Context = (
    State<AppState>,
    Extension<Caller>,
    Extension<KnownFeedback>,
    Extension<Shared>,
);

/// From all items.
pub(super) async fn everywhere(
    context: Context,
    Path(user): Path<String>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    answer(context, &user, None, &query, &headers).await
}

/// From the items of a category.
pub(super) async fn in_category(
    context: Context,
    Path((user, category)): Path<(String, String)>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    answer(context, &user, Some(category), &query, &headers).await
}

async fn answer(
    context: Context,
    user: &str,
    category: Option<String>,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let (State(state), Extension(caller), Extension(known), Extension(shared)) = context;
    let user = user_id(user)?;
    let write_back = WriteBack::asked_for(query, &caller, &known)?;
    let write_back = write_back.map(|what| what.place(&shared)).transpose()?;
    let mut asked = RecommendQuery::new(Subject::User(user.clone()), query.length()?);
    asked.offset = query.offset()?;
    asked.selection.tags_all = query.categories(category);
    let found = timed(&state, asked).await?;
    let ids: Vec<ItemId> = found
        .items
        .iter()
        .map(|scored| scored.item.clone())
        .collect();
    if let Some(write_back) = write_back {
        write_back.write(state.service()?, &user, &ids).await?;
    }
    let version = headers.get(API_VERSION);
    if version.is_some_and(|version| version.as_bytes().trim_ascii() == b"2") {
        return Ok(scores(found.items).into_response());
    }
    Ok(Json(ids).into_response())
}
