//! How a node speaks to another.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use recant_cluster::{Address, Beat, BeatAnswer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::connector::PeerConnector;
use super::identity::PeerIdentity;

/// Where beats go.
pub(crate) const BEAT_PATH: &str = "/cluster/v1/beat";

/// How long a beat may be unanswered. A lease counts from its sending, so an answer that comes late is worth
/// little.
const BEAT: Duration = Duration::from_secs(2);

/// How long a short question may be unanswered.
const QUESTION: Duration = Duration::from_secs(5);

/// Longest answer to a short question.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// Why another node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Nobody listens there: its process is gone. Nothing was sent.
    #[error("nobody listens at the other node's address")]
    Refused,
    /// It cannot be connected to. Nothing was sent.
    #[error("the other node cannot be reached: {0}")]
    Unreachable(String),
    /// It was connected to, and what became of the request is open.
    #[error("the other node did not answer: {0}")]
    Unanswered(String),
    /// It refuses.
    #[error("the other node answered {0}")]
    Status(StatusCode),
}

/// Connections to other nodes.
#[derive(Clone)]
pub struct Peers {
    client: Client<PeerConnector, Body>,
}

impl Peers {
    /// Other nodes, to whom this one shows who it is if it has an identity.
    pub fn new(identity: Option<PeerIdentity>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(PeerConnector::new(identity));
        Self { client }
    }

    /// Tells a leader how far a node is.
    pub(crate) async fn beat(&self, to: &Address, beat: &Beat) -> Result<BeatAnswer, PeerError> {
        self.post(to, BEAT_PATH, beat, BEAT).await
    }

    /// Asks a short question.
    pub async fn get<T: DeserializeOwned>(&self, to: &Address, path: &str) -> Result<T, PeerError> {
        let request = Request::builder()
            .uri(peer_uri(to, path)?)
            .body(Body::empty());
        let request = request.map_err(PeerError::no_request)?;
        self.question(request, QUESTION).await
    }

    /// Says something short, which may take so long.
    pub async fn post<T: DeserializeOwned>(
        &self,
        to: &Address,
        path: &str,
        said: &impl Serialize,
        within: Duration,
    ) -> Result<T, PeerError> {
        let body = serde_json::to_vec(said).map_err(PeerError::no_request)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(peer_uri(to, path)?)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body));
        let request = request.map_err(PeerError::no_request)?;
        self.question(request, within).await
    }

    async fn question<T: DeserializeOwned>(
        &self,
        request: Request<Body>,
        within: Duration,
    ) -> Result<T, PeerError> {
        let answered = async {
            let answer = self.send(request).await?;
            if !answer.status().is_success() {
                return Err(PeerError::Status(answer.status()));
            }
            let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
            let bytes = bytes.map_err(|error| PeerError::Unanswered(error.to_string()))?;
            serde_json::from_slice(&bytes).map_err(|error| PeerError::Unanswered(error.to_string()))
        };
        let silent = || PeerError::Unanswered(format!("nothing within {within:?}"));
        timeout(within, answered)
            .await
            .unwrap_or_else(|_| Err(silent()))
    }

    /// Sends a request whose URI names the other node, and returns its answer as it begins. There is no time
    /// limit but that of the connection.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, PeerError> {
        let answer = self
            .client
            .request(request)
            .await
            .map_err(PeerError::from)?;
        Ok(answer.map(Body::new))
    }
}

impl PeerError {
    /// Whether the other node has heard nothing of it.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable(_))
    }

    fn no_request(error: impl std::fmt::Display) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<ClientError> for PeerError {
    fn from(error: ClientError) -> Self {
        let cause = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        if !error.is_connect() {
            return Self::Unanswered(cause);
        }
        let refused = error.source().and_then(|it| it.downcast_ref::<io::Error>());
        if refused.is_some_and(|it| it.kind() == ErrorKind::ConnectionRefused) {
            return Self::Refused;
        }
        Self::Unreachable(cause)
    }
}

/// A path at a node's address, for a request to [`Peers::send`].
pub fn peer_uri(to: &Address, path: &str) -> Result<Uri, PeerError> {
    format!("{}{path}", to.0.trim_end_matches('/'))
        .parse()
        .map_err(PeerError::no_request)
}
