//! What happens to a process, and how it is made good.

use crate::cluster::Cluster;

/// A fault of one process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// A node's process is killed.
    NodeKilled(usize),
    /// A node hangs.
    NodeHangs(usize),
    /// A node is asked to end.
    NodeEnds(usize),
    /// A server of the log is killed.
    LogKilled(usize),
    /// A server of the log hangs.
    LogHangs(usize),
}

impl Fault {
    /// Lets it happen.
    pub fn strike(self, cluster: &mut Cluster) {
        match self {
            Self::NodeKilled(at) => cluster.nodes[at].kill(),
            Self::NodeHangs(at) => cluster.nodes[at].suspend(),
            Self::NodeEnds(at) => cluster.nodes[at].end(),
            Self::LogKilled(at) => cluster.nats.server(at).kill(),
            Self::LogHangs(at) => cluster.nats.server(at).suspend(),
        }
    }

    /// Makes it good, and waits until all take requests again.
    pub fn mend(self, cluster: &mut Cluster) {
        match self {
            Self::NodeKilled(at) | Self::NodeEnds(at) => cluster.nodes[at].start(),
            Self::NodeHangs(at) => cluster.nodes[at].resume(),
            Self::LogKilled(_) => cluster.nats.start_again(),
            Self::LogHangs(at) => cluster.nats.server(at).resume(),
        }
        cluster.nats.wait_until_ready();
        cluster.until_ready();
    }
}
