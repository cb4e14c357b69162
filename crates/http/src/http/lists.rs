//! `GET` and `POST` of `/popular`, `/trending` and `/latest`: lists for nobody in particular.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json_body::{Id, JsonBody, number};
use super::parameters::{Parameters, invalid};
use super::problem::Problem;
use super::recommend::K_DEFAULT;
use super::selection::{SELECTION, SelectionFields, SelectionParameters, offset_of, selection_of};
use super::state::AppState;
use recant_service::{
    HALF_LIFE_DEFAULT, K_MAX, List, ListKind, ListQuery, ListedItem, OFFSET_MAX, SPAN_MAX, SPAN_MIN,
};
use recant_types::{Given, ItemId, UserId, span_of};

/// What the lengths of windows and half-lives may be.
const SPANS: RangeInclusive<Duration> = SPAN_MIN..=SPAN_MAX;

/// A list, all of one version.
#[derive(Serialize, ToSchema)]
#[schema(as = List)]
pub(super) struct ListAnswer {
    /// The version of the model that answered.
    #[schema(example = 42)]
    model_version: u64,
    /// In order.
    items: Vec<ListedAnswer>,
}

/// One item of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedItem)]
pub(super) struct ListedAnswer {
    /// Its id.
    #[schema(value_type = String, example = "dune")]
    item: ItemId,
    /// What the list is ordered by: people, people of whom each counts the less the longer ago it was,
    /// or the time in seconds since 1970.
    #[schema(example = 17.0)]
    score: f64,
    /// Its title, when one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "Dune")]
    title: Option<Arc<str>>,
}

impl From<ListedItem> for ListedAnswer {
    fn from(listed: ListedItem) -> Self {
        Self {
            item: listed.item,
            score: listed.score,
            title: listed.title,
        }
    }
}

impl From<List> for ListAnswer {
    fn from(list: List) -> Self {
        Self {
            model_version: list.model_version,
            items: list.items.into_iter().map(ListedAnswer::from).collect(),
        }
    }
}

/// A question without an id in the URL.
#[derive(Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with k, offset, window, user, exclude, allow, tags, tags_all, tags_none, filter, and of /trending half_life"
)]
#[schema(as = ListRequest, example = json!({"k": 10, "window": "7d", "user": "ada"}))]
pub(super) struct ListBody {
    /// How many, 1 to 1000; 10 unless given.
    #[schema(minimum = 1, maximum = 1_000)]
    k: Option<usize>,
    /// How many of the first to leave out before these, up to 10 000.
    #[schema(minimum = 0, maximum = 10_000)]
    offset: Option<usize>,
    /// Count only what happened, or list only what appeared, in this time up to now, as in 7d.
    #[schema(example = "7d")]
    window: Option<String>,
    /// Of /trending alone: in how long what a person did comes to half as much; 3d unless given.
    half_life: Option<String>,
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
}

/// The parameters of a question besides those of a selection, as the description shows them.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "says what `Parameters` reads")]
struct ListParameters {
    /// How many; 10 unless given
    #[param(minimum = 1, maximum = 1000)]
    k: Option<usize>,
    /// How many of the first to leave out before these
    #[param(minimum = 0, maximum = 10000)]
    offset: Option<usize>,
    /// Count only what happened, or list only what appeared, in this time up to now, from 1h to 3650d;
    /// events to the hour
    #[param(example = "7d")]
    window: Option<String>,
    /// Leave out what this user has
    #[param(min_length = 1, max_length = 256)]
    user: Option<String>,
}

/// Lists the items that most people wanted. Those that nobody did are not in it, nor is anything that
/// was erased.
#[utoipa::path(
    get,
    path = "/popular",
    tag = "recommend",
    params(ListParameters, SelectionParameters),
    responses((status = 200, description = "Most people first", body = ListAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn popular(
    state: State<AppState>,
    query: RawQuery,
) -> Result<Json<ListAnswer>, Problem> {
    by_query(state, query, Kind::Popular).await
}

/// Lists the items that most people wanted, with no id in the URL.
#[utoipa::path(
    post,
    path = "/popular",
    tag = "recommend",
    request_body(content = ListBody, content_type = "application/json"),
    responses((status = 200, description = "Most people first", body = ListAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn popular_by_body(
    state: State<AppState>,
    query: RawQuery,
    body: JsonBody<ListBody>,
) -> Result<Json<ListAnswer>, Problem> {
    by_body(state, query, body, Kind::Popular).await
}

/// Lists the items that most people wanted of late: a person counts half as much with each half-life
/// that it is ago. What came without a time is not counted.
#[utoipa::path(
    get,
    path = "/trending",
    tag = "recommend",
    params(
        ("half_life" = Option<String>, Query, description = "In how long what a person did comes to half as much, from 1h to 3650d; 3d unless given", example = "3d"),
        ListParameters,
        SelectionParameters,
    ),
    responses((status = 200, description = "The highest sum first", body = ListAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn trending(
    state: State<AppState>,
    query: RawQuery,
) -> Result<Json<ListAnswer>, Problem> {
    by_query(state, query, Kind::Trending).await
}

/// Lists the items that most people wanted of late, with no id in the URL.
#[utoipa::path(
    post,
    path = "/trending",
    tag = "recommend",
    request_body(content = ListBody, content_type = "application/json"),
    responses((status = 200, description = "The highest sum first", body = ListAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn trending_by_body(
    state: State<AppState>,
    query: RawQuery,
    body: JsonBody<ListBody>,
) -> Result<Json<ListAnswer>, Problem> {
    by_body(state, query, body, Kind::Trending).await
}

/// Lists the items that appeared last, by the timestamps of their descriptions. Nobody need have
/// touched them; those that have no timestamp or are still to come are not in it.
#[utoipa::path(
    get,
    path = "/latest",
    tag = "recommend",
    params(ListParameters, SelectionParameters),
    responses((status = 200, description = "The latest first", body = ListAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn latest(
    state: State<AppState>,
    query: RawQuery,
) -> Result<Json<ListAnswer>, Problem> {
    by_query(state, query, Kind::Latest).await
}

/// Lists the items that appeared last, with no id in the URL.
#[utoipa::path(
    post,
    path = "/latest",
    tag = "recommend",
    request_body(content = ListBody, content_type = "application/json"),
    responses((status = 200, description = "The latest first", body = ListAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn latest_by_body(
    state: State<AppState>,
    query: RawQuery,
    body: JsonBody<ListBody>,
) -> Result<Json<ListAnswer>, Problem> {
    by_body(state, query, body, Kind::Latest).await
}

/// Which list a route answers.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Popular,
    Trending,
    Latest,
}

impl Kind {
    /// The list, with the half-life that a question names.
    fn list(self, half_life: Option<Duration>) -> Result<ListKind, Problem> {
        match (self, half_life) {
            (Self::Trending, half_life) => Ok(ListKind::Trending {
                half_life: half_life.unwrap_or(HALF_LIFE_DEFAULT),
            }),
            (_, Some(_)) => Err(invalid("half_life is for /trending: leave it out")),
            (Self::Popular, None) => Ok(ListKind::Popular),
            (Self::Latest, None) => Ok(ListKind::Latest),
        }
    }
}

async fn by_query(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    kind: Kind,
) -> Result<Json<ListAnswer>, Problem> {
    let of_kind: &[&str] = match kind {
        Kind::Trending => &["half_life"],
        Kind::Popular | Kind::Latest => &[],
    };
    let known = [&["k", "offset", "window", "user"], of_kind, &SELECTION].concat();
    let mut parameters = Parameters::parse(query.as_deref(), &known)?;
    let half_life = span("half_life", parameters.text("half_life").as_deref())?;
    let query = ListQuery {
        kind: kind.list(half_life)?,
        window: span("window", parameters.text("window").as_deref())?,
        k: parameters.number("k", 1..=K_MAX, K_DEFAULT)?,
        offset: offset_of(&mut parameters)?,
        user: parameters.user()?,
        selection: selection_of(&mut parameters)?,
    };
    answer(&state, query).await
}

async fn by_body(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<ListBody>,
    kind: Kind,
) -> Result<Json<ListAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let selection = SelectionFields {
        exclude: body.exclude,
        allow: body.allow,
        tags: body.tags,
        tags_all: body.tags_all,
        tags_none: body.tags_none,
        filter: body.filter,
    };
    let query = ListQuery {
        kind: kind.list(span("half_life", body.half_life.as_deref())?)?,
        window: span("window", body.window.as_deref())?,
        k: number("k", body.k, 1..=K_MAX, K_DEFAULT)?,
        offset: number("offset", body.offset, 0..=OFFSET_MAX, 0)?,
        user: body.user.map(|user| user.0),
        selection: selection.check()?,
    };
    answer(&state, query).await
}

async fn answer(state: &AppState, query: ListQuery) -> Result<Json<ListAnswer>, Problem> {
    let list = state.service()?.list(query).await?;
    Ok(Json(list.into()))
}

/// Reads a span of time within its bounds.
fn span(name: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let span = span_of(text).map_err(|reason| invalid(format!("{name} {reason}")))?;
    if !SPANS.contains(&span) {
        return Err(invalid(format!("{name} must be from 1h to 3650d")));
    }
    Ok(Some(span))
}
