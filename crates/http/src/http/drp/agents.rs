//! The agents there are, and how a call shows which of them it comes from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::claims::{Expected, Lifetime};
use super::refusal::Refusal;
use crate::config::{Settings, WebhookUrl};
use recant_service::{Sealer, Service};
use recant_types::UnixMillis;

/// What the ids of requests for access are sealed for.
const ACCESS: &str = "drp access request";

/// Messages for a token that are remembered until they expire; more are refused.
const SETUPS_MAX: usize = 10_000;

/// The agents. Made once from checked settings; cloning shares it.
#[derive(Clone)]
pub(super) struct Agents(Arc<Inner>);

struct Inner {
    business: String,
    user_claim: String,
    /// What the address of results begins with, without a slash at its end; empty when access is not offered.
    api_base: String,
    agents: Vec<Agent>,
    callbacks: Vec<Callback>,
    /// When this was made, to the second: tokens are good from then on.
    since: UnixMillis,
    /// The digests of messages that were answered with a token, and when they expire. A std mutex: held for
    /// a look into a map.
    setups: Mutex<HashMap<[u8; 32], UnixMillis>>,
    /// Seals the ids of requests for access; made at the first of them.
    sealer: OnceCell<Sealer>,
}

/// One agent.
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) key: VerifyingKey,
    /// What its calls show, until the server ends.
    pub(super) token: String,
}

/// Where an agent may have the server post the status of its requests.
struct Callback {
    agent: String,
    url: WebhookUrl,
    /// The name of the endpoint of webhooks that posts there.
    endpoint: String,
}

impl Agents {
    /// The agents of `settings`, which were checked before, each with a new token.
    pub(super) fn new(settings: &Settings) -> Self {
        let webhooks = settings.webhooks.iter().filter(|it| it.is_callback());
        let callbacks = webhooks.map(|webhook| Callback {
            agent: webhook.drp_agent.clone(),
            url: webhook.url.clone(),
            endpoint: webhook.name.clone(),
        });
        let settings = &settings.drp;
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
            api_base: settings.api_base.trim_end_matches('/').to_owned(),
            agents: agents.collect(),
            callbacks: callbacks.collect(),
            since: UnixMillis(now - now.rem_euclid(1_000)),
            setups: Mutex::default(),
            sealer: OnceCell::new(),
        }))
    }

    /// The claim that has the ids of people.
    pub(super) fn user_claim(&self) -> &str {
        &self.0.user_claim
    }

    /// The endpoint of webhooks that tells `agent` at `url`; `None` where that was not agreed on.
    pub(super) fn callback(&self, agent: &Agent, url: &str) -> Option<&str> {
        let is_it = |it: &&Callback| it.agent == agent.id && it.url.expose() == url;
        let found = self.0.callbacks.iter().find(is_it);
        found.map(|callback| callback.endpoint.as_str())
    }

    /// Whether there is an address under which results can be fetched.
    pub(super) fn offers_access(&self) -> bool {
        !self.0.api_base.is_empty()
    }

    /// Where the results of the request with this id are; `None` when access is not offered.
    pub(super) fn results_url(&self, id: &str) -> Option<String> {
        let base = &self.0.api_base;
        self.offers_access()
            .then(|| format!("{base}/v1/data-rights-request/{id}/results"))
    }

    /// What the ids of requests for access are sealed with.
    pub(super) async fn sealer(&self, service: &Service) -> Result<&Sealer, Refusal> {
        let make = || service.sealer(ACCESS);
        Ok(self.0.sealer.get_or_try_init(make).await?)
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
