//! `GET /api/item/{item}/neighbors[/{category}]`, and the same by the name that gorse gives it; and
//! what there is of users.

use axum::Json;
use axum::extract::{Path, State};

use super::answers::{Score, scores};
use super::ids::{item_id, user_id};
use super::query::Query;
use super::refusal::Refusal;
use crate::http::state::AppState;
use recant_service::{Selection, SimilarQuery};

/// The one recommender of items for items that there is.
const NAME: &str = "neighbors";

/// From all items.
pub(super) async fn everywhere(
    State(state): State<AppState>,
    Path(item): Path<String>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, &item, None, &query).await
}

/// From the items of a category.
pub(super) async fn in_category(
    State(state): State<AppState>,
    Path((item, category)): Path<(String, String)>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    answer(&state, &item, Some(category), &query).await
}

/// By the name of a recommender.
pub(super) async fn by_name(
    State(state): State<AppState>,
    Path((name, item)): Path<(String, String)>,
    query: Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    if name != NAME {
        let text = format!("item-to-item recommender {name} not found");
        return Err(Refusal::not_found(text));
    }
    answer(&state, &item, None, &query).await
}

/// Users near a user: this service knows none, and tells nobody of others.
pub(super) async fn of_user() -> Refusal {
    Refusal::not_found("user-to-user recommendation is not enabled")
}

/// The most similar items; none for an item that nobody has touched.
async fn answer(
    state: &AppState,
    item: &str,
    category: Option<String>,
    query: &Query,
) -> Result<Json<Vec<Score>>, Refusal> {
    let asked = SimilarQuery {
        item: item_id(item)?,
        k: query.length()?,
        offset: query.offset()?,
        user: query.text("user-id").map(user_id).transpose()?,
        selection: Selection {
            tags_all: query.categories(category),
            ..Selection::default()
        },
        diversity: 0.0,
    };
    let found = state.service()?.similar(asked).await?;
    Ok(scores(found.map(|found| found.items).unwrap_or_default()))
}
