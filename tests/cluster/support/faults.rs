//! What is done to a cluster.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use recant_store::FAILPOINTS;
use rustix::process::Signal;

use super::cluster::ClusterProcesses;

/// Windows that a node of a cluster comes by under load.
const WINDOWS: [&str; 12] = [
    "accept_before_apply",
    "accept_after_apply",
    "accept_after_database_sync",
    "accept_after_ring_write",
    "accept_after_ring_sync",
    "commit_after_apply",
    "commit_after_database_sync",
    "commit_after_ring_write",
    "publish_before_commit",
    "publish_after_commit",
    "publish_after_swap",
    "erase_after_commit",
];

/// What the log is called.
const STREAM: &str = "RECANT_recant";

/// Bytes of a file on a disk that is full: less than any file has that a node writes to.
const FULL: u64 = 4_096;

/// Longest that a node which is to end in a window is waited for.
const WINDOW: Duration = Duration::from_secs(4);

/// One fault, and its mending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node is killed.
    KillNode,
    /// The one that leads is.
    KillLeader,
    /// A node ends in good order.
    EndNode,
    /// The one that leads does.
    EndLeader,
    /// A node stands still.
    SuspendNode,
    /// The one that leads does.
    SuspendLeader,
    /// A node ends in a window.
    CrashNode,
    /// A node loses its disk.
    WipeNode,
    /// A server of the log is killed.
    KillServer,
    /// All of them are.
    KillServers,
    /// One stands still.
    SuspendServer,
    /// One gets back an older copy of its disk.
    AgeServer,
    /// The disk of a node is full for a while.
    FillDisk,
    /// That of the one that leads is.
    FillLeadersDisk,
    /// A node that there was not yet joins.
    Join,
}

/// Each of them.
pub const FAULTS: [Fault; 15] = [
    Fault::KillNode,
    Fault::KillLeader,
    Fault::EndNode,
    Fault::EndLeader,
    Fault::SuspendNode,
    Fault::SuspendLeader,
    Fault::CrashNode,
    Fault::WipeNode,
    Fault::KillServer,
    Fault::KillServers,
    Fault::SuspendServer,
    Fault::AgeServer,
    Fault::FillDisk,
    Fault::FillLeadersDisk,
    Fault::Join,
];

/// So many faults, each kind as often as any other.
pub fn plan(count: usize, random: &mut ChaCha8Rng) -> Vec<Fault> {
    let mut planned = Vec::new();
    while planned.len() < count {
        let mut round = FAULTS;
        round.shuffle(random);
        planned.extend(round);
    }
    planned.truncate(count);
    planned
}

impl ClusterProcesses {
    /// Commits a fault, and mends what it broke. Nodes are ready some time later.
    pub fn suffer(&mut self, fault: Fault, random: &mut ChaCha8Rng) {
        match fault {
            Fault::KillNode => self.kill(self.any(random), random),
            Fault::KillLeader => self.kill(self.leader(), random),
            Fault::EndNode => self.end(self.any(random)),
            Fault::EndLeader => self.end(self.leader()),
            Fault::SuspendNode => self.suspend(self.any(random), random),
            Fault::SuspendLeader => self.suspend(self.leader(), random),
            Fault::CrashNode => self.crash(self.any(random), random),
            Fault::WipeNode => self.lose_disk(random),
            Fault::KillServer => {
                let at = random.random_range(0..self.nats.count());
                self.nats.server(at).kill();
                pause(random, 2_000);
                self.nats.server(at).start();
            }
            Fault::KillServers => {
                self.nats.kill_all();
                pause(random, 1_000);
                self.nats.start_again();
            }
            Fault::SuspendServer => {
                let at = random.random_range(0..self.nats.count());
                self.nats.server(at).suspend();
                pause(random, 3_000);
                self.nats.server(at).resume();
            }
            Fault::AgeServer => {
                let at = random.random_range(0..self.nats.count());
                self.age_server(at, random);
            }
            Fault::FillDisk => self.fill_disk(self.any(random), random),
            Fault::FillLeadersDisk => self.fill_disk(self.leader(), random),
            Fault::Join => {
                let waits = self.nodes.iter_mut().find(|node| !node.is_running());
                if let Some(node) = waits {
                    node.start();
                }
            }
        }
    }

    /// A node that runs.
    fn any(&self, random: &mut ChaCha8Rng) -> usize {
        let running = (0..self.nodes.len()).filter(|at| self.nodes[*at].is_running());
        let running: Vec<usize> = running.collect();
        *running.choose(random).expect("a node that runs")
    }

    fn kill(&mut self, at: usize, random: &mut ChaCha8Rng) {
        self.nodes[at].kill();
        pause(random, 1_000);
        self.nodes[at].start();
    }

    fn end(&mut self, at: usize) {
        self.nodes[at].stop();
        self.nodes[at].start();
    }

    fn suspend(&mut self, at: usize, random: &mut ChaCha8Rng) {
        self.nodes[at].signal(Signal::STOP);
        pause(random, 7_000);
        self.nodes[at].signal(Signal::CONT);
    }

    /// Takes a copy of a server's disk, lets it go on for a while, and puts the copy back. The other two have what it
    /// lost, and are left alone until it has that again: an engine whose servers lie about what they have on
    /// two disks of three promises nothing.
    fn age_server(&mut self, at: usize, random: &mut ChaCha8Rng) {
        self.nats.wait_until_ready();
        self.nats.server(at).kill();
        let copy = self.nats.server(at).copy_store();
        self.nats.server(at).start();
        self.nats.wait_until_ready();
        pause(random, 2_000);
        self.nats.server(at).kill();
        self.nats.leader_of(STREAM);
        self.nats.server(at).put_back(&copy);
        self.nats.server(at).start();
        self.nats.wait_until_ready();
    }

    /// Files of a node grow no more, which fails in the same places as a full disk.
    fn fill_disk(&mut self, at: usize, random: &mut ChaCha8Rng) {
        self.nodes[at].limit_files(Some(FULL));
        pause(random, 4_000);
        self.nodes[at].limit_files(None);
    }

    /// Starts a node anew so that it ends in a window, if it comes by.
    fn crash(&mut self, at: usize, random: &mut ChaCha8Rng) {
        let window = *WINDOWS.choose(random).expect("one of several");
        assert!(FAILPOINTS.contains(&window), "{window}");
        let node = &mut self.nodes[at];
        node.kill();
        node.start_armed(Some(&format!("{window}:{}", random.random_range(1..4))));
        let began = Instant::now();
        while !node.has_ended() && began.elapsed() < WINDOW {
            sleep(Duration::from_millis(10));
        }
        node.kill();
        node.start();
    }

    /// Only while all others have what it had.
    fn lose_disk(&mut self, random: &mut ChaCha8Rng) {
        self.until_ready();
        let at = self.any(random);
        self.nodes[at].kill();
        self.lost_disks.insert(self.nodes[at].name.clone());
        self.nodes[at].wipe();
        self.nodes[at].start();
    }
}

fn pause(random: &mut ChaCha8Rng, most: u64) {
    sleep(Duration::from_millis(random.random_range(0..most)));
}
