//! `GET /v1/data-rights-request/{id}`, and how far a request has come in the words of the protocol.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Serialize;

use super::agents::{Agent, Agents};
use super::refusal::Refusal;
use super::requester::Requester;
use crate::http::state::AppState;
use recant_types::{ErasureId, ErasureRecord, ErasureStatus, UnixMillis};

/// When an agent can expect a request to be done: it takes seconds, and a day if the server has to be
/// mended first.
const EXPECTED_MILLISECONDS: i64 = 24 * 60 * 60 * 1_000;

/// How far a request has come. It is the same whether or not anything was held of the person.
#[derive(Debug, Serialize)]
pub(super) struct StatusAnswer {
    /// The id of the erasure.
    request_id: String,
    /// When it was made durable.
    received_at: String,
    /// When it will be done; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_by: Option<String>,
    /// The agent's own id, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_request_id: Option<String>,
    processing_details: &'static str,
    /// `in_progress` or `fulfilled`.
    status: &'static str,
}

impl StatusAnswer {
    /// The answer about an erasure.
    pub(super) fn of(record: &ErasureRecord) -> Self {
        use ErasureStatus::{Accepted, Certified, Erased, Failed, Forgotten};
        let (status, processing_details) = match record.status {
            Accepted => (
                "in_progress",
                "accepted: what is held can no longer be read",
            ),
            Erased => ("in_progress", "gone from the store; the model forgets next"),
            Failed => (
                "in_progress",
                "it could not be finished yet, and is tried again",
            ),
            Forgotten => (
                "fulfilled",
                "gone from the store and forgotten by the model",
            ),
            Certified => (
                "fulfilled",
                "gone from the store and forgotten by the model, with a certificate",
            ),
        };
        let requester = record.requested_by.as_deref().and_then(Requester::parse);
        let expected = UnixMillis(record.accepted_at.0.saturating_add(EXPECTED_MILLISECONDS));
        Self {
            request_id: record.id.to_string(),
            received_at: record.accepted_at.to_rfc3339(),
            expected_by: (status == "in_progress").then(|| expected.to_rfc3339()),
            agent_request_id: requester.and_then(|requester| requester.request.map(str::to_owned)),
            processing_details,
            status,
        }
    }
}

/// Says how far a request has come, to the agent that made it.
pub(super) async fn status(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<StatusAnswer>, Refusal> {
    let agent = agents.of_call(&headers)?;
    let record = request_of(&state, agent, &id).await?;
    Ok(Json(StatusAnswer::of(&record)))
}

/// The request with this id, when this agent made it. Another's looks like one that there is not.
pub(super) async fn request_of(
    state: &AppState,
    agent: &Agent,
    id: &str,
) -> Result<ErasureRecord, Refusal> {
    let service = state.service()?;
    let record = match ErasureId::parse(id) {
        Some(id) => service.erasure(id).await?,
        None => None,
    };
    let is_own = |record: &ErasureRecord| {
        let requester = record.requested_by.as_deref().and_then(Requester::parse);
        requester.is_some_and(|requester| requester.agent == agent.id)
    };
    record
        .filter(is_own)
        .ok_or(Refusal::forbidden("this agent made no such request"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::{ErasureTarget, UserId};

    #[test]
    fn every_state_has_its_word_and_names_nobody() {
        let target = ErasureTarget::User(UserId::new("needle").expect("an id"));
        let id = ErasureId::generate();
        let mut record = ErasureRecord::accepted(id, 1, &target, UnixMillis(0));
        record.requested_by = Some(String::from("drp:AA/r-7"));
        for status in ErasureStatus::ALL {
            record.status = status;
            let answer = StatusAnswer::of(&record);
            let done = matches!(status, ErasureStatus::Forgotten | ErasureStatus::Certified);
            let expected = if done { "fulfilled" } else { "in_progress" };
            assert_eq!(answer.status, expected);
            assert_eq!(answer.expected_by.is_none(), done);
            assert_eq!(answer.agent_request_id.as_deref(), Some("r-7"));
            let text = serde_json::to_string(&answer).expect("plain data");
            assert!(!text.contains("needle"), "{text}");
        }
    }
}
