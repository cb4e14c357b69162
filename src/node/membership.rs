//! The node as the routes for callers see it.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{Request, Response, Uri};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use recant_cluster::{Address, MemberState, MemberStatus, NodeId, Stopped, Version};
use recant_http::{
    ForwardError, Leader, Membership, NodeRole, NodeStanding, NodeState, Standing, Why,
};
use recant_jetstream::ReadError;
use recant_replication::{
    LeaseGate, PeerError, Peers, Replica, Role, Status, StoreEntries, peer_uri,
};
use tokio::sync::watch;

use super::phase::Phase;

/// A node from the beginning of its process on. Copies are the same one.
#[derive(Clone)]
pub(crate) struct NodeMembership(Arc<Inner>);

struct Inner {
    name: NodeId,
    is_candidate: bool,
    peers: Peers,
    phase: watch::Sender<Phase>,
    /// For readers, who look at nothing else.
    gate: OnceLock<LeaseGate>,
    fit: watch::Receiver<bool>,
}

impl NodeMembership {
    /// A node that takes no requests yet. `fit` says whether the servers of the log can be trusted.
    pub(super) fn new(
        name: NodeId,
        is_candidate: bool,
        peers: Peers,
        fit: watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            is_candidate,
            peers,
            phase: watch::Sender::new(Phase::Waiting(Why::Starting)),
            gate: OnceLock::new(),
            fit,
        }))
    }

    /// The node takes no requests yet, for this reason.
    pub(super) fn waits(&self, why: Why) {
        self.0.phase.send_replace(Phase::Waiting(why));
    }

    /// The node is at work.
    pub(super) fn runs(&self, replica: Replica<StoreEntries>) {
        // Only one replica is ever started.
        let _ = self.0.gate.set(replica.gate());
        self.0.phase.send_replace(Phase::Running(replica));
    }

    /// The replica, once there is one.
    pub(super) fn replica(&self) -> Option<Replica<StoreEntries>> {
        match &*self.0.phase.borrow() {
            Phase::Waiting(_) => None,
            Phase::Running(replica) => Some(replica.clone()),
        }
    }

    /// Connections to other nodes.
    pub(super) fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// Where the node stands, as its replica says; the reason while there is none.
    pub(super) fn status(&self) -> Result<Status, Why> {
        match &*self.0.phase.borrow() {
            Phase::Waiting(why) => Err(*why),
            Phase::Running(replica) => Ok(replica.status().borrow().clone()),
        }
    }

    /// Leads no longer, in good order, if it leads; returns when it does not.
    pub(crate) async fn hand_over(&self) {
        let Some(replica) = self.replica() else {
            return;
        };
        replica.hand_over(None).await;
        let mut status = replica.status();
        // An error says that the node has ended.
        let _ = status
            .wait_for(|status| !matches!(status.role, Role::Leader { .. }))
            .await;
    }

    /// The replica, when there is one.
    pub(super) async fn running(&self) -> Replica<StoreEntries> {
        let mut phase = self.0.phase.subscribe();
        let runs = phase
            .wait_for(|phase| matches!(phase, Phase::Running(_)))
            .await;
        drop(runs);
        match self.replica() {
            Some(replica) => replica,
            None => std::future::pending().await,
        }
    }

    /// What the node is called.
    pub(super) fn name(&self) -> &NodeId {
        &self.0.name
    }

    fn role(&self, leads: bool, is_candidate: bool) -> NodeRole {
        match (leads, is_candidate) {
            (true, _) => NodeRole::Leader,
            (false, true) => NodeRole::Candidate,
            (false, false) => NodeRole::Replica,
        }
    }

    /// Why a node at work takes no requests.
    fn why(&self, status: &Status) -> Option<Why> {
        if let Some(ReadError::WentBack { .. } | ReadError::Hole { .. }) = status.log {
            return Some(Why::LogWentBack);
        }
        match status.stopped {
            Some(Stopped::Removed) => return Some(Why::Removed),
            Some(Stopped::Replaced) => return Some(Why::Replaced),
            Some(Stopped::Differs) => return Some(Why::Differs),
            Some(Stopped::NoKey) => return Some(Why::CatchingUp),
            Some(Stopped::LogLost | Stopped::Gap(_) | Stopped::Entry(_)) => {
                return Some(Why::CannotApply);
            }
            None if status.cannot_apply.is_some() => return Some(Why::CannotApply),
            None => {}
        }
        if self.may_answer() {
            return None;
        }
        if status.is_log_silent {
            return Some(Why::LogUnreachable);
        }
        if status.behind > 0 {
            return Some(Why::CatchingUp);
        }
        let is_fit = *self.0.fit.borrow();
        Some(if is_fit {
            Why::NotCurrent
        } else {
            Why::LogNotSynced
        })
    }

    fn standing_of(&self, member: &MemberStatus, status: &Status) -> NodeStanding {
        let leads = status.leader.as_ref() == Some(&member.node);
        let is_me = member.node == self.0.name;
        let lease = self.0.gate.get().filter(|_| is_me);
        NodeStanding {
            node: member.node.0.clone(),
            role: self.role(leads, member.is_candidate),
            state: match member.state {
                MemberState::Current => NodeState::Current,
                MemberState::Out => NodeState::Out,
                MemberState::Owing => NodeState::Owing,
            },
            applied: member.applied,
            version: member.live.map(|Version { term, number }| (term, number)),
            lease_remaining: lease
                .map(LeaseGate::remaining)
                .filter(|left| !left.is_zero()),
        }
    }
}

impl Membership for NodeMembership {
    fn may_answer(&self) -> bool {
        self.0.gate.get().is_some_and(LeaseGate::may_answer)
    }

    fn leader(&self) -> Leader {
        let Ok(status) = self.status() else {
            return Leader::Unknown;
        };
        match (status.role, status.leader, status.leader_address) {
            (Role::Leader { .. }, _, _) => Leader::Here,
            // What this node led before it was started again.
            (Role::Follower, Some(leader), _) if leader == self.0.name => Leader::Unknown,
            (Role::Follower, _, Some(address)) => Leader::At(address),
            (Role::Follower, _, None) => Leader::Unknown,
        }
    }

    fn standing(&self) -> Standing {
        let name = self.0.name.0.clone();
        match self.status() {
            Err(why) => Standing {
                role: self.role(false, self.0.is_candidate),
                node: name,
                term: 0,
                entries_behind: 0,
                why: Some(why),
                nodes: Vec::new(),
            },
            Ok(status) => Standing {
                role: self.role(
                    matches!(status.role, Role::Leader { .. }),
                    self.0.is_candidate,
                ),
                node: name,
                term: status.term,
                entries_behind: status.behind as u64,
                why: self.why(&status),
                nodes: (status.members.iter())
                    .filter(|member| !(member.is_removed && member.state == MemberState::Out))
                    .map(|member| self.standing_of(member, &status))
                    .collect(),
            },
        }
    }

    fn leader_changed(&self) -> BoxFuture<'static, ()> {
        let mut phase = self.0.phase.subscribe();
        let Some(replica) = self.replica() else {
            return async move { drop(phase.changed().await) }.boxed();
        };
        let mut status = replica.status();
        let (role, leader) = {
            let status = status.borrow();
            (status.role, status.leader_address.clone())
        };
        async move {
            let is_other = |now: &Status| now.role != role || now.leader_address != leader;
            // A node that has ended answers nobody any more.
            drop(status.wait_for(is_other).await);
        }
        .boxed()
    }

    fn forward(
        &self,
        to: String,
        mut request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, ForwardError>> {
        let peers = self.0.peers.clone();
        async move {
            let path = request.uri().path_and_query();
            let path = path.map_or("/", |path| path.as_str()).to_owned();
            let uri: Result<Uri, PeerError> = peer_uri(&Address(to), &path);
            *request.uri_mut() = uri.map_err(|_| ForwardError::NotSent)?;
            peers.send(request).await.map_err(|error| {
                tracing::debug!(%error, "a request was not answered by the leader");
                if error.was_not_sent() {
                    ForwardError::NotSent
                } else {
                    ForwardError::Unanswered
                }
            })
        }
        .boxed()
    }
}
