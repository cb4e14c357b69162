//! `DELETE /v1/data-rights-request/{id}`: too late, always.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::agents::Agents;
use super::refusal::Refusal;
use super::signed;
use super::status::request_of;
use crate::http::state::AppState;

/// Refuses to take a request back: the keys of what it named were destroyed before it was answered.
pub(super) async fn revoke(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), Refusal> {
    let agent = agents.of_call(&headers)?;
    signed::open(&body, &agent.key)?;
    request_of(&state, agent, &id).await?;
    Err(Refusal::Told(
        StatusCode::CONFLICT,
        "what was to be deleted could not be read any more when the request was answered: it cannot \
         be taken back",
        true,
    ))
}
