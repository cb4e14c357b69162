//! A node among several whose standing a test decides. What it sends on goes over real sockets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use recant_http::{ForwardError, Leader, Membership, NodeRole, NodeStanding, NodeState, Standing};
use tokio::sync::watch;

type Answering =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, ForwardError>> + Send + 'static>>;

/// How a node stands, as a test wants it.
pub struct FakeMembership {
    name: &'static str,
    leader: watch::Sender<Leader>,
    /// How often it still says that it may answer.
    may_answer: AtomicUsize,
    patience: Duration,
    /// Who waits for another leader, counted.
    waiting: watch::Sender<usize>,
    /// The headers of what was sent on.
    sent: Mutex<Vec<HeaderMap>>,
    standing: Mutex<Standing>,
}

impl FakeMembership {
    /// A node that may answer and knows of no leader, and that waits for one as long as any test may take.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            leader: watch::Sender::new(Leader::Unknown),
            may_answer: AtomicUsize::new(usize::MAX),
            patience: Duration::from_secs(60),
            waiting: watch::Sender::new(0),
            sent: Mutex::default(),
            standing: Mutex::new(standing(name)),
        }
    }

    /// The same with this leader.
    pub fn led(name: &'static str, leader: Leader) -> Arc<Self> {
        let node = Self::new(name);
        node.leader.send_replace(leader);
        Arc::new(node)
    }

    /// The same, which soon gives up waiting for a leader.
    pub fn impatient(name: &'static str, leader: Leader) -> Arc<Self> {
        let mut node = Self::new(name);
        node.patience = Duration::from_millis(50);
        node.leader.send_replace(leader);
        Arc::new(node)
    }

    pub fn lead_by(&self, leader: Leader) {
        self.leader.send_replace(leader);
    }

    /// It may answer so often.
    pub fn answer_times(&self, times: usize) {
        self.may_answer.store(times, Ordering::SeqCst);
    }

    pub fn change_standing(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.standing.lock().expect("not poisoned"));
    }

    /// Returns once somebody waits for another leader than there is.
    pub fn wait_until_somebody_waits(&self) {
        let mut waiting = self.waiting.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let waits = async { waiting.wait_for(|count| *count > 0).await.map(drop) };
        runtime
            .expect("a runtime")
            .block_on(waits)
            .expect("it is there");
    }

    /// The headers of what was sent on last.
    pub fn last_sent(&self) -> HeaderMap {
        let sent = self.sent.lock().expect("not poisoned");
        sent.last().expect("something was sent on").clone()
    }

    pub fn sent(&self) -> usize {
        self.sent.lock().expect("not poisoned").len()
    }
}

fn standing(name: &str) -> Standing {
    let known = NodeStanding {
        node: name.to_owned(),
        role: NodeRole::Candidate,
        state: NodeState::Current,
        applied: 41,
        version: Some((7, 42)),
        lease_remaining: Some(Duration::from_millis(14_500)),
    };
    Standing {
        role: NodeRole::Candidate,
        node: name.to_owned(),
        term: 7,
        entries_behind: 3,
        why: None,
        nodes: vec![known],
    }
}

impl Membership for FakeMembership {
    fn may_answer(&self) -> bool {
        let take = |left: usize| match left {
            usize::MAX => Some(left),
            left => left.checked_sub(1),
        };
        let taken = self
            .may_answer
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        taken.is_ok()
    }

    fn leader(&self) -> Leader {
        self.leader.borrow().clone()
    }

    fn standing(&self) -> Standing {
        let standing = self.standing.lock().expect("not poisoned").clone();
        assert_eq!(standing.node, self.name, "a node's name never changes");
        standing
    }

    fn leader_changed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut leader = self.leader.subscribe();
        let waiting = self.waiting.clone();
        Box::pin(async move {
            waiting.send_modify(|count| *count += 1);
            leader.changed().await.expect("the node is there");
        })
    }

    fn forward(&self, to: String, mut request: Request<Body>) -> Answering {
        let headers = request.headers().clone();
        self.sent.lock().expect("not poisoned").push(headers);
        // A connection of its own for each, so that one server's end is not another's.
        let client: Client<HttpConnector, Body> =
            Client::builder(TokioExecutor::new()).build_http();
        let whole: Uri = format!("{to}{}", request.uri()).parse().expect("a URI");
        *request.uri_mut() = whole;
        Box::pin(async move {
            let answer = client.request(request).await;
            let answer = answer.map_err(|error| {
                if error.is_connect() {
                    ForwardError::NotSent
                } else {
                    ForwardError::Unanswered
                }
            })?;
            Ok(answer.map(Body::new))
        })
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
