//! The calls of `recant erase` to a running server.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use recant_receipt::JwkSet;
use recant_types::{Names, TypedPair};

/// Longest wait for one answer, a wait that was asked for included.
const ANSWER_PATIENCE: Duration = Duration::from_secs(90);

/// A server, and the key to its door.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    /// The value of `Authorization`, when there is a key.
    authorization: Option<String>,
}

/// What the server says of an erasure that it has accepted.
#[derive(Debug, Deserialize)]
pub(super) struct Accepted {
    pub(super) id: String,
    pub(super) receipt_salt: Option<String>,
}

/// Why there is no answer to go on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The server is not there, or has too much to do: it may be asked again.
    #[error("{0}")]
    NotNow(String),
    /// The same request will be answered the same way again.
    #[error("{0}")]
    Final(String),
}

impl Client {
    pub(super) fn new(url: &str, key: Option<&str>) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            agent: agent.into(),
            url: url.trim_end_matches('/').to_owned(),
            authorization: key.map(|key| format!("Bearer {key}")),
        }
    }

    /// Asks for one erasure of `names`; with the same idempotency key again it is the same one.
    pub(super) fn erase(&self, names: &Names, key: &str) -> Result<Accepted, Refusal> {
        let whole = |(user, item): &(_, _)| json!({"user": user, "item": item});
        let typed =
            |pair: &TypedPair| json!({"user": pair.user, "item": pair.item, "type": pair.feedback});
        let pairs = names.pairs.iter().map(whole);
        let pairs: Vec<Value> = pairs.chain(names.typed_pairs.iter().map(typed)).collect();
        let body = json!({"users": names.users, "items": names.items, "interactions": pairs});
        let mut request = self
            .agent
            .post(format!("{}/erasures", self.url))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let (status, text) = self.answer(request.send(body.to_string().as_bytes()))?;
        if status != 202 && status != 200 {
            return Err(refused(status, &text));
        }
        read(&text)
    }

    /// The signed receipt, once the erasure is certified.
    pub(super) fn receipt(&self, id: &str) -> Result<String, Refusal> {
        let path = format!("/erasures/{id}/receipt");
        match self.get(&path)? {
            (200, compact) => Ok(compact),
            (409, _) => Err(Refusal::NotNow(format!(
                "accepted and not certified yet: fetch its receipt later, from {path}"
            ))),
            (status, text) => Err(refused(status, &text)),
        }
    }

    /// The keys that receipts are checked with.
    pub(super) fn keys(&self) -> Result<JwkSet, Refusal> {
        match self.get("/.well-known/jwks.json")? {
            (200, text) => read(&text),
            (status, text) => Err(refused(status, &text)),
        }
    }

    fn get(&self, path: &str) -> Result<(u16, String), Refusal> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.answer(request.call())
    }

    fn answer(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, String), Refusal> {
        let unreachable =
            |error: ureq::Error| Refusal::NotNow(format!("{} does not answer ({error})", self.url));
        let answer = answer.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = answer.into_body().read_to_string().map_err(unreachable)?;
        Ok((status, text))
    }
}

/// What a problem of the server says; its details name nobody.
fn refused(status: u16, text: &str) -> Refusal {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("it does not say why");
    let said = format!("the server answered {status}: {detail}");
    match status {
        408 | 429 | 500..=599 => Refusal::NotNow(said),
        _ => Refusal::Final(said),
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|_| {
        let detail = "the answer is not one of a recant server: check --url";
        Refusal::Final(detail.to_owned())
    })
}
