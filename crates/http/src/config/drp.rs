//! The Data Rights Protocol: who may send requests by it.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::invalid::InvalidSetting;
use super::webhooks::WebhookUrl;

/// Longest name of an agent or a claim, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The Data Rights Protocol, by which agents ask in the name of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrpSettings {
    /// Whether it is served, under `/v1`.
    pub enabled: bool,
    /// The name of this service among those that agents know.
    pub business_id: String,
    /// The claim of a request that has the id by which this service knows the person. Of `email`,
    /// `phone_number` and `address` only such as the agent says to have verified.
    pub user_claim: String,
    /// Where agents find this service, without `/v1`: what the address of results begins with. Without it
    /// access is not offered.
    pub api_base: String,
    /// The agents that are trusted to have made sure who asks.
    pub agents: Vec<DrpAgentSettings>,
}

impl Default for DrpSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            business_id: String::new(),
            user_claim: String::from("identifier"),
            api_base: String::new(),
            agents: Vec::new(),
        }
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrpAgentSettings {
    /// Its name among agents.
    pub id: String,
    /// The Ed25519 key that its requests are checked with, in base64.
    pub verify_key: String,
}

impl DrpAgentSettings {
    /// The key, if the text is one that can be trusted.
    pub(crate) fn key(&self) -> Option<VerifyingKey> {
        let bytes = STANDARD.decode(self.verify_key.trim()).ok()?;
        let key = VerifyingKey::try_from(bytes.as_slice()).ok()?;
        (!key.is_weak()).then_some(key)
    }
}

impl DrpSettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        if self.enabled && (self.business_id.is_empty() || self.agents.is_empty()) {
            let problem = "needs drp.business_id and at least one of [[drp.agents]]";
            return Err(InvalidSetting::new("drp.enabled", problem));
        }
        if self.user_claim.is_empty() || self.user_claim.len() > NAME_BYTES_MAX {
            let problem = "must name the claim that has the ids of people";
            return Err(InvalidSetting::new("drp.user_claim", problem));
        }
        if !self.api_base.is_empty() && !is_base(&self.api_base) {
            let problem = "must be an address like https://shop.example, without ? and #";
            return Err(InvalidSetting::new("drp.api_base", problem));
        }
        let mut ids = HashSet::new();
        for (index, agent) in self.agents.iter().enumerate() {
            let place = |field: &str| format!("drp.agents[{index}].{field}");
            if !is_name(&agent.id) || !ids.insert(&agent.id) {
                let problem = "must be 1 to 64 letters, digits, - or _, unlike the others";
                return Err(InvalidSetting::new(place("id"), problem));
            }
            if agent.key().is_none() {
                let problem = "must be the agent's public Ed25519 key, 32 bytes in base64";
                return Err(InvalidSetting::new(place("verify_key"), problem));
            }
        }
        Ok(())
    }
}

/// Whether agents can be sent to what begins so: by https, or to this machine.
fn is_base(text: &str) -> bool {
    let url = WebhookUrl::new(text);
    let can_be_called = url.uri().is_some() && !text.contains('?');
    can_be_called && (!url.is_plain() || url.is_loopback())
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of the first test of RFC 8032.
    const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn settings(agents: &[(&str, &str)]) -> DrpSettings {
        let agents = agents.iter().map(|(id, key)| DrpAgentSettings {
            id: (*id).to_owned(),
            verify_key: (*key).to_owned(),
        });
        DrpSettings {
            enabled: true,
            business_id: String::from("SHOP"),
            agents: agents.collect(),
            ..DrpSettings::default()
        }
    }

    #[test]
    fn an_agent_has_a_name_of_its_own_and_a_key() {
        assert_eq!(settings(&[("AA", KEY), ("BB", KEY)]).check(), Ok(()));
        // A point of small order, under which anybody can sign.
        let weak = STANDARD.encode([1_u8].into_iter().chain([0; 31]).collect::<Vec<_>>());
        for (agents, key) in [
            (&[("AA", KEY), ("AA", KEY)][..], "drp.agents[1].id"),
            (&[("A/A", KEY)], "drp.agents[0].id"),
            (&[("", KEY)], "drp.agents[0].id"),
            (&[("AA", "short")], "drp.agents[0].verify_key"),
            (&[("AA", &weak)], "drp.agents[0].verify_key"),
            (&[], "drp.enabled"),
        ] {
            let error = settings(agents).check().expect_err(key);
            assert_eq!(error.key, key);
        }
        let mut nameless = settings(&[("AA", KEY)]);
        nameless.business_id.clear();
        assert_eq!(nameless.check().expect_err("no name").key, "drp.enabled");
        assert_eq!(DrpSettings::default().check(), Ok(()));
    }

    #[test]
    fn results_are_fetched_by_https_or_from_this_machine() {
        let at = |api_base: &str| DrpSettings {
            api_base: api_base.to_owned(),
            ..settings(&[("AA", KEY)])
        };
        for good in [
            "",
            "https://shop.example",
            "https://shop.example/drp/",
            "http://127.0.0.1:8080",
        ] {
            assert_eq!(at(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "shop.example",
            "http://shop.example",
            "https://shop.example/?a=b",
            "https://ada@shop.example/",
        ] {
            let error = at(bad).check().expect_err(bad);
            assert_eq!(error.key, "drp.api_base");
        }
    }
}
