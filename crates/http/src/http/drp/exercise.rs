//! `POST /v1/data-rights-request`: an agent asks in the name of a person.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde_json::Value;

use super::access::{Access, AccessRequest};
use super::agents::{Agent, Agents};
use super::claims::{self, agent_request_id};
use super::refusal::Refusal;
use super::requester::Requester;
use super::rights::Right;
use super::signed::{self, Signed};
use super::status::StatusAnswer;
use crate::http::state::AppState;
use recant_service::IdempotencyKey;
use recant_types::{ErasureTarget, UnixMillis};

/// Carries out what a signed message asks for.
pub(super) async fn exercise(
    State(state): State<AppState>,
    Extension(agents): Extension<Agents>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<StatusAnswer>, Refusal> {
    let agent = agents.of_call(&headers)?;
    let signed = signed::open(&body, &agent.key)?;
    claims::check(&signed.message, &agents.expected(agent))?;
    let answer = match Right::asked(&signed.message)? {
        Right::Deletion => deletion(&state, &agents, agent, &signed).await,
        Right::Access(what) => access(&state, &agents, agent, &signed, what).await,
    };
    answer.map(Json)
}

/// Erases the person whom a message names. The same message again is the same erasure.
async fn deletion(
    state: &AppState,
    agents: &Agents,
    agent: &Agent,
    signed: &Signed,
) -> Result<StatusAnswer, Refusal> {
    let requester = Requester {
        agent: &agent.id,
        request: agent_request_id(&signed.message)?,
    };
    let user = claims::user(&signed.message, agents.user_claim())?;
    let once = IdempotencyKey(repetition(&agent.id, &signed.digest));
    let service = state.service()?;
    let target = ErasureTarget::User(user);
    let callback = signed.message.get("status_callback");
    let callback = callback.filter(|said| !said.is_null());
    let endpoint = callback
        .and_then(Value::as_str)
        .and_then(|url| agents.callback(agent, url));
    let requester = Some(requester.to_string());
    let accepted = service.erase_and_tell(requester, target, Some(once), endpoint);
    let mut answer = StatusAnswer::of(&accepted.await?.record);
    // Nobody stays unforgotten because an agent wants to be told elsewhere.
    if callback.is_some() && endpoint.is_none() {
        answer.say_untold();
    }
    Ok(answer)
}

/// Says where what is held of the person whom a message names can be fetched. Nothing is read, so whoever
/// is not known looks like everybody.
async fn access(
    state: &AppState,
    agents: &Agents,
    agent: &Agent,
    signed: &Signed,
    what: Access,
) -> Result<StatusAnswer, Refusal> {
    if !agents.offers_access() {
        return Err(Refusal::wrong(
            "access is not offered here: ask the business",
        ));
    }
    let request = AccessRequest {
        agent: agent.id.clone(),
        request: agent_request_id(&signed.message)?.map(str::to_owned),
        what,
        received_at: UnixMillis::now(),
        user: claims::user(&signed.message, agents.user_claim())?,
    };
    let id = request.seal(agents.sealer(state.service()?).await?);
    let url = agents.results_url(&id);
    Ok(StatusAnswer::of_access(
        &request,
        id,
        url,
        request.received_at,
    ))
}

/// A key that is the same for the same message of an agent, and unlike those of all other callers: no
/// name of an API key and no idempotency key have line breaks in these places.
fn repetition(agent: &str, digest: &[u8; 32]) -> String {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("drp\n{agent}\n{digits}")
}
