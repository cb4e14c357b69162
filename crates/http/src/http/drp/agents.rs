//! The agents there are, and how a call shows which of them it comes from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::claims::{Expected, Lifetime};
use super::refusal::Refusal;
use crate::config::DrpSettings;
use recant_types::UnixMillis;

/// Messages for a token that are remembered until they expire; more are refused.
const SETUPS_MAX: usize = 10_000;

/// The agents. Made once from checked settings; cloning shares it.
#[derive(Clone)]
pub(super) struct Agents(Arc<Inner>);

struct Inner {
    business: String,
    user_claim: String,
    agents: Vec<Agent>,
    /// When this was made, to the second: tokens are good from then on.
    since: UnixMillis,
    /// The digests of messages that were answered with a token, and when they expire. A std mutex: held for
    /// a look into a map.
    setups: Mutex<HashMap<[u8; 32], UnixMillis>>,
}

/// One agent.
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) key: VerifyingKey,
    /// What its calls show, until the server ends.
    pub(super) token: String,
}

impl Agents {
    /// The agents of `settings`, which were checked before, each with a new token.
    pub(super) fn new(settings: &DrpSettings) -> Self {
        let agents = settings.agents.iter().map(|agent| Agent {
            id: agent.id.clone(),
            key: agent.key().expect("keys were checked on loading"),
            // Two times 122 random bits.
            token: [Uuid::new_v4(), Uuid::new_v4()]
                .map(|part| part.simple().to_string())
                .concat(),
        });
        let now = UnixMillis::now().0;
        Self(Arc::new(Inner {
            business: settings.business_id.clone(),
            user_claim: settings.user_claim.clone(),
            agents: agents.collect(),
            since: UnixMillis(now - now.rem_euclid(1_000)),
            setups: Mutex::default(),
        }))
    }

    /// The claim that has the ids of people.
    pub(super) fn user_claim(&self) -> &str {
        &self.0.user_claim
    }

    /// The agent of this name.
    pub(super) fn named(&self, id: &str) -> Option<&Agent> {
        self.0.agents.iter().find(|agent| agent.id == id)
    }

    /// What a message of `agent` that comes now is held against.
    pub(super) fn expected<'a>(&'a self, agent: &'a Agent) -> Expected<'a> {
        Expected {
            agent: &agent.id,
            business: &self.0.business,
            now: UnixMillis::now(),
        }
    }

    /// The agent whose token a call shows. Every token is compared, each in constant time.
    pub(super) fn of_call(&self, headers: &HeaderMap) -> Result<&Agent, Refusal> {
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let digest = Sha256::digest(shown.map_or("", |(_, token)| token.trim()));
        let mut found = None;
        for agent in &self.0.agents {
            if bool::from(Sha256::digest(&agent.token).ct_eq(&digest)) {
                found = Some(agent);
            }
        }
        found.ok_or(Refusal::Told(
            StatusCode::UNAUTHORIZED,
            "show the token that POST /v1/agent/{agent-id} answers; it is a new one after a restart",
            false,
        ))
    }

    /// Takes note of a message that asks for a token. One that was answered before, or signed before
    /// this server started and so perhaps answered by the one before, is refused: whoever overheard
    /// it gets nothing by it.
    pub(super) fn note_setup(&self, digest: [u8; 32], lifetime: Lifetime) -> Result<(), Refusal> {
        let now = UnixMillis::now();
        let setups = self.0.setups.lock();
        let mut setups = setups.unwrap_or_else(PoisonError::into_inner);
        setups.retain(|_, expires| *expires > now);
        let is_known = setups.contains_key(&digest);
        if lifetime.issued < self.0.since || is_known || setups.len() >= SETUPS_MAX {
            return Err(Refusal::Silent);
        }
        setups.insert(digest, lifetime.expires);
        Ok(())
    }
}
