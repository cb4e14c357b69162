//! Three servers of the log and three nodes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use recant_cluster::Incarnation;
use recant_jetstream::testing::{NatsServers, wait_for};
use recant_jetstream::{Access, JetStreamLog, LogName, LogSettings, connect};
use recant_replication::EntryStore;
use tempfile::TempDir;
use uuid::Uuid;

use super::caller::Living;
use super::node::TestNode;
use super::test_store::TestStore;

pub struct Cluster<S: EntryStore> {
    pub nats: NatsServers,
    pub nodes: Vec<TestNode<S>>,
    pub living: Living<S>,
    _folder: TempDir,
}

impl<S: TestStore> Cluster<S> {
    /// A cluster of which nobody leads yet; nothing where there is no server of NATS.
    pub fn start() -> Option<Self> {
        let nats = NatsServers::start(3)?;
        let name = LogName::new("kills").expect("a name");
        let age = Duration::from_secs(3_600);
        let settings = LogSettings::new(name, 3, 64 << 20, age).expect("they go together");
        let folder = TempDir::new().expect("a folder");
        make_log(&nats, &settings);
        let nodes = ["a", "b", "c"].map(|name| {
            let path = folder.path().join(name);
            TestNode::new(name, path, nats.urls(), settings.clone(), [7; 32])
        });
        let mut cluster = Self {
            nats,
            nodes: nodes.into(),
            living: Living::<S>::default(),
            _folder: folder,
        };
        for node in 0..3 {
            cluster.start_node(node);
        }
        Some(cluster)
    }

    pub fn start_node(&mut self, node: usize) {
        self.nodes[node].start();
        self.tell();
    }

    pub fn kill_node(&mut self, node: usize) {
        // Callers look at no store whose life is over.
        self.nodes[node].kill();
        self.tell();
    }

    fn tell(&self) {
        let lives = self.nodes.iter().filter_map(|node| node.life.as_ref());
        let living = lives.map(|life| (life.replica.clone(), life.store.clone()));
        *self.living.lock().expect("no other holder panicked") = living.collect();
    }

    pub fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(|node| node.leads())
    }

    /// Waits until one leads and all may answer readers.
    pub fn wait_until_whole(&self) {
        wait_for("one leads and all may answer", || {
            let leaders = self.nodes.iter().filter(|node| node.leads());
            let is_whole = leaders.count() == 1 && self.nodes.iter().all(|node| node.may_answer());
            is_whole.then_some(())
        });
    }

    pub fn cut_off(&self, node: usize, is_cut_off: bool) {
        let cut = &self.nodes[node].is_cut_off;
        cut.store(is_cut_off, Ordering::SeqCst);
    }
}

fn make_log(nats: &NatsServers, settings: &LogSettings) {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let access = Access {
        urls: nats.urls(),
        ..Access::default()
    };
    runtime.block_on(async {
        let client = connect(&access).await.expect("servers are up");
        let incarnation = Incarnation(Uuid::new_v4());
        let made = JetStreamLog::init(client, settings, incarnation).await;
        made.expect("a new stream");
    });
}
