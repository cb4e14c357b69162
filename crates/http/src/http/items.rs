//! `GET /items` and `POST /items`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, RawQuery, Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::body_rows::RejectedRow;
use super::item_rows::{ItemBody, ItemRows, items_of_json, items_of_lines};
use super::json_body::{self, media_type};
use super::parameters::{Parameters, invalid};
use super::problem::{Problem, ProblemBody, UNSUPPORTED_MEDIA_TYPE};
use super::selection::expression;
use super::state::AppState;
use crate::config::InteractionSettings;
use recant_types::{ItemDescription, ItemId};

/// Items on a page when the caller does not say, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// Items that one page with a filter looks at, at most.
const FILTERED_MAX: usize = 10_000;

/// A page of items.
#[derive(Serialize, ToSchema)]
#[schema(as = ItemPage)]
pub(super) struct PageAnswer {
    /// In the order of the bytes of their ids.
    #[schema(value_type = Vec<ItemBody>)]
    items: Vec<Arc<ItemDescription>>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Lists the items there are, described or known by interactions, a page at a time.
#[utoipa::path(
    get,
    path = "/items",
    tag = "items",
    params(
        ("limit" = Option<usize>, Query, description = "How many; 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
        ("filter" = Option<String>, Query, description = "Show only items of which this is true: CEL over tags, properties, timestamp and title. A page may be short, and is the last one when next_cursor is null"),
    ),
    responses((status = 200, description = "A page", body = PageAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn page(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<PageAnswer>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref(), &["limit", "cursor", "filter"])?;
    let limit = parameters.number("limit", 1..=PAGE_MAX, PAGE_DEFAULT)?;
    let after = parameters.text("cursor").map(|text| ItemId::new(&text));
    let after = after.transpose().map_err(|_| {
        invalid("cursor must be the next_cursor of the page before, percent-encoded")
    })?;
    let filter = parameters
        .text("filter")
        .map(|text| expression(&text))
        .transpose()?;
    let catalogue = state.service()?.catalogue();
    let mut items = Vec::new();
    let mut last = None;
    let mut next_cursor = None;
    for (looked_at, item) in catalogue.items_after(after.as_ref()).enumerate() {
        if items.len() == limit || (filter.is_some() && looked_at == FILTERED_MAX) {
            next_cursor = last.map(|last: Arc<ItemDescription>| last.id.expose().to_owned());
            break;
        }
        if filter.as_ref().is_none_or(|filter| filter.matches(&item)) {
            items.push(Arc::clone(&item));
        }
        last = Some(item);
    }
    Ok(Json(PageAnswer { items, next_cursor }))
}

/// What became of the items.
#[derive(Serialize, ToSchema)]
#[schema(as = DescriptionResult, example = json!({
    "accepted": 2,
    "rejected": [{"index": 1, "reason": "title must be a text"}],
}))]
pub(super) struct DescribeAnswer {
    /// Items that are durable and in every list now.
    accepted: usize,
    /// Items that are not, and why.
    rejected: Vec<RejectedRow>,
}

/// The shape of the JSON body, for the documentation; items are read one by one.
#[derive(ToSchema)]
#[schema(as = DescriptionRequest)]
#[allow(dead_code, reason = "it only documents")]
pub(super) struct DescribeBody {
    /// Taken one by one.
    #[schema(max_items = 10_000)]
    items: Vec<ItemBody>,
}

/// Says this about items, each in place of all that was said about it before: durable and in every
/// list when answered. A bad item is reported and does not stop the good ones; of the same id the
/// last one counts.
#[utoipa::path(
    post,
    path = "/items",
    tag = "items",
    request_body(content(
        (DescribeBody = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "The good items are durable", body = DescribeAnswer),
        (status = "5XX", description = "Not now, and nothing was taken", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["write"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn describe(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    ItemsBody(rows): ItemsBody,
) -> Result<Json<DescribeAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let accepted = rows.good.len();
    state.service()?.describe(rows.good).await?;
    Ok(Json(DescribeAnswer {
        accepted,
        rejected: rows.rejected,
    }))
}

/// The items of a body in either media type.
pub(super) struct ItemsBody(ItemRows);

impl<S: Send + Sync> FromRequest<S> for ItemsBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let parse = match media_type(request.headers()).as_deref() {
            None | Some("application/json") => items_of_json,
            Some("application/x-ndjson") => items_of_lines,
            Some(_) => {
                let detail = "send application/json, or application/x-ndjson with an item a line";
                return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail));
            }
        };
        let settings = request.extensions().get::<InteractionSettings>();
        let keep = settings.is_some_and(|settings| settings.keep_null_ids);
        let bytes = json_body::read(request, state).await?;
        parse(&bytes, keep).map(Self)
    }
}
