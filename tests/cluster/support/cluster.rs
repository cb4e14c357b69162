//! Servers of the log and nodes, all of this machine.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use recant_jetstream::testing::{NatsOptions, NatsServers};
use serde_json::Value;
use tempfile::TempDir;

use super::node::{Environment, Node};
use super::process::{Caller, PATIENCE, run};

/// How a cluster is made.
pub struct ClusterOptions<'a> {
    /// Nodes that are started.
    pub nodes: usize,
    /// Servers of the log.
    pub servers: usize,
    /// Interactions that are imported and trained on before the cluster is made, as CSV.
    pub data: Option<&'a str>,
    /// Settings beside those of every test.
    pub settings: &'a [(&'a str, &'a str)],
}

impl Default for ClusterOptions<'_> {
    fn default() -> Self {
        Self {
            nodes: 3,
            servers: 3,
            data: None,
            settings: &[],
        }
    }
}

/// Bytes of a log, of which the servers have room for several.
pub const LOG_BYTES_MAX: &str = "67108864";

/// A small model, frequent compaction, and the shortest times that there are.
const SETTINGS: [(&str, &str); 8] = [
    ("RECANT__MODEL__DIM", "32"),
    ("RECANT__LEARNING__THREADS", "1"),
    ("RECANT__STORE__COMPACT_AFTER_ERASURES", "20"),
    ("RECANT__STORE__COMPACT_AFTER_SECONDS", "5"),
    ("RECANT__CLUSTER__LEASE_SECONDS", "5"),
    ("RECANT__CLUSTER__TAKEOVER_SECONDS", "1"),
    ("RECANT__CLUSTER__ROLE", "candidate"),
    ("RECANT__CLUSTER__LOG_BYTES_MAX", LOG_BYTES_MAX),
];

/// Names of nodes, in the order in which they are started.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A cluster. All its processes end with it.
pub struct ClusterProcesses {
    pub nodes: Vec<Node>,
    pub nats: NatsServers,
    /// Nodes that came back under their name with another disk than the one that they lost.
    pub lost_disks: BTreeSet<String>,
    folder: Option<TempDir>,
    environment: Environment,
}

impl ClusterProcesses {
    /// Three nodes of this data, a CSV file, all ready; `None` where there is no nats-server.
    pub fn start_of(csv: &str) -> Option<Self> {
        Self::start(&ClusterOptions {
            data: Some(csv),
            ..ClusterOptions::default()
        })
    }

    /// A cluster whose nodes are all ready; `None` where there is no nats-server.
    pub fn start(options: &ClusterOptions<'_>) -> Option<Self> {
        let mut made = Self::init(options)?;
        for _ in 1..options.nodes {
            made.add();
        }
        made.nodes.iter_mut().for_each(Node::start);
        made.until_ready();
        Some(made)
    }

    /// A cluster whose first node was made and does not run yet.
    pub fn init(options: &ClusterOptions<'_>) -> Option<Self> {
        let mut made = Self::servers(options, NatsOptions::default())?;
        made.add();
        let first = &made.nodes[0];
        if let Some(csv) = options.data {
            let file = made.folder().join("ratings.csv");
            std::fs::write(&file, csv).expect("written");
            let file = file.to_str().expect("UTF-8");
            run(&mut first.command_on_data(&["import", file]));
            run(&mut first.command_on_data(&["train"]));
            run(&mut first.command_on_data(&["cluster", "init", "--from-data"]));
        } else {
            run(&mut first.command_on_data(&["cluster", "init"]));
        }
        Some(made)
    }

    /// Servers of the log, and no node.
    pub fn servers(options: &ClusterOptions<'_>, nats: NatsOptions) -> Option<Self> {
        let nats = NatsServers::start_with(options.servers, nats)?;
        let folder = tempfile::tempdir().expect("a folder for the nodes");
        let (urls, monitors) = (nats.urls(), nats.monitor_urls().join(","));
        let replicas = options.servers.to_string();
        let log = [
            ("RECANT__CLUSTER__NATS_URL", urls.as_str()),
            ("RECANT__CLUSTER__MONITOR_URLS", monitors.as_str()),
            ("RECANT__CLUSTER__LOG_REPLICAS", replicas.as_str()),
        ];
        let given = SETTINGS.iter().chain(&log).chain(options.settings);
        let environment = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = environment.collect();
        Some(Self {
            nodes: Vec::new(),
            nats,
            lost_disks: BTreeSet::new(),
            folder: Some(folder),
            environment,
        })
    }

    /// Where the nodes keep what they have.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("until it is dropped").path()
    }

    /// Another node, which is not started.
    pub fn add(&mut self) -> &mut Node {
        let name = NAMES[self.nodes.len()];
        let node = Node::new(self.folder(), name, &self.environment);
        self.nodes.push(node);
        self.nodes.last_mut().expect("just pushed")
    }

    /// Which node leads, as the nodes that answer tell.
    pub fn leader(&self) -> usize {
        let began = Instant::now();
        loop {
            if let Some(leader) = self.leads() {
                return leader;
            }
            assert!(began.elapsed() < PATIENCE, "nobody leads");
            std::thread::yield_now();
        }
    }

    fn leads(&self) -> Option<usize> {
        let running = self.nodes.iter().enumerate();
        let mut running = running.filter(|(_, node)| node.is_running());
        running.find_map(|(at, node)| {
            let (status, said) = node.caller().readyz()?;
            (status == 200 && said["role"] == "leader").then_some(at)
        })
    }

    /// A node that runs and does not lead.
    pub fn follower(&self) -> usize {
        let leader = self.leader();
        let mut others = (0..self.nodes.len()).filter(|at| *at != leader);
        let follows = others.find(|at| self.nodes[*at].is_running());
        follows.expect("another node")
    }

    /// Waits until every node that runs is ready.
    pub fn until_ready(&mut self) {
        let running = self.nodes.iter_mut().filter(|node| node.is_running());
        running.for_each(Node::until_ready);
    }

    /// Who asks the nodes, each of them.
    pub fn callers(&self) -> Vec<Caller> {
        self.nodes.iter().map(Node::caller).collect()
    }

    /// What `/cluster` says at a node.
    pub fn told(&self, at: usize) -> Value {
        self.nodes[at].caller().must_get("/cluster").json()
    }

    /// Ends all nodes in good order, those that do not lead first.
    pub fn stop_nodes(&mut self) {
        let leader = self.leader();
        for at in (0..self.nodes.len()).filter(|at| *at != leader) {
            if self.nodes[at].is_running() {
                self.nodes[at].stop();
            }
        }
        self.nodes[leader].stop();
    }
}

impl Drop for ClusterProcesses {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(Node::kill);
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!(
                "what the nodes had and logged is in {}",
                folder.keep().display()
            );
        }
    }
}
