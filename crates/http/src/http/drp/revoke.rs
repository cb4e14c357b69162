//! `DELETE /v1/data-rights-request/{id}`: too late, always.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::agents::Agents;
use super::refusal::Refusal;
use super::request::Request;
use super::signed;
use crate::http::state::AppState;

/// Refuses to take a request back: it was carried out before it was answered. Of a deletion the keys of what it
/// named are destroyed, and of an access nothing is kept.
pub(super) async fn revoke(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), Refusal> {
    let agent = agents.of_call(&headers)?;
    signed::open(&body, &agent.key)?;
    let reason = match Request::of(&state, &agents, agent, &id).await? {
        Request::Deletion(_) => {
            "what was to be deleted could not be read any more when the request was answered: it cannot \
             be taken back"
        }
        Request::Access(_) => {
            "the request was carried out when it was answered, and keeps nothing: leave its results alone"
        }
    };
    Err(Refusal::Told(StatusCode::CONFLICT, reason, true))
}
