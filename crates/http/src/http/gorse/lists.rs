//! Lists for nobody in particular: `GET /api/latest[/{category}]`, `/api/popular[/{category}]` and
//! `/api/non-personalized/{name}`.

use axum::Json;
use axum::extract::{Path, State};

use super::answers::Score;
use super::ids::user_id;
use super::query::Query;
use super::refusal::Refusal;
use crate::http::state::AppState;
use recant_service::{HALF_LIFE_DEFAULT, ListKind, ListQuery, Selection};

/// The items that appeared last.
pub(super) async fn latest(
    State(state): State<AppState>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, ListKind::Latest, None, &query).await
}

/// The items of a category that appeared last.
pub(super) async fn latest_in(
    State(state): State<AppState>,
    Path(category): Path<String>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, ListKind::Latest, Some(category), &query).await
}

/// The items that most people wanted.
pub(super) async fn popular(
    State(state): State<AppState>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, ListKind::Popular, None, &query).await
}

/// The items of a category that most people wanted.
pub(super) async fn popular_in(
    State(state): State<AppState>,
    Path(category): Path<String>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, ListKind::Popular, Some(category), &query).await
}

/// The list of a name.
pub(super) async fn by_name(
    State(state): State<AppState>,
    Path(name): Path<String>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    let kind = match name.as_str() {
        "latest" => ListKind::Latest,
        "popular" => ListKind::Popular,
        "trending" => ListKind::Trending {
            half_life: HALF_LIFE_DEFAULT,
        },
        _ => {
            let text = format!("non-personalized recommender {name} not found");
            return Err(Refusal::not_found(text));
        }
    };
    answer(&state, kind, None, &query).await
}

async fn answer(
    state: &AppState,
    kind: ListKind,
    category: Option<String>,
    query: &Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    let asked = ListQuery {
        kind,
        window: None,
        k: query.length()?,
        offset: query.offset()?,
        user: query.text("user-id").map(user_id).transpose()?,
        selection: Selection {
            tags_all: query.categories(category),
            ..Selection::default()
        },
    };
    let list = state.service()?.list(asked).await?;
    let items = list.items.into_iter().map(|listed| Score {
        id: listed.item,
        score: listed.score,
    });
    Ok(Json(items.collect()))
}
