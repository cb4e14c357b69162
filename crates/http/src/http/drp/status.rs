//! `GET /v1/data-rights-request/{id}`, and how far a request has come in the words of the protocol.

use std::borrow::Cow;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Serialize;

use super::access::AccessRequest;
use super::agents::Agents;
use super::refusal::Refusal;
use super::request::Request;
use super::requester::Requester;
use crate::http::state::AppState;
use recant_service::StateMessage;
use recant_types::{ErasureRecord, ErasureStatus, UnixMillis};

/// When an agent can expect a request to be done: it takes seconds, and a day if the server has to be
/// mended first.
const EXPECTED_MILLISECONDS: i64 = 24 * 60 * 60 * 1_000;

/// How far a request has come. It is the same whether or not anything was held of the person.
#[derive(Debug, Serialize)]
pub(super) struct StatusAnswer {
    /// The id of the erasure, or what seals a request for access.
    request_id: String,
    /// When it was made durable.
    received_at: String,
    /// When it will be done; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_by: Option<String>,
    /// The agent's own id, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_request_id: Option<String>,
    processing_details: Cow<'static, str>,
    /// `in_progress`, `fulfilled` or `expired`.
    status: &'static str,
    /// Where what was asked for is; only of access.
    #[serde(skip_serializing_if = "Option::is_none")]
    results_url: Option<String>,
    /// Until when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
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
            processing_details: Cow::Borrowed(processing_details),
            status,
            results_url: None,
            expires_at: None,
        }
    }

    /// Also says that the agent is not told of it where it asked to be.
    pub(super) fn say_untold(&mut self) {
        *self.processing_details.to_mut() += "; status_callback is not called: it is no address that was agreed on with the business";
    }

    /// The answer about the request for access with this id, whose results are at `url`.
    pub(super) fn of_access(
        request: &AccessRequest,
        id: String,
        url: Option<String>,
        now: UnixMillis,
    ) -> Self {
        let (status, processing_details) = if request.has_expired(now) {
            (
                "expired",
                "the time for fetching the results is over: ask again",
            )
        } else {
            (
                "fulfilled",
                "what is held can be fetched with the token of the agent",
            )
        };
        Self {
            request_id: id,
            received_at: request.received_at.to_rfc3339(),
            expected_by: None,
            agent_request_id: request.request.clone(),
            processing_details: Cow::Borrowed(processing_details),
            status,
            results_url: url.filter(|_| status == "fulfilled"),
            expires_at: Some(request.expires_at().to_rfc3339()),
        }
    }
}

/// What is posted to an agent's `status_callback`: the status as the agent would be answered.
pub(crate) fn callback_body(message: &StateMessage) -> Vec<u8> {
    serde_json::to_vec(&StatusAnswer::of(&message.record)).expect("texts")
}

/// Says how far a request has come, to the agent that made it.
pub(super) async fn status(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<StatusAnswer>, Refusal> {
    let agent = agents.of_call(&headers)?;
    let answer = match Request::of(&state, &agents, agent, &id).await? {
        Request::Deletion(record) => StatusAnswer::of(&record),
        Request::Access(request) => {
            let url = agents.results_url(&id);
            StatusAnswer::of_access(&request, id, url, UnixMillis::now())
        }
    };
    Ok(Json(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::{ErasureId, ErasureTarget, UserId};

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
