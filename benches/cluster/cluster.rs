//! Three servers of NATS and three nodes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use recant_jetstream::testing::{NatsServers, wait_for};
use tempfile::TempDir;

use crate::caller::Caller;
use crate::data::run;
use crate::node::{Node, memory_mib};

/// The stream with the log.
const STREAM: &str = "RECANT_recant";

/// A cluster at work. It ends when dropped, the nodes first.
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// A node that is single, on a copy of the first one's data; it does not run.
    pub single: Node,
    /// The servers of the log.
    pub nats: NatsServers,
    folder: TempDir,
}

impl Cluster {
    /// Makes a cluster of the directory `data` in a folder, or of nothing where there is no server of NATS.
    pub fn start(folder: TempDir) -> Option<Self> {
        let nats = NatsServers::start(3)?;
        let settings: Vec<_> = [
            ("NATS_URL", nats.urls()),
            ("MONITOR_URLS", nats.monitor_urls().join(",")),
            ("LOG_BYTES_MAX", (512 << 20).to_string()),
        ]
        .map(|(name, value)| (format!("RECANT__CLUSTER__{name}"), value))
        .into();
        let path = folder.path();
        let nodes: Vec<_> = ["a", "b", "c"]
            .map(|name| Node::new(path, name, &settings))
            .into();
        let single = Node::new(path, "single", &[]);
        copy(&path.join("data"), &single.data);
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing of a benchmark has to survive"
        )]
        fs::rename(path.join("data"), &nodes[0].data).expect("the data");
        run(&mut nodes[0].command(&["cluster", "init", "--from-data"]));
        let mut cluster = Self {
            nodes,
            single,
            nats,
            folder,
        };
        for at in 0..3 {
            cluster.nodes[at].start();
        }
        cluster.until_ready();
        Some(cluster)
    }

    /// Another node, on an empty directory; it does not run yet.
    pub fn another(&self, name: &str) -> Node {
        self.nodes[0].alike(self.folder.path(), name)
    }

    /// Waits until all nodes take requests, and one of them leads.
    pub fn until_ready(&mut self) {
        let nodes = &mut self.nodes;
        wait_for("all nodes to be ready", || {
            for node in nodes.iter_mut() {
                let ended = node.has_ended();
                assert!(!ended, "{} ended: {}", node.name, node.last_words());
            }
            nodes.iter().all(Node::is_ready).then_some(())
        });
        self.leader();
    }

    /// Which node leads, as those that are up say.
    pub fn leader(&self) -> usize {
        wait_for("a leader", || {
            let status: Vec<_> = self.nodes.iter().filter_map(Node::status).collect();
            let newest = status.iter().max_by_key(|it| it["term"].as_u64())?;
            let name = newest["leader"].as_str()?;
            let at = self.nodes.iter().position(|it| it.name == name)?;
            self.nodes[at].is_up().then_some(at)
        })
    }

    /// Which server leads the log.
    pub fn log_leader(&self) -> usize {
        self.nats.leader_of(STREAM)
    }

    /// A node that does not lead.
    pub fn follower(&self) -> usize {
        (self.leader() + 1) % 3
    }

    /// Where callers connect, of the nodes that are up.
    pub fn urls(&self) -> Vec<String> {
        let up = self.nodes.iter().filter(|node| node.is_up());
        up.map(Node::url).collect()
    }

    /// Bytes that the log has, as one of its servers says.
    pub fn log_bytes(&self) -> Option<u64> {
        let caller = Caller::patient(Duration::from_secs(5));
        let url = self.nats.monitor_urls().swap_remove(self.log_leader());
        let page = caller.get(&url, "/jsz?streams=true").ok()?;
        let page: serde_json::Value = serde_json::from_str(&page.body).ok()?;
        let accounts = page["account_details"].as_array()?;
        let streams = accounts
            .iter()
            .filter_map(|it| it["stream_detail"].as_array());
        let log = streams.flatten().find(|it| it["name"] == STREAM)?;
        log["state"]["bytes"].as_u64()
    }

    /// Memory of all processes in MiB, the nodes first.
    pub fn memory(&mut self) -> Vec<f64> {
        let mut memory: Vec<_> = self.nodes.iter().map(Node::memory_mib).collect();
        for at in 0..self.nats.count() {
            let pid = self.nats.server(at).pid();
            memory.push(pid.map_or(f64::NAN, memory_mib));
        }
        memory
    }

    /// Tells the memory of all processes, and how long the log is.
    pub fn tell_sizes(&mut self) {
        let memory = self.memory().into_iter().map(|mib| format!("{mib:.0}"));
        let memory: Vec<_> = memory.collect();
        let log = self.log_bytes().unwrap_or_default();
        println!(
            "memory in MiB: nodes {}, servers of the log {}; log: {} kB",
            memory[..3].join(" "),
            memory[3..].join(" "),
            log / 1000
        );
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                eprintln!("--- {}:\n{}", node.name, node.last_words());
            }
        }
        self.nodes.clear();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room for a copy");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("room for a copy");
        }
    }
}
