//! `POST` and `GET /v1/agent/{agent-id}`: an agent gets a token, and asks whether it is still good.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};

use super::agents::Agents;
use super::refusal::Refusal;
use super::{claims, signed};

/// An agent's token.
#[derive(Serialize)]
pub(super) struct TokenAnswer {
    #[serde(rename = "agent-id")]
    agent: String,
    token: String,
}

/// Answers a signed message with the token of its agent. Whatever is wrong with it, the answer is 403
/// without a word, as the protocol says.
pub(super) async fn set_up(
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<TokenAnswer>, Refusal> {
    let agent = agents.named(&id).ok_or(Refusal::Silent)?;
    let signed = signed::open(&body, &agent.key).map_err(|_| Refusal::Silent)?;
    let lifetime = claims::check(&signed.message, &agents.expected(agent));
    let lifetime = lifetime.map_err(|_| Refusal::Silent)?;
    agents.note_setup(signed.digest, lifetime)?;
    Ok(Json(TokenAnswer {
        agent: agent.id.clone(),
        token: agent.token.clone(),
    }))
}

/// Says that a token is good, and that of this agent.
pub(super) async fn check(
    Extension(agents): Extension<Agents>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    if agents.of_call(&headers)?.id != id {
        return Err(Refusal::forbidden("this is the token of another agent"));
    }
    Ok(Json(json!({})))
}
