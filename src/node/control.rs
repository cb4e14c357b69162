//! What an operator asks of a cluster through its leader: that another node leads, that one goes for good.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use recant_cluster::{Address, MemberState, NodeId};
use recant_replication::{Peers, RemoveError, Role};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::NodeError;
use super::membership::NodeMembership;
use super::status::ask_status;

/// How long a removal may take: the node's lease has to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Another node is to lead.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lead {
    /// Which.
    pub(crate) node: String,
}

/// A node is to be taken out for good.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remove {
    /// Which.
    pub(crate) node: String,
    /// Whether its disk is destroyed.
    pub(crate) disk_destroyed: bool,
}

/// A request with the path that it goes to.
pub(crate) trait Order: Serialize + DeserializeOwned {
    /// Where.
    const PATH: &'static str;
}

impl Order for Lead {
    const PATH: &'static str = "/cluster/v1/lead";
}

impl Order for Remove {
    const PATH: &'static str = "/cluster/v1/remove";
}

/// What became of an order: nothing when it is done, or why it is not.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    refused: Option<String>,
}

type Answer = Result<Json<Outcome>, StatusCode>;

/// What a leader answers operators.
pub(super) fn routes(node: NodeMembership) -> Router {
    Router::new()
        .route(Lead::PATH, post(lead))
        .route(Remove::PATH, post(remove))
        .with_state(node)
}

async fn lead(State(node): State<NodeMembership>, Json(asked): Json<Lead>) -> Answer {
    let Ok(status) = node.status() else {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    };
    if !matches!(status.role, Role::Leader { .. }) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let to = NodeId(asked.node);
    let named = status.members.iter().find(|member| member.node == to);
    let refused = match named {
        None => Some("there is no such node"),
        Some(_) if status.leader.as_ref() == Some(&to) => Some("it leads already"),
        Some(member) if !member.is_candidate => Some("it is a replica, which never leads"),
        Some(member) if member.state != MemberState::Current => Some("it is not current"),
        Some(_) => None,
    };
    if refused.is_none() {
        let replica = node.replica().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        replica.hand_over(Some(to)).await;
    }
    Ok(Json(Outcome {
        refused: refused.map(str::to_owned),
    }))
}

async fn remove(State(node): State<NodeMembership>, Json(asked): Json<Remove>) -> Answer {
    let replica = node.replica().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let removed = replica.remove(NodeId(asked.node), asked.disk_destroyed);
    let refused = match removed.await {
        Ok(()) => None,
        Err(RemoveError::NotLeading) => return Err(StatusCode::SERVICE_UNAVAILABLE),
        Err(error) => Some(error.to_string()),
    };
    Ok(Json(Outcome { refused }))
}

/// Has the leader do something, whichever node is asked who that is.
pub(crate) async fn ask_leader<O: Order>(
    peers: &Peers,
    node: &Address,
    order: &O,
) -> Result<(), NodeError> {
    let status = ask_status(peers, node).await?;
    let leader = match status.leader_address {
        Some(address) => Address(address),
        None if status.role == "leader" => node.clone(),
        None => {
            return Err(NodeError::refused(
                "no node leads: see recant cluster status",
            ));
        }
    };
    let outcome: Outcome = peers.post(&leader, O::PATH, order, PATIENCE).await?;
    outcome
        .refused
        .map_or(Ok(()), |why| Err(NodeError::Refused(why)))
}
