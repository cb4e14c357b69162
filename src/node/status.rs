//! Where a node stands, for other nodes and for `recant cluster status`.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use recant_cluster::Address;
use recant_http::{Membership, NodeStanding};
use recant_replication::{PeerError, Peers, Role, Status};
use serde::{Deserialize, Serialize};

use super::membership::NodeMembership;

/// Where a node tells of itself.
const PATH: &str = "/cluster/v1/status";

/// What a node says of itself and of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    /// Its name.
    pub(crate) node: String,
    /// `leader`, `candidate` or `replica`.
    pub(crate) role: String,
    /// Why it takes no requests, if it takes none.
    pub(crate) why: Option<String>,
    /// The term that it knows.
    pub(crate) term: u64,
    /// Who leads that.
    pub(crate) leader: Option<String>,
    /// Where the leader is reached.
    pub(crate) leader_address: Option<String>,
    /// The log that it follows.
    pub(crate) incarnation: Option<String>,
    /// The last entry that it has applied, with its hash, in hexadecimal.
    pub(crate) applied: u64,
    /// That entry's hash.
    pub(crate) hash: Option<String>,
    /// Entries that it has read and not applied.
    pub(crate) entries_behind: u64,
    /// Whether somebody who is to read no more, as a node that was removed, has the keys that the log goes on under:
    /// they are replaced when every other node is there.
    #[serde(default)]
    pub(crate) wants_key: bool,
    /// All nodes that it knows of. The leader alone knows how far the others are.
    pub(crate) nodes: Vec<NodeLine>,
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeLine {
    /// Its name.
    pub(crate) node: String,
    /// `leader`, `candidate` or `replica`.
    pub(crate) role: String,
    /// `current`, `out` or `owing`.
    pub(crate) state: String,
    /// The last entry that it is known to have applied.
    pub(crate) applied: u64,
    /// The version of the model that its readers see, if that is known.
    pub(crate) version: Option<u64>,
    /// How long it may still answer readers, if that is known.
    pub(crate) lease_seconds: Option<f64>,
    /// What it held when contents were compared last, if that is known: the entry that asked, and a number in
    /// hexadecimal, which is equal for nodes that hold the same. A leader compares them.
    #[serde(default)]
    pub(crate) digest: Option<DigestLine>,
}

/// What a node held of some part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DigestLine {
    /// The entry that asked.
    pub(crate) entry: u64,
    /// The number.
    pub(crate) sum: String,
}

/// What a node answers whoever asks how it stands.
pub(super) fn routes(node: NodeMembership) -> Router {
    Router::new().route(PATH, get(tell)).with_state(node)
}

async fn tell(State(node): State<NodeMembership>) -> Json<NodeStatus> {
    Json(NodeStatus::of(&node))
}

/// Asks a node how it stands.
pub(crate) async fn ask_status(peers: &Peers, node: &Address) -> Result<NodeStatus, PeerError> {
    peers.get(node, PATH).await
}

impl NodeStatus {
    fn of(node: &NodeMembership) -> Self {
        let standing = node.standing();
        let status = node.status().ok();
        let leads = |role: Role| matches!(role, Role::Leader { .. });
        Self {
            role: standing.role.as_str().to_owned(),
            why: standing.why.map(|why| why.as_str().to_owned()),
            term: standing.term,
            leader: status
                .as_ref()
                .and_then(|it| Some(it.leader.as_ref()?.0.clone())),
            leader_address: (status.as_ref())
                .filter(|it| !leads(it.role))
                .and_then(|it| it.leader_address.clone()),
            incarnation: status.as_ref().map(|it| it.incarnation.0.to_string()),
            applied: status.as_ref().map_or(0, |it| it.applied),
            hash: status.as_ref().map(|it| it.hash.to_string()),
            entries_behind: standing.entries_behind,
            wants_key: status.as_ref().is_some_and(|it| it.wants_key),
            nodes: (standing.nodes.iter())
                .map(|it| NodeLine::of(it, status.as_ref()))
                .collect(),
            node: standing.node,
        }
    }
}

impl NodeLine {
    fn of(standing: &NodeStanding, status: Option<&Status>) -> Self {
        let members = status.map_or(&[][..], |it| &it.members);
        let member = members.iter().find(|it| it.node.0 == standing.node);
        Self {
            node: standing.node.clone(),
            role: standing.role.as_str().to_owned(),
            state: standing.state.as_str().to_owned(),
            applied: standing.applied,
            version: standing.version.map(|(_, number)| number),
            lease_seconds: standing.lease_remaining.map(|left| left.as_secs_f64()),
            digest: member.and_then(|it| it.digest).map(|digest| DigestLine {
                entry: digest.number,
                sum: format!("{:032x}", u128::from_le_bytes(digest.sum)),
            }),
        }
    }
}
