//! Versions of the model on their way from the leader to the others.
//!
//! A node asks for one update at a time, when it has taken the one before; what the leader publishes meanwhile
//! goes together into the next. So a node that is slow, or was away, is brought up to the newest version
//! by one step, however many there were in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::BoxFuture;
use recant_cluster::Address;
use recant_replication::metric_names::CLUSTER_VERSIONS_SENT_BYTES_TOTAL;
use recant_replication::{PeerError, Peers, peer_uri};
use recant_service::{ModelUpdate, Service, UpdateFeed};
use serde::Deserialize;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::{Instant, sleep, timeout};

/// Where a leader's versions are.
const PATH: &str = "/cluster/v1/versions";

/// How long a leader that has nothing newer keeps a node waiting.
const WAIT: Duration = Duration::from_secs(1);

/// How long an answer may take to begin, and then to come whole: it may be the whole model.
const ANSWER: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(120);

/// A feed that nobody has asked for so long is given up.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Before a leader that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// What a node asks: what comes after the version that it has. Under one number it has taken all that it was
/// sent.
#[derive(Deserialize)]
struct Asked {
    feed: u64,
    term: u64,
    number: u64,
}

/// The versions of this node for the others.
#[derive(Clone)]
struct Feeds {
    service: Service,
    leads: watch::Receiver<bool>,
    kept: Arc<Mutex<HashMap<u64, Kept>>>,
}

/// A feed between two questions.
struct Kept {
    feed: UpdateFeed,
    /// The version that a node has which took all of it.
    at: (u64, u64),
    since: Instant,
}

impl Feeds {
    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The feed of a node that has the version `at`.
    fn take(&self, number: u64, at: (u64, u64)) -> UpdateFeed {
        let kept = self.kept().remove(&number).filter(|kept| kept.at == at);
        match kept {
            Some(kept) => kept.feed,
            None => self.service.updates((at != (0, 0)).then_some(at)),
        }
    }

    fn keep(&self, number: u64, feed: UpdateFeed, at: (u64, u64)) {
        let since = Instant::now();
        let mut kept = self.kept();
        kept.retain(|_, kept| since - kept.since < FORGOTTEN);
        kept.insert(number, Kept { feed, at, since });
    }
}

/// What a leader answers other nodes.
pub(super) fn routes(service: Service, leads: watch::Receiver<bool>) -> Router {
    let feeds = Feeds {
        service,
        leads,
        kept: Arc::default(),
    };
    Router::new().route(PATH, get(serve)).with_state(feeds)
}

/// The update from the version that the asking node has to the newest; nothing when that is the newest, after
/// a moment.
async fn serve(State(feeds): State<Feeds>, Query(asked): Query<Asked>) -> Response {
    let mut leads = feeds.leads.clone();
    if !*leads.borrow() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let at = (asked.term, asked.number);
    let mut feed = feeds.take(asked.feed, at);
    tokio::select! {
        update = feed.next() => {
            feeds.keep(asked.feed, feed, update.version());
            let bytes = update.to_bytes();
            metrics::counter!(CLUSTER_VERSIONS_SENT_BYTES_TOTAL).increment(bytes.len() as u64);
            bytes.into_response()
        }
        () = sleep(WAIT) => {
            feeds.keep(asked.feed, feed, at);
            StatusCode::NO_CONTENT.into_response()
        }
        // An error says that the node has ended.
        _ = leads.wait_for(|leads| !leads) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The leader's versions, as this node follows them.
#[derive(Clone)]
pub(super) struct Updates {
    peers: Peers,
    /// Where the leader is reached, while it is another node.
    leader: watch::Receiver<Option<Address>>,
    followed: Arc<AsyncMutex<Option<Followed>>>,
}

/// A leader's feed that this node has taken everything of.
struct Followed {
    leader: Address,
    feed: u64,
    at: (u64, u64),
}

impl Updates {
    pub(super) fn new(peers: Peers, leader: watch::Receiver<Option<Address>>) -> Self {
        Self {
            peers,
            leader,
            followed: Arc::default(),
        }
    }

    /// The next update for a node that has the version `live`.
    pub(super) fn next(&self, live: (u64, u64)) -> BoxFuture<'static, ModelUpdate> {
        let this = self.clone();
        Box::pin(async move { this.wait(live).await })
    }

    async fn wait(mut self, live: (u64, u64)) -> ModelUpdate {
        loop {
            let Some(leader) = self.leader.borrow_and_update().clone() else {
                if self.leader.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            };
            let mut leading = self.leader.clone();
            let read = tokio::select! {
                read = self.read(&leader, live) => read,
                _ = leading.changed() => continue,
            };
            match read {
                Ok(Some(update)) => return update,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "no version of the leader came");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// The next update; nothing when there is none yet. Given up halfway, the feed is asked for no more:
    /// the leader may have sent what did not arrive.
    async fn read(
        &self,
        leader: &Address,
        live: (u64, u64),
    ) -> Result<Option<ModelUpdate>, PeerError> {
        let mut followed = self.followed.lock().await;
        let is_good = |followed: &Followed| followed.leader == *leader && followed.at == live;
        let mut following = followed.take().filter(is_good).unwrap_or_else(|| Followed {
            leader: leader.clone(),
            feed: rand::random(),
            at: live,
        });
        let update = self.ask(&following).await?;
        if let Some(update) = &update {
            following.at = update.version();
        }
        *followed = Some(following);
        Ok(update)
    }

    async fn ask(&self, of: &Followed) -> Result<Option<ModelUpdate>, PeerError> {
        let (feed, (term, number)) = (of.feed, of.at);
        let path = format!("{PATH}?feed={feed}&term={term}&number={number}");
        let request = Request::builder()
            .uri(peer_uri(&of.leader, &path)?)
            .body(Body::empty())
            .map_err(|error| PeerError::Unreachable(error.to_string()))?;
        let unanswered = |what: &dyn std::fmt::Display| PeerError::Unanswered(what.to_string());
        let answer = timeout(WAIT + ANSWER, self.peers.send(request)).await;
        let answer = answer.map_err(|error| unanswered(&error))??;
        match answer.status() {
            StatusCode::NO_CONTENT => return Ok(None),
            StatusCode::OK => {}
            status => return Err(PeerError::Status(status)),
        }
        let bytes = timeout(WHOLE, to_bytes(answer.into_body(), usize::MAX)).await;
        let bytes = bytes.map_err(|error| unanswered(&error))?;
        let bytes = bytes.map_err(|error| unanswered(&error))?;
        let update = ModelUpdate::from_bytes(&bytes).map_err(|error| unanswered(&error))?;
        Ok(Some(update))
    }
}
