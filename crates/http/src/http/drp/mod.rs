//! The Data Rights Protocol, version 1.0, under `/v1`: agents ask in the name of people, by messages
//! that they sign.
//!
//! It is off unless `drp.enabled` says otherwise. Calls take no API key: an agent shows a token that it
//! gets for a signed message, and signs each request. Of the rights there are, deletion is carried
//! out. The answer never tells whether anything was held of a person: it ends at `fulfilled`.

mod agent;
mod agents;
mod claims;
mod exercise;
mod refusal;
mod requester;
mod revoke;
mod signed;
mod status;

use axum::Extension;
use axum::http::Method;

use super::face::Face;
use super::routes::Needs;
use crate::config::DrpSettings;
use agents::Agents;

/// Every call of the protocol, for the agents of checked settings.
pub(super) fn face(settings: &DrpSettings) -> Face {
    use Method as M;
    const REQUESTS: &str = "/v1/data-rights-request";
    const REQUEST: &str = "/v1/data-rights-request/{id}";
    const AGENT: &str = "/v1/agent/{agent}";
    // Whoever calls shows it by a token and signatures, which no role says anything about.
    let own = Needs::Nothing;
    let mut face = Face::default()
        .call(M::POST, REQUESTS, own, exercise::exercise)
        .call(M::GET, REQUEST, own, status::status)
        .call(M::DELETE, REQUEST, own, revoke::revoke)
        .call(M::POST, AGENT, own, agent::set_up)
        .call(M::GET, AGENT, own, agent::check);
    face.calls = face.calls.layer(Extension(Agents::new(settings)));
    face
}
