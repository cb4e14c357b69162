//! What the routes ask of a node among several. Who holds the log answers it; a server that is the only
//! one has none of this in its way.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;

/// How long a call that only the leader takes is held while none is known.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node among several, as its routes see it.
pub trait Membership: Send + Sync + 'static {
    /// Whether readers may be answered now. Asked before an answer is begun and before it is sent, so it must
    /// cost no more than a look at a clock.
    fn may_answer(&self) -> bool;

    /// Who leads.
    fn leader(&self) -> Leader;

    /// How this node stands, and what it knows of the others. Its name never changes.
    fn standing(&self) -> Standing;

    /// Resolves once [`Self::leader`] may answer otherwise than before this was called.
    fn leader_changed(&self) -> BoxFuture<'static, ()>;

    /// Sends a request to the node whose address this is ([`Leader::At`]), to what serves
    /// [`forwarded_router`](crate::forwarded_router) there, and brings its answer. The URI of the request has
    /// no host; its headers go as they are.
    fn forward(
        &self,
        to: String,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, ForwardError>>;

    /// How long a call that only the leader takes is held while none is known or reached.
    fn patience(&self) -> Duration {
        PATIENCE
    }
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leader {
    /// This node.
    Here,
    /// Another one, with the address that nodes reach it by: `https://n1.internal:8081`.
    At(String),
    /// Nobody, or nobody that is known.
    Unknown,
}

/// Why an answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Nothing was sent.
    #[error("the leader could not be reached")]
    NotSent,
    /// It may have been taken on.
    #[error("the leader did not answer")]
    Unanswered,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// It leads.
    Leader,
    /// It may lead.
    Candidate,
    /// It never leads.
    Replica,
}

impl NodeRole {
    /// The name that answers have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Candidate => "candidate",
            Self::Replica => "replica",
        }
    }
}

/// Why a node takes no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It opens its data.
    Starting,
    /// It has not applied the log to its end.
    CatchingUp,
    /// It has no lease.
    NotCurrent,
    /// The log cannot be reached.
    LogUnreachable,
    /// The log ends before what this node has applied, or is another one.
    LogWentBack,
    /// The servers of the log do not say that what they acknowledge is on their disks.
    LogNotSynced,
    /// An entry of the log cannot be applied.
    CannotApply,
    /// An operator took it out of its cluster.
    Removed,
    /// Another process runs under its name.
    Replaced,
    /// It holds something else than most nodes.
    Differs,
}

impl Why {
    /// The name that answers have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::NotCurrent => "not_current",
            Self::LogUnreachable => "log_unreachable",
            Self::LogWentBack => "log_went_back",
            Self::LogNotSynced => "log_not_synced",
            Self::CannotApply => "cannot_apply",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Differs => "differs",
        }
    }

    /// What that means for whoever looks.
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Starting => "the node is still opening its data: ask again",
            Self::CatchingUp => {
                "the node has not applied the whole log yet: ask again, and see entries_behind in its metrics"
            }
            Self::NotCurrent => {
                "the node has not heard of the leader for too long: ask another one"
            }
            Self::LogUnreachable => {
                "the log cannot be reached: look at its servers, and at what is between"
            }
            Self::LogWentBack => {
                "the log ends before what this node has applied, or is another one: see the node's log"
            }
            Self::LogNotSynced => {
                "the servers of the log do not say that what they acknowledge is on their disks: set \
                 sync_interval: always there"
            }
            Self::CannotApply => "an entry of the log cannot be applied: see the node's log",
            Self::Removed => "the node was removed from its cluster: end it, and destroy its disk",
            Self::Replaced => {
                "another process runs under the name of this node: end this one, or give it a name and an empty \
                 directory of its own"
            }
            Self::Differs => {
                "the node does not hold what most others hold: it destroys that, and takes the state of another"
            }
        }
    }
}

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it does.
    pub role: NodeRole,
    /// Its name.
    pub node: String,
    /// The term of the leader that it follows, or of its own.
    pub term: u64,
    /// Entries of the log that it has not applied.
    pub entries_behind: u64,
    /// Why it takes no requests; `None` when it takes them.
    pub why: Option<Why>,
    /// All nodes that it knows of, itself among them.
    pub nodes: Vec<NodeStanding>,
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStanding {
    /// Its name.
    pub node: String,
    /// What it does.
    pub role: NodeRole,
    /// Whether it is waited for.
    pub state: NodeState,
    /// The number of the last entry that it is known to have applied.
    pub applied: u64,
    /// The version of the model that its readers see, by its term and number.
    pub version: Option<(u64, u64)>,
    /// How long it may answer readers without being heard again; `None` when it may not, or nobody knows.
    pub lease_remaining: Option<Duration>,
}

/// Whether a node is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It answers readers, and has erased whatever was acknowledged.
    Current,
    /// It is away and answers nobody.
    Out,
    /// It is away, and has still to erase what was acknowledged meanwhile.
    Owing,
}

impl NodeState {
    /// The name that answers have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Out => "out",
            Self::Owing => "owing",
        }
    }
}
