//! `GET /similar` and `POST /similar`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arrangement::{diversity, diversity_of};
use super::json_body::{Id, JsonBody, number};
use super::parameters::{Parameters, invalid};
use super::problem::{ITEM_NOT_FOUND, Problem, ProblemBody};
use super::recommend::{ItemAnswer, K_DEFAULT};
use super::selection::{SELECTION, SelectionFields, SelectionParameters, offset_of, selection_of};
use super::state::AppState;
use recant_service::{K_MAX, OFFSET_MAX, SimilarQuery};
use recant_types::{Given, ItemId, UserId};

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
    /// Best first, by cosine similarity, where the question does not ask for diversity.
    items: Vec<ItemAnswer>,
}

/// A question without an id in the URL.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with item, and k, offset, user, exclude, allow, tags, tags_all, tags_none, filter, diversity"
)]
#[schema(as = SimilarRequest, example = json!({"item": "dune", "k": 10, "tags_none": ["horror"]}))]
pub(super) struct SimilarBody {
    /// Similar to which.
    #[schema(value_type = Id)]
    item: Given<ItemId>,
    /// How many, 1 to 1000; 10 unless given.
    #[schema(minimum = 1, maximum = 1_000)]
    k: Option<usize>,
    /// How many of the most similar to leave out before these, up to 10 000.
    #[schema(minimum = 0, maximum = 10_000)]
    offset: Option<usize>,
    /// Leave out what this user has.
    #[schema(value_type = Option<Id>)]
    user: Option<Given<UserId>>,
    /// Leave out these items too, up to 10 000.
    #[serde(default)]
    #[schema(value_type = Vec<Id>, max_items = 10_000)]
    exclude: Vec<Given<ItemId>>,
    /// Take only from these items, up to 10 000.
    #[schema(value_type = Option<Vec<Id>>, max_items = 10_000)]
    allow: Option<Vec<Given<ItemId>>>,
    /// Take only items with at least one of these tags.
    #[serde(default)]
    #[schema(max_items = 64)]
    tags: Vec<String>,
    /// Take only items with each of these tags.
    #[serde(default)]
    #[schema(max_items = 64)]
    tags_all: Vec<String>,
    /// Leave out items with one of these tags.
    #[serde(default)]
    #[schema(max_items = 64)]
    tags_none: Vec<String>,
    /// Take only items of which this is true: CEL over tags, properties, timestamp and title.
    filter: Option<String>,
    /// How much likeness to what comes before it counts against an item, 0 to 1; 0 unless given.
    #[schema(minimum = 0, maximum = 1)]
    diversity: Option<f64>,
}

/// Lists the items most similar to one.
#[utoipa::path(
    get,
    path = "/similar",
    tag = "recommend",
    params(
        ("item" = String, Query, description = "Similar to which", example = "dune", min_length = 1, max_length = 256),
        ("k" = Option<usize>, Query, description = "How many; 10 unless given", minimum = 1, maximum = 1000),
        ("offset" = Option<usize>, Query, description = "How many of the most similar to leave out before these", minimum = 0, maximum = 10000),
        ("user" = Option<String>, Query, description = "Leave out what this user has", min_length = 1, max_length = 256),
        ("diversity" = Option<f64>, Query, description = "How much likeness to what comes before it counts against an item; 0 unless given", minimum = 0, maximum = 1),
        SelectionParameters,
    ),
    responses(
        (status = 200, description = "The most similar items, best first", body = SimilarAnswer),
        (status = 404, description = "The model does not know the item", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn by_query(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<SimilarAnswer>, Problem> {
    let known = [
        &["item", "k", "offset", "user", "diversity"][..],
        &SELECTION,
    ]
    .concat();
    let mut parameters = Parameters::parse(query.as_deref(), &known)?;
    let item = parameters
        .item()?
        .ok_or_else(|| invalid("item is missing: say which, as in /similar?item=ID"))?;
    let query = SimilarQuery {
        item,
        k: parameters.number("k", 1..=K_MAX, K_DEFAULT)?,
        offset: offset_of(&mut parameters)?,
        user: parameters.user()?,
        selection: selection_of(&mut parameters)?,
        diversity: diversity_of(&mut parameters)?,
    };
    answer(&state, query).await
}

/// Lists the items most similar to one, with no id in the URL.
#[utoipa::path(
    post,
    path = "/similar",
    tag = "recommend",
    request_body(content = SimilarBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The most similar items, best first", body = SimilarAnswer),
        (status = 404, description = "The model does not know the item", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn by_body(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<SimilarBody>,
) -> Result<Json<SimilarAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let k = number("k", body.k, 1..=K_MAX, K_DEFAULT)?;
    let selection = SelectionFields {
        exclude: body.exclude,
        allow: body.allow,
        tags: body.tags,
        tags_all: body.tags_all,
        tags_none: body.tags_none,
        filter: body.filter,
    };
    let query = SimilarQuery {
        item: body.item.0,
        k,
        offset: number("offset", body.offset, 0..=OFFSET_MAX, 0)?,
        user: body.user.map(|user| user.0),
        selection: selection.check()?,
        diversity: diversity(body.diversity)?,
    };
    answer(&state, query).await
}

async fn answer(state: &AppState, query: SimilarQuery) -> Result<Json<SimilarAnswer>, Problem> {
    let item = query.item.clone();
    let found = state.service()?.similar(query).await?;
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
