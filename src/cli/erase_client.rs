//! The calls of `recant erase` to a running server.

use serde::Deserialize;
use serde_json::{Value, json};

use super::api_client::{ApiClient, Refusal};
use super::error::CliError;
use super::trust::TrustArgs;
use recant_receipt::JwkSet;
use recant_types::{Names, TypedPair};

/// What a server is asked about erasures.
pub(super) struct Client(ApiClient);

/// What the server says of an erasure that it has accepted.
#[derive(Debug, Deserialize)]
pub(super) struct Accepted {
    pub(super) id: String,
    pub(super) receipt_salt: Option<String>,
}

impl Client {
    pub(super) fn new(url: &str, key: Option<&str>, trust: &TrustArgs) -> Result<Self, CliError> {
        Ok(Self(ApiClient::new(url, key, trust)?))
    }

    /// Asks for one erasure of `names`; with the same idempotency key again it is the same one.
    pub(super) fn erase(&self, names: &Names, key: &str) -> Result<Accepted, Refusal> {
        let whole = |(user, item): &(_, _)| json!({"user": user, "item": item});
        let typed =
            |pair: &TypedPair| json!({"user": pair.user, "item": pair.item, "type": pair.feedback});
        let pairs = names.pairs.iter().map(whole);
        let pairs: Vec<Value> = pairs.chain(names.typed_pairs.iter().map(typed)).collect();
        let body = json!({"users": names.users, "items": names.items, "interactions": pairs});
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        let answer = self
            .0
            .post("/erasures", &headers, body.to_string().as_bytes())?;
        match answer.status {
            200 | 202 => answer.read(),
            _ => Err(answer.refusal()),
        }
    }

    /// The signed receipt, once the erasure is certified.
    pub(super) fn receipt(&self, id: &str) -> Result<String, Refusal> {
        let path = format!("/erasures/{id}/receipt");
        let answer = self.0.get(&path)?;
        match answer.status {
            200 => Ok(answer.text),
            409 => Err(Refusal::NotNow(format!(
                "accepted and not certified yet: fetch its receipt later, from {path}"
            ))),
            _ => Err(answer.refusal()),
        }
    }

    /// The keys that receipts are checked with.
    pub(super) fn keys(&self) -> Result<JwkSet, Refusal> {
        let answer = self.0.get("/.well-known/jwks.json")?;
        match answer.status {
            200 => answer.read(),
            _ => Err(answer.refusal()),
        }
    }
}
