//! The Data Rights Protocol, version 1.0, under `/v1`: agents ask in the name of people, by messages
//! that they sign.
//!
//! It is off unless `drp.enabled` says otherwise. Calls take no API key: an agent shows a token that it
//! gets for a signed message, and signs each request. Of the rights there are, deletion and access are
//! carried out. The answer never tells whether anything was held of a person: it ends at `fulfilled`.

mod access;
mod agent;
mod agents;
mod claims;
mod exercise;
pub(super) mod fuzzing;
mod refusal;
mod request;
mod requester;
mod results;
mod revoke;
mod rights;
mod signed;
mod status;

use axum::Extension;
use axum::http::Method;

use super::answered_by::AnsweredBy;
use super::face::Face;
use super::routes::Needs;
use crate::config::Settings;
use agents::Agents;
pub(crate) use status::callback_body;

/// Every call of the protocol, for the agents of checked settings.
pub(super) fn face(settings: &Settings) -> Face {
    use Method as M;
    const REQUESTS: &str = "/v1/data-rights-request";
    const REQUEST: &str = "/v1/data-rights-request/{id}";
    const RESULTS: &str = "/v1/data-rights-request/{id}/results";
    const AGENT: &str = "/v1/agent/{agent}";
    // Whoever calls shows it by a token and signatures, which no role says anything about.
    let tell = (Needs::Nothing, AnsweredBy::Leader);
    let change = (Needs::Nothing, AnsweredBy::LeaderWrites);
    let mut face = Face::default()
        .call(M::POST, REQUESTS, change, exercise::exercise)
        .call(M::GET, REQUEST, tell, status::status)
        .call(M::DELETE, REQUEST, change, revoke::revoke)
        .call(M::GET, RESULTS, tell, results::results)
        .call(M::POST, AGENT, change, agent::set_up)
        .call(M::GET, AGENT, tell, agent::check);
    face.calls = face.calls.layer(Extension(Agents::new(settings)));
    face
}
