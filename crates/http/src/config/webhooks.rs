//! The settings of webhooks.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use recant_service::WEBHOOK_STATES;
use recant_types::ErasureStatus;
use serde::{Deserialize, Serialize};

use super::invalid::{InvalidSetting, check_range};

/// Most endpoints: each has threads and a place in the metrics.
const ENDPOINTS_MAX: usize = 16;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Most pauses between attempts.
const RETRIES_MAX: usize = 32;

/// Seconds of a day, the longest pause.
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The address of an endpoint. What is behind the host may be a secret, so `Debug` shows the host alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// The address that is this text.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The whole text, for whoever calls it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The host, which may be shown; empty when there is none.
    pub fn host(&self) -> String {
        let uri: Option<Uri> = self.0.parse().ok();
        let host = uri.as_ref().and_then(Uri::host);
        host.unwrap_or_default().to_owned()
    }

    /// Whether it is called without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        self.uri()
            .is_some_and(|uri| uri.scheme_str() == Some("http"))
    }

    /// Whether it names this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = address.parse().is_ok_and(|it: IpAddr| it.is_loopback());
        loopback || host == "localhost"
    }

    /// The address, if it is one that can be called: by http or https, to a host, without a user's name.
    pub(super) fn uri(&self) -> Option<Uri> {
        let uri: Uri = self.0.parse().ok()?;
        let schemes = [Some("http"), Some("https")];
        let authority = uri.authority()?;
        let can_be_called = schemes.contains(&uri.scheme_str())
            && !authority.host().is_empty()
            && !authority.as_str().contains('@')
            && !self.0.contains('#');
        can_be_called.then_some(uri)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}, …)", self.host())
    }
}

/// An endpoint that is told of each state of every erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// A name for people, metrics and the key that its messages are signed with; unique.
    pub name: String,
    /// Where to post.
    pub url: WebhookUrl,
    /// The states that are posted.
    pub states: Vec<ErasureStatus>,
    /// The agent of the Data Rights Protocol whose `status_callback` this is: it is told by the protocol, of
    /// the requests that ask for it. Empty for an endpoint that is told of every erasure.
    pub drp_agent: String,
    /// Whether addresses that are not of the public internet may be called.
    pub allow_internal: bool,
    /// Whether it may be called without TLS. This machine always may.
    pub allow_http: bool,
    /// File of the certificates, in PEM, that the endpoint's must lead to; empty for those that the machine
    /// trusts.
    pub ca_file: PathBuf,
    /// Longest time for one attempt.
    pub timeout_seconds: u64,
    /// States are posted at whole multiples of this.
    pub every_seconds: u64,
    /// Pauses between attempts; the last one counts from then on.
    pub retry_seconds: Vec<u64>,
    /// A state is given up when an attempt fails so long after it was reached.
    pub give_up_after_hours: u64,
    /// Most erasures of which something has still to be posted; of more the oldest are dropped.
    pub waiting_max: u64,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: WebhookUrl::default(),
            states: WEBHOOK_STATES.to_vec(),
            drp_agent: String::new(),
            allow_internal: false,
            allow_http: false,
            ca_file: PathBuf::new(),
            timeout_seconds: 15,
            every_seconds: 60,
            retry_seconds: vec![5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400],
            give_up_after_hours: 72,
            waiting_max: 100_000,
        }
    }
}

impl WebhookSettings {
    /// Whether it is an agent's `status_callback`.
    pub fn is_callback(&self) -> bool {
        !self.drp_agent.is_empty()
    }

    /// The states that are posted. An agent knows from the answer to its request that it is under way, so it
    /// is told that it is carried out, which is the next status of the protocol.
    pub fn told_states(&self) -> Vec<ErasureStatus> {
        if self.is_callback() {
            vec![ErasureStatus::Forgotten]
        } else {
            self.states.clone()
        }
    }

    /// Longest time for one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// States are posted at whole multiples of this.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds)
    }

    /// Pauses between attempts.
    pub fn retries(&self) -> Vec<Duration> {
        let pauses = self.retry_seconds.iter();
        pauses
            .map(|seconds| Duration::from_secs(*seconds))
            .collect()
    }

    /// How long a state is tried.
    pub fn give_up_after(&self) -> Duration {
        Duration::from_secs(self.give_up_after_hours * 60 * 60)
    }

    /// Whether it may be called without TLS.
    pub(crate) fn may_be_plain(&self) -> bool {
        self.allow_http || self.url.is_loopback()
    }

    fn check(&self, place: impl Fn(&str) -> String) -> Result<(), InvalidSetting> {
        let wrong = |field: &str, problem: &str| Err(InvalidSetting::new(place(field), problem));
        let in_names = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.len() > NAME_BYTES_MAX || !self.name.chars().all(in_names) {
            return wrong("name", "must be up to 64 letters, digits, - and _");
        }
        // Of the address only what is wrong is said: it may hold a secret.
        if self.url.uri().is_none() {
            let problem = "must be an address like https://shop.example/hooks, without a user's name and \
                           without #";
            return wrong("url", problem);
        }
        if self.url.is_plain() && !self.may_be_plain() {
            return wrong("url", "is called without TLS: use https, or set allow_http");
        }
        let different: HashSet<_> = self.states.iter().map(|state| state.as_str()).collect();
        let known = self
            .states
            .iter()
            .all(|state| WEBHOOK_STATES.contains(state));
        if different.is_empty() || different.len() < self.states.len() || !known {
            let problem = "must name some of accepted, erased, forgotten, certified, each once";
            return wrong("states", problem);
        }
        if self.is_callback() && self.states != WEBHOOK_STATES {
            let problem =
                "is for endpoints without drp_agent: what agents are told says the protocol";
            return wrong("states", problem);
        }
        let pauses = &self.retry_seconds;
        let good = |pause: &u64| (1..=DAY_SECONDS).contains(pause);
        if pauses.is_empty() || pauses.len() > RETRIES_MAX || !pauses.iter().all(good) {
            let problem = "must have 1 to 32 pauses from 1 to 86400 seconds";
            return wrong("retry_seconds", problem);
        }
        check_range(&place("timeout_seconds"), self.timeout_seconds, 1..=60)?;
        check_range(&place("every_seconds"), self.every_seconds, 1..=3_600)?;
        let hours = self.give_up_after_hours;
        check_range(&place("give_up_after_hours"), hours, 1..=8_760)?;
        check_range(&place("waiting_max"), self.waiting_max, 1..=10_000_000)
    }
}

/// Checks all endpoints, and that their names differ.
pub(super) fn check(endpoints: &[WebhookSettings]) -> Result<(), InvalidSetting> {
    if endpoints.len() > ENDPOINTS_MAX {
        let problem = format!("has more than {ENDPOINTS_MAX} entries");
        return Err(InvalidSetting::new("webhooks", problem));
    }
    let mut names = HashSet::new();
    for (index, endpoint) in endpoints.iter().enumerate() {
        let place = |field: &str| format!("webhooks[{index}].{field}");
        if endpoint.name.is_empty() || !names.insert(&endpoint.name) {
            let problem = "must be present and unlike the others";
            return Err(InvalidSetting::new(place("name"), problem));
        }
        endpoint.check(place)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> WebhookSettings {
        WebhookSettings {
            name: String::from("shop"),
            url: WebhookUrl::new(url),
            ..WebhookSettings::default()
        }
    }

    fn wrong(endpoint: WebhookSettings) -> String {
        check(&[endpoint]).expect_err("a slip").key
    }

    #[test]
    fn an_address_is_called_by_https_unless_it_is_this_machine_or_allowed() {
        for good in [
            "https://shop.example/hooks?secret=1",
            "https://shop.example:8443",
            "http://127.0.0.1:9000/hooks",
            "http://[::1]:9000/",
            "http://localhost/",
        ] {
            assert_eq!(check(&[endpoint(good)]), Ok(()), "{good}");
        }
        for bad in [
            "",
            "shop.example",
            "/hooks",
            "ftp://shop.example/",
            "https://",
            "https://ada:secret@shop.example/",
            "https://shop.example/#part",
            "http://shop.example/",
            "http://127.0.0.1.shop.example/",
        ] {
            let error = check(&[endpoint(bad)]).expect_err("no such address");
            assert_eq!(error.key, "webhooks[0].url", "{bad}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let allowed = WebhookSettings {
            allow_http: true,
            ..endpoint("http://shop.example/")
        };
        assert_eq!(check(&[allowed]), Ok(()));
    }

    #[test]
    fn names_states_and_pauses_are_checked() {
        let good = || endpoint("https://shop.example/");
        let twice = check(&[good(), good()]).expect_err("twice");
        assert_eq!(twice.key, "webhooks[1].name");
        for name in ["", "a b", "é", &"x".repeat(65)] {
            let name = String::from(name);
            assert_eq!(
                wrong(WebhookSettings { name, ..good() }),
                "webhooks[0].name"
            );
        }
        for states in [
            vec![],
            vec![ErasureStatus::Failed],
            vec![ErasureStatus::Erased, ErasureStatus::Erased],
        ] {
            assert_eq!(
                wrong(WebhookSettings { states, ..good() }),
                "webhooks[0].states"
            );
        }
        for retry_seconds in [vec![], vec![0], vec![86_401], vec![1; 33]] {
            let key = wrong(WebhookSettings {
                retry_seconds,
                ..good()
            });
            assert_eq!(key, "webhooks[0].retry_seconds");
        }
        assert_eq!(check(&vec![good(); 17]).expect_err("many").key, "webhooks");
    }

    #[test]
    fn an_agent_is_told_what_the_protocol_says() {
        let callback = WebhookSettings {
            drp_agent: String::from("AA"),
            ..endpoint("https://agent.example/status")
        };
        assert_eq!(check(std::slice::from_ref(&callback)), Ok(()));
        assert_eq!(callback.told_states(), [ErasureStatus::Forgotten]);
        let states = vec![ErasureStatus::Forgotten];
        let chosen = WebhookSettings { states, ..callback };
        assert_eq!(wrong(chosen), "webhooks[0].states");
    }

    #[test]
    fn what_is_behind_the_host_is_not_printed() {
        let shown = format!("{:?}", endpoint("https://shop.example/hooks?secret=1"));
        assert!(
            shown.contains("shop.example") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
