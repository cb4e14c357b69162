//! `PUT`, `PATCH`, `GET` and `DELETE /items/{id}`.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Json};
use std::sync::Arc;

use super::caller::Caller;
use super::erasure_answer::{self, AcceptedAnswer};
use super::item_rows::{ItemBody, item_of_json, patch_of_json};
use super::json_body::{self, media_type};
use super::parameters::Parameters;
use super::path_id::path_id;
use super::problem::{
    INVALID_BODY, INVALID_ITEM_ID, ITEM_NOT_FOUND, Problem, ProblemBody, UNSUPPORTED_MEDIA_TYPE,
};
use super::state::AppState;
use crate::config::InteractionSettings;
use recant_service::DescribeError;
use recant_types::{DescriptionPatch, ItemDescription, ItemId, new_id};

/// Says this about an item, in place of all that was said before. It is durable and in every list
/// when it is answered; the model stays as it is. Nobody need have touched the item yet.
#[utoipa::path(
    put,
    path = "/items/{id}",
    tag = "items",
    params(("id" = String, Path, description = "Which item", example = "dune", min_length = 1, max_length = 256)),
    request_body(content = ItemBody, content_type = "application/json"),
    responses((status = 200, description = "What is said now", body = ItemBody)),
    security(("api_key" = ["write"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ItemDescription>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let settings = request.extensions().get::<InteractionSettings>();
    let keep = settings.is_some_and(|settings| settings.keep_null_ids);
    let id = path_id(&INVALID_ITEM_ID, id, |text| {
        ItemId::new(new_id(text, keep)?)
    })?;
    json_body::require_json(request.headers())?;
    let bytes = json_body::read(request, &state).await?;
    let item = item_of_json(&bytes, &id)?;
    state.service()?.describe(vec![item.clone()]).await?;
    Ok(Json(item))
}

/// Changes what is said about an item: what is absent stays, what is null is cleared, and of
/// `properties` those that are named change (RFC 7396). Durable and in every list when answered.
#[utoipa::path(
    patch,
    path = "/items/{id}",
    tag = "items",
    params(("id" = String, Path, description = "Which item", example = "dune", min_length = 1, max_length = 256)),
    request_body(content(
        (ItemBody = "application/json"),
        (ItemBody = "application/merge-patch+json"),
    )),
    responses(
        (status = 200, description = "What is said now", body = ItemBody),
        (status = 404, description = "There is no such item", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["write"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn patch(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    id: Result<Path<String>, PathRejection>,
    Patch(bytes): Patch,
) -> Result<Json<Arc<ItemDescription>>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let id = path_id(&INVALID_ITEM_ID, id, ItemId::trimmed)?;
    let patch: DescriptionPatch = patch_of_json(&bytes, &id)?;
    Ok(Json(state.service()?.redescribe(id, patch).await?))
}

/// Shows what is said about an item; nothing is said of one that is known by interactions alone.
#[utoipa::path(
    get,
    path = "/items/{id}",
    tag = "items",
    params(("id" = String, Path, description = "Which item", example = "dune", min_length = 1, max_length = 256)),
    responses(
        (status = 200, description = "What is said about it", body = ItemBody),
        (status = 404, description = "There is no such item", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Arc<ItemDescription>>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let id = path_id(&INVALID_ITEM_ID, id, ItemId::trimmed)?;
    let item = state.service()?.item(&id);
    item.map(Json).ok_or_else(not_found)
}

/// Erases every interaction with an item and what is said about it, and makes the model forget it.
/// The description is gone when this is answered. The answer is that of `DELETE /interactions`, the
/// same whether or not there was such an item.
#[utoipa::path(
    delete,
    path = "/items/{id}",
    tag = "items",
    params(
        ("id" = String, Path, description = "Which item", example = "dune", min_length = 1, max_length = 256),
        ("Prefer" = Option<String>, Header, description = "`wait=S` waits up to S seconds, at most 60, until the model has forgotten"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and request again return the same erasure", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 202, description = "Accepted and durable", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
        (status = 200, description = "Waited for, and forgotten", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    let id = path_id(&INVALID_ITEM_ID, id, ItemId::trimmed)?;
    erasure_answer::erase_item(&state, &caller, &headers, id).await
}

fn not_found() -> Problem {
    let detail = "describe it with PUT /items/{id}, or list those there are with GET /items";
    Problem::new(&ITEM_NOT_FOUND, detail)
}

impl From<DescribeError> for Problem {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::NotFound => not_found(),
            DescribeError::Invalid(reason) => Self::new(&INVALID_BODY, reason.to_string()),
            DescribeError::Service(error) => error.into(),
        }
    }
}

/// A body of changes.
pub(super) struct Patch(axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for Patch {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match media_type(request.headers()).as_deref() {
            None | Some("application/json" | "application/merge-patch+json") => {}
            Some(_) => {
                let detail = "send application/json or application/merge-patch+json";
                return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail));
            }
        }
        json_body::read(request, state).await.map(Self)
    }
}
