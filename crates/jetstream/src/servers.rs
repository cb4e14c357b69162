//! Whether the servers keep what they acknowledge.
//!
//! A server acknowledges what lies in memory alone unless `sync_interval` is `always`, which no client can
//! see: only the monitoring port tells. And before 2.14 either could be lost that was on disk.

use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;

/// The first version that is good enough.
const VERSION_MIN: (u64, u64) = (2, 14);

/// How long a monitoring port may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a server cannot be trusted with the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// An old one.
    #[error("it is version {0}, and 2.14 or later is needed")]
    TooOld(String),
    /// It acknowledges what no disk has.
    #[error("it acknowledges what no disk has: set sync_interval: always in its section jetstream")]
    NotSynced,
    /// It keeps no streams.
    #[error("JetStream is off")]
    NoJetStream,
    /// It could not be asked.
    #[error("it could not be asked: {0}")]
    Silent(String),
}

/// Which server, and why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the NATS server at {url} cannot keep the log: {why}")]
pub struct UnfitServer {
    /// Its monitoring address.
    pub url: String,
    /// Why.
    pub why: Unfit,
}

#[derive(Deserialize)]
struct Varz {
    version: String,
}

#[derive(Deserialize)]
struct Jsz {
    #[serde(default)]
    disabled: bool,
    config: Option<JetStreamConfig>,
}

/// `sync_always` is left out when it is off, and by servers that do not have it.
#[derive(Deserialize)]
struct JetStreamConfig {
    #[serde(default)]
    sync_always: bool,
}

/// Whether the version in the answer of `/varz` is new enough.
pub fn check_varz(answer: &str) -> Result<(), Unfit> {
    let Varz { version } = parsed(answer)?;
    if is_new_enough(&version) {
        Ok(())
    } else {
        Err(Unfit::TooOld(version))
    }
}

/// Whether the answer of `/jsz` says that acknowledgements wait for the disk.
pub fn check_jsz(answer: &str) -> Result<(), Unfit> {
    let jsz: Jsz = parsed(answer)?;
    match jsz.config {
        Some(config) if !jsz.disabled => {
            if config.sync_always {
                Ok(())
            } else {
                Err(Unfit::NotSynced)
            }
        }
        _ => Err(Unfit::NoJetStream),
    }
}

/// Asks the servers at these monitoring addresses, like `http://nats1:8222`. `agent` says whom to believe
/// by https. The first that is not fit, or does not answer, is the error.
pub async fn check_servers(agent: Agent, urls: Vec<String>) -> Result<(), UnfitServer> {
    let asked = tokio::task::spawn_blocking(move || {
        urls.iter().try_for_each(|url| {
            check_server(&agent, url).map_err(|why| UnfitServer {
                url: url.clone(),
                why,
            })
        })
    });
    match asked.await {
        Ok(checked) => checked,
        Err(stopped) => Err(UnfitServer {
            url: String::from("any address"),
            why: Unfit::Silent(stopped.to_string()),
        }),
    }
}

fn check_server(agent: &Agent, url: &str) -> Result<(), Unfit> {
    check_varz(&fetched(agent, url, "varz")?)?;
    check_jsz(&fetched(agent, url, "jsz")?)
}

fn fetched(agent: &Agent, url: &str, page: &str) -> Result<String, Unfit> {
    let silent = |error: ureq::Error| Unfit::Silent(error.to_string());
    let request = agent.get(format!("{}/{page}", url.trim_end_matches('/')));
    let request = request.config().timeout_global(Some(ANSWER)).build();
    let mut answer = request.call().map_err(silent)?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
    body.read_to_string().map_err(silent)
}

fn parsed<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, Unfit> {
    serde_json::from_str(answer).map_err(|error| Unfit::Silent(error.to_string()))
}

/// Whether a version like `2.15.1` or `2.14.0-RC.2` is new enough. One that cannot be read is not.
pub(crate) fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut number = || parts.next()?.parse::<u64>().ok();
    match (number(), number()) {
        (Some(major), Some(minor)) => (major, minor) >= VERSION_MIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_below_2_14_are_refused_by_their_name() {
        for version in ["2.14.0", "2.15.1", "2.14.0-RC.2", "3.0.0", "10.0.0"] {
            let varz = format!(r#"{{"server_name":"n1","version":"{version}"}}"#);
            assert_eq!(check_varz(&varz), Ok(()), "{version}");
        }
        for version in ["2.9.10", "2.13.9", "1.99.0", "", "2", "dev"] {
            let varz = format!(r#"{{"server_name":"n1","version":"{version}"}}"#);
            let refused = check_varz(&varz);
            assert_eq!(refused, Err(Unfit::TooOld(version.to_owned())), "{version}");
        }
    }

    #[test]
    fn only_a_server_that_says_it_syncs_always_is_fit() {
        let always = r#"{"config":{"sync_interval":120000000000,"sync_always":true}}"#;
        assert_eq!(check_jsz(always), Ok(()));
        let default = r#"{"config":{"sync_interval":120000000000}}"#;
        assert_eq!(check_jsz(default), Err(Unfit::NotSynced));
        let off = r#"{"config":{"sync_always":false}}"#;
        assert_eq!(check_jsz(off), Err(Unfit::NotSynced));
        let disabled = r#"{"disabled":true,"config":{"sync_always":true}}"#;
        assert_eq!(check_jsz(disabled), Err(Unfit::NoJetStream));
        assert_eq!(check_jsz("{}"), Err(Unfit::NoJetStream));
    }

    #[test]
    fn an_answer_of_something_else_is_no_answer() {
        for answer in ["", "<html>", "[]", r#"{"version":2}"#] {
            assert!(
                matches!(check_varz(answer), Err(Unfit::Silent(_))),
                "{answer}"
            );
        }
        assert!(matches!(check_jsz("<html>"), Err(Unfit::Silent(_))));
    }
}
