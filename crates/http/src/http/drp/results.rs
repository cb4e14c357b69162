//! `GET /v1/data-rights-request/{id}/results`: what an agent asked to see, as it is now.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;

use super::access::Access;
use super::agents::Agents;
use super::refusal::Refusal;
use super::request::Request;
use crate::http::export;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use recant_types::{FeedbackType, UnixMillis, UserId};

/// What kinds of things are held of somebody, without what they are.
#[derive(Serialize)]
struct Categories {
    user: UserId,
    /// The names of what is said about the person.
    properties: BTreeSet<String>,
    /// The types of what the person did.
    interactions: BTreeSet<FeedbackType>,
}

/// Reads out what is held of the person whom a request for access is about: the export as one JSON object, or
/// the kinds of things in it. Empty for whoever is not known or was erased since.
pub(super) async fn results(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let agent = agents.of_call(&headers)?;
    let Request::Access(request) = Request::of(&state, &agents, agent, &id).await? else {
        return Err(Refusal::Told(
            StatusCode::NOT_FOUND,
            "a deletion has no results",
            true,
        ));
    };
    if request.has_expired(UnixMillis::now()) {
        return Err(Refusal::Told(
            StatusCode::GONE,
            "the time for fetching the results is over: ask again",
            true,
        ));
    }
    match request.what {
        Access::Everything => Ok(export::whole(&state, request.user).await?),
        Access::Categories => Ok(Json(categories(&state, request.user).await?).into_response()),
    }
}

async fn categories(state: &AppState, user: UserId) -> Result<Categories, Problem> {
    let service = state.service()?;
    let said = service.properties(&user).await?;
    let done = service.export(&user).await?.into_iter();
    Ok(Categories {
        properties: said.expose().keys().map(|name| name.to_string()).collect(),
        interactions: done.map(|row| row.feedback).collect(),
        user,
    })
}
