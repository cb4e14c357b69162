//! What fuzzing calls of the protocol: bodies, read as its calls read them.
//!
//! Of a body nothing is taken but what the agent signed. Of what is signed, whatever is taken names a person by
//! a good id and the request by one that names nobody, and reads back as it was said.

use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};

use super::claims::{self, Expected, agent_request_id};
use super::refusal::Refusal;
use super::requester::Requester;
use super::rights::Right;
use super::signed::{Signed, open};
use recant_types::{UnixMillis, trim_id};

/// A fixed clock: what is refused as ahead of it or past is so in every run.
const EXPECTED: Expected<'_> = Expected {
    agent: "AA",
    business: "SHOP",
    now: UnixMillis(1_764_410_400_000),
};

/// The claims that may have the ids of people: one as it is, and one that the agent has to verify.
const CLAIMS: [&str; 2] = ["identifier", "email"];

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// The body that the agent sends to say `message`.
pub(in crate::http) fn body(message: &[u8]) -> Vec<u8> {
    let mut signed = key().sign(message).to_bytes().to_vec();
    signed.extend_from_slice(message);
    STANDARD.encode(signed).into_bytes()
}

/// Reads the body of a request; whether it was taken, which it is when the agent signed it.
pub(in crate::http) fn signed(bytes: &[u8]) -> bool {
    let Some(signed) = opened(bytes) else {
        return false;
    };
    let again = serde_json::to_vec(&signed.message).expect("JSON");
    let again = opened(&body(&again)).expect("it is signed");
    assert!(again.message.keys().eq(signed.message.keys()));
    true
}

/// Reads a message that the agent signed, whatever it says; whether it is carried out.
pub(in crate::http) fn message(bytes: &[u8]) -> bool {
    opened(&body(bytes)).is_some_and(|signed| checked(&signed).map_err(check_refusal).is_ok())
}

fn opened(body: &[u8]) -> Option<Signed> {
    open(body, &key().verifying_key())
        .map_err(check_refusal)
        .ok()
}

fn checked(signed: &Signed) -> Result<(), Refusal> {
    let message = &signed.message;
    let lifetime = claims::check(message, &EXPECTED)?;
    assert!(lifetime.issued <= EXPECTED.now && EXPECTED.now < lifetime.expires);
    assert!(
        lifetime.expires.0.saturating_sub(lifetime.issued.0) <= claims::LIFETIME_MILLISECONDS_MAX
    );
    Right::asked(message)?;
    let requester = Requester {
        agent: EXPECTED.agent,
        request: agent_request_id(message)?,
    };
    let text = requester.to_string();
    assert_eq!(Requester::parse(&text), Some(requester));
    assert!(!text.contains(['@', ' ']));
    for claim in CLAIMS {
        let user = claims::user(message, claim)?;
        assert_eq!(trim_id(user.expose()), Ok(user.expose()));
    }
    Ok(())
}

/// A refusal says that the caller is wrong.
fn check_refusal(refusal: Refusal) {
    assert!(refusal.into_response().status().is_client_error());
}
