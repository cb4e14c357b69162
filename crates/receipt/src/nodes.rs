//! How the nodes of a cluster stand, and what a receipt says of them.

use serde::{Deserialize, Serialize};

use recant_types::{LogIncarnation, SharedEntry};

/// How an erasure stands on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClaim {
    /// The node's name.
    pub node: String,
    /// How it stands there.
    pub state: NodeState,
}

/// How an erasure stands on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// The node has destroyed its keys of what was named, or got its data from one that had.
    Destroyed,
    /// It has carried out the restriction, which destroys nothing.
    Restricted,
    /// It was away, and is not known to have done so: what it held when it left is on its disk. A
    /// [settlement](crate::SettlementClaims) closes that.
    Owing,
}

/// How the nodes stand that a log knows of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodesStanding {
    /// The lives of the log over which its entries are counted, the present one first.
    pub incarnations: Vec<LogIncarnation>,
    /// Each node that may hold something, by name.
    pub nodes: Vec<NodeStanding>,
}

/// How one node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStanding {
    /// Its name.
    pub node: String,
    /// Entries behind this one it is not known to have carried out, up to a settlement; `None` when nothing was
    /// erased while it was away.
    pub owes_after: Option<u64>,
    /// The last of them; `None` while it is away. What came behind it was waited for.
    pub owes_upto: Option<u64>,
    /// Whether it was taken out for good.
    pub is_removed: bool,
}

impl NodesStanding {
    /// Whether an entry is one of the log.
    pub(crate) fn counts(&self, entry: &SharedEntry) -> bool {
        self.incarnations.contains(&entry.incarnation)
    }

    /// What is to be said of each node and the erasure of this entry. Nodes that were removed are of interest only
    /// when they owe it.
    pub(crate) fn claims(&self, entry: &SharedEntry, is_restriction: bool) -> Vec<NodeClaim> {
        let claim = |standing: &NodeStanding| {
            let is_behind = standing.owes_after.is_some_and(|after| after < entry.entry);
            let owes = is_behind && standing.owes_upto.is_none_or(|upto| entry.entry <= upto);
            let state = match (owes, is_restriction) {
                (true, _) => NodeState::Owing,
                (false, true) => NodeState::Restricted,
                (false, false) => NodeState::Destroyed,
            };
            (owes || !standing.is_removed).then(|| NodeClaim {
                node: standing.node.clone(),
                state,
            })
        };
        self.nodes.iter().filter_map(claim).collect()
    }
}
