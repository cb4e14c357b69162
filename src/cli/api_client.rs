//! Calls to a running server, for the commands that speak to one.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::CliError;
use super::text_file;
use super::trust::TrustArgs;

/// Longest wait for one answer, a wait that was asked for included.
const ANSWER_PATIENCE: Duration = Duration::from_secs(90);

/// The variable that holds the API key.
const KEY_VARIABLE: &str = "RECANT_API_KEY";

/// The API key: what the file holds, or else the environment.
pub(super) fn api_key(file: Option<&Path>) -> Result<Option<String>, CliError> {
    let from_environment = || {
        let key = std::env::var(KEY_VARIABLE).ok();
        key.filter(|key| !key.is_empty())
    };
    let Some(path) = file else {
        return Ok(from_environment());
    };
    let key = text_file::text(path)?;
    Ok(Some(key.trim().to_owned()))
}

/// A server, and the key to its door.
pub(super) struct ApiClient {
    agent: ureq::Agent,
    url: String,
    /// The value of `Authorization`, when there is a key.
    authorization: Option<String>,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// When it asks to be called again.
    pub(super) retry_after: Option<Duration>,
    pub(super) text: String,
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

impl ApiClient {
    /// Calls the server at `url`, with `key` where it has any, if `trust` believes it.
    pub(super) fn new(url: &str, key: Option<&str>, trust: &TrustArgs) -> Result<Self, CliError> {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_PATIENCE))
            .http_status_as_error(false)
            .tls_config(trust.tls(url)?)
            .build();
        Ok(Self {
            agent: agent.into(),
            url: url.trim_end_matches('/').to_owned(),
            authorization: key.map(|key| format!("Bearer {key}")),
        })
    }

    /// Gets what is at `path`.
    pub(super) fn get(&self, path: &str) -> Result<Answer, Refusal> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.answer(request.call())
    }

    /// Posts `body` to `path`, with these headers.
    pub(super) fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        let mut request = self.agent.post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.answer(request.send(body))
    }

    fn answer(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Refusal> {
        let unreachable =
            |error: ureq::Error| Refusal::NotNow(format!("{} does not answer ({error})", self.url));
        let answer = answer.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let text = answer.into_body().read_to_string().map_err(unreachable)?;
        Ok(Answer {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            text,
        })
    }
}

impl Answer {
    /// What a problem of the server says; its details name nobody.
    pub(super) fn refusal(&self) -> Refusal {
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("it does not say why");
        let said = format!("the server answered {}: {detail}", self.status);
        match self.status {
            408 | 429 | 500..=599 => Refusal::NotNow(said),
            _ => Refusal::Final(said),
        }
    }

    /// What the answer says.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_str(&self.text).map_err(|_| {
            let detail = "the answer is not one of a recant server: check --url";
            Refusal::Final(detail.to_owned())
        })
    }
}
