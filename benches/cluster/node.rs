//! One node: its process, its directory, its addresses.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::caller::Caller;
use crate::support::process::recant;

/// A node. What it keeps stays when it is killed; it is killed when dropped.
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub data: PathBuf,
    /// Where callers connect.
    pub address: SocketAddr,
    peers: SocketAddr,
    settings: Vec<(String, String)>,
    child: Option<Child>,
    is_suspended: bool,
}

impl Node {
    /// A node with its directory in a folder; it does not run yet. Without settings of a cluster it is single.
    pub fn new(folder: &Path, name: &str, settings: &[(String, String)]) -> Self {
        Self {
            name: name.to_owned(),
            data: folder.join(name),
            address: free_address(),
            peers: free_address(),
            settings: settings.to_vec(),
            child: None,
            is_suspended: false,
        }
    }

    /// A node of the same cluster, with a directory and addresses of its own.
    pub fn alike(&self, folder: &Path, name: &str) -> Self {
        Self::new(folder, name, &self.settings)
    }

    /// Where callers connect, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where other nodes connect, as a URL.
    pub fn peer_url(&self) -> String {
        format!("http://{}", self.peers)
    }

    /// A command of the program with the settings of this node.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = recant();
        command.args(arguments).arg("--data-dir").arg(&self.data);
        command.envs(self.settings.iter().cloned());
        command
    }

    /// Starts it, on what it kept.
    pub fn start(&mut self) {
        let log = self.data.with_extension("log");
        let log = File::options().create(true).append(true).open(log);
        let listen = self.address.to_string();
        let mut command = self.command(&["serve", "--listen", &listen]);
        if !self.settings.is_empty() {
            command.args(["--role", "candidate", "--node", &self.name]);
            command.env("RECANT__CLUSTER__LISTEN", self.peers.to_string());
        }
        let command = command
            .stdout(Stdio::null())
            .stderr(log.expect("a log of the node"));
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// Ends it as `kill -9` does, suspended or not.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.is_suspended = false;
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) {
        self.signal(Signal::TERM);
        if let Some(mut child) = self.child.take() {
            let ended = child.wait().expect("a process");
            assert!(ended.success(), "{} ended with {ended}", self.name);
        }
    }

    /// Stops it where it is: its connections stay open, and it says nothing.
    pub fn suspend(&mut self) {
        self.signal(Signal::STOP);
        self.is_suspended = true;
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        if self.is_suspended {
            self.signal(Signal::CONT);
        }
        self.is_suspended = false;
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("a node that runs");
        kill_process(pid, signal).expect("a signal");
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs, and is not suspended.
    pub fn is_up(&self) -> bool {
        self.child.is_some() && !self.is_suspended
    }

    /// Whether its process ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let status = self.child.as_mut().map(Child::try_wait);
        matches!(status, Some(Ok(Some(_))))
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.data.with_extension("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Whether it says that it takes requests.
    pub fn is_ready(&self) -> bool {
        let caller = Caller::quick();
        self.is_up()
            && (caller.get(&self.url(), "/readyz")).is_ok_and(|answer| answer.status == 200)
    }

    /// What it says of itself and of the others.
    pub fn status(&self) -> Option<Value> {
        if !self.is_up() {
            return None;
        }
        let answer = Caller::quick().get(&self.peer_url(), "/cluster/v1/status");
        serde_json::from_str(&answer.ok()?.body).ok()
    }

    /// Processor time that its process had so far, in seconds.
    pub fn processor_seconds(&self) -> f64 {
        let process = self.pid().unwrap_or_default();
        let schedule = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // In user code and in the kernel, in hundredths, after the name, which may hold anything.
        let fields = schedule.rsplit(')').next().unwrap_or_default();
        let fields: Vec<f64> = (fields.split_whitespace().skip(11).take(2))
            .filter_map(|field| field.parse().ok())
            .collect();
        fields.iter().sum::<f64>() / 100.0
    }

    /// Memory that it has now, in MiB.
    pub fn memory_mib(&self) -> f64 {
        self.pid().map_or(f64::NAN, memory_mib)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Memory that a process has now, in MiB.
pub fn memory_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// A free port of an address of this process's own: of 127.0.0.1 the kernel would lend the port to the next
/// connection while the node is down.
fn free_address() -> SocketAddr {
    let [_, high, middle, low] = id().to_be_bytes();
    let own = Ipv4Addr::new(127, 128 + high % 64, middle, low);
    // It stays bound to the end of this statement alone, but the kernel does not give it again soon.
    let free = TcpListener::bind((own, 0)).and_then(|it| it.local_addr());
    free.expect("a free port")
}
