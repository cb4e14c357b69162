//! `GET /similar`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::{Parameters, invalid};
use super::problem::{ITEM_NOT_FOUND, Problem, ProblemBody};
use super::recommend::{ItemAnswer, K_DEFAULT};
use super::state::AppState;
use recant_service::K_MAX;
use recant_types::ItemId;

/// Items like another one.
#[derive(Serialize, ToSchema)]
#[schema(as = SimilarItems)]
pub(super) struct SimilarAnswer {
    /// The item that was asked about.
    #[schema(value_type = String, example = "dune")]
    item: ItemId,
    /// The version of the model that answered.
    #[schema(example = 42)]
    model_version: u64,
    /// Best first, by cosine similarity.
    items: Vec<ItemAnswer>,
}

/// Lists the items most similar to one.
#[utoipa::path(
    get,
    path = "/similar",
    tag = "recommend",
    params(
        ("item" = String, Query, description = "Similar to which", example = "dune"),
        ("k" = Option<usize>, Query, description = "How many, 1 to 1000; 10 unless given"),
    ),
    responses(
        (status = 200, description = "The most similar items, best first", body = SimilarAnswer),
        (status = 404, description = "The model does not know the item", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["read"])),
)]
pub(super) async fn similar(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<SimilarAnswer>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref(), &["item", "k"])?;
    let item = parameters
        .item()?
        .ok_or_else(|| invalid("item is missing: say which, as in /similar?item=ID"))?;
    let k = parameters.number("k", 1..=K_MAX, K_DEFAULT)?;
    let found = state.service()?.similar(&item, k).await?;
    let found = found.ok_or_else(|| {
        let detail = "ask for an item that has at least one interaction";
        Problem::new(&ITEM_NOT_FOUND, detail)
    })?;
    Ok(Json(SimilarAnswer {
        item,
        model_version: found.model_version,
        items: found.items.into_iter().map(ItemAnswer::from).collect(),
    }))
}
