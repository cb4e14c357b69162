//! `POST /v1/data-rights-request`: an agent asks in the name of a person.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};

use super::agents::Agents;
use super::claims::{self, agent_request_id, text};
use super::refusal::Refusal;
use super::requester::Requester;
use super::signed;
use super::status::StatusAnswer;
use crate::http::state::AppState;
use recant_service::IdempotencyKey;
use recant_types::ErasureTarget;

/// The right that is carried out.
const DELETION: &str = "deletion";

/// Erases the person whom a signed message names. The same message again is the same erasure.
pub(super) async fn exercise(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<StatusAnswer>, Refusal> {
    let agent = agents.of_call(&headers)?;
    let signed = signed::open(&body, &agent.key)?;
    let message = &signed.message;
    claims::check(message, &agents.expected(agent))?;
    if text(message, "exercise") != Some(DELETION) {
        return Err(Refusal::wrong(
            "of the rights there are, deletion is carried out",
        ));
    }
    let requester = Requester {
        agent: &agent.id,
        request: agent_request_id(message)?,
    };
    let target = ErasureTarget::User(claims::user(message, agents.user_claim())?);
    let once = IdempotencyKey(repetition(&agent.id, &signed.digest));
    let service = state.service()?;
    let accepted = service.erase_for(Some(requester.to_string()), target, Some(once));
    Ok(Json(StatusAnswer::of(&accepted.await?.record)))
}

/// A key that is the same for the same message of an agent, and unlike those of all other callers: no
/// name of an API key and no idempotency key have line breaks in these places.
fn repetition(agent: &str, digest: &[u8; 32]) -> String {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("drp\n{agent}\n{digits}")
}
