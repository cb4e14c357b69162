//! Who belongs to the cluster, as a node knows it: for whoever looks after it.

use super::member_status::{MemberState, MemberStatus};
use super::{Node, Role};
use crate::entry::NodeId;
use crate::mark::{Member, Standing};

impl Node {
    /// All nodes that were ever heard of, by name, as the log says up to what this node has applied.
    pub fn members(&self) -> Vec<MemberStatus> {
        let members = self.applied.members.iter();
        members
            .map(|(node, member)| self.status_of(node, member))
            .collect()
    }

    fn status_of(&self, node: &NodeId, member: &Member) -> MemberStatus {
        let is_me = *node == self.options.id && member.boot == self.options.boot;
        let (applied, live) = match &self.role {
            _ if is_me => (self.applied.number, Some(self.live)),
            Role::Leading(leading) => (leading.applied_by(node, member), leading.live_of(node)),
            Role::Following | Role::Claiming(_) => (member.applied, None),
        };
        let digest = match &self.role {
            _ if is_me => self.digest,
            Role::Leading(leading) => leading.checks.last_of(node),
            Role::Following | Role::Claiming(_) => None,
        };
        let owes_after = self.applied.owes_after(node);
        let state = match member.standing {
            Standing::Current => MemberState::Current,
            Standing::Out | Standing::Removed { attested: false } if owes_after.is_some() => {
                MemberState::Owing
            }
            Standing::Out | Standing::Removed { .. } => MemberState::Out,
        };
        MemberStatus {
            node: node.clone(),
            address: member.address.clone(),
            is_candidate: member.is_candidate,
            state,
            is_removed: matches!(member.standing, Standing::Removed { .. }),
            owes_after,
            applied,
            live,
            digest,
        }
    }
}
