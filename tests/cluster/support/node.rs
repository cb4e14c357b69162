//! One node: its process, its directory, its addresses.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio, id};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use recant_testkit::shell::through_shell;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use super::process::{Caller, PATIENCE, recant};

/// What the environment of a process gets beside the rest.
pub type Environment = Vec<(String, String)>;

/// A node of a cluster. Dropping it kills it.
pub struct Node {
    pub name: String,
    pub data: PathBuf,
    pub log: PathBuf,
    pub role: &'static str,
    /// Where callers connect.
    pub address: SocketAddr,
    /// Where other nodes and operators do.
    pub peer_address: SocketAddr,
    environment: Environment,
    child: Option<Child>,
}

/// A free port of this process's own address, which no other was given: of 127.0.0.1 the kernel would lend it
/// to the next connection while its node is down.
pub fn free_address() -> SocketAddr {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let [_, high, middle, low] = id().to_be_bytes();
    let own = IpAddr::V4(Ipv4Addr::new(127, 128 + high % 64, middle, low));
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let free = TcpListener::bind((own, 0)).expect("a free port");
        let address = free.local_addr().expect("an address");
        if given.insert(address.port()) {
            return address;
        }
    }
}

/// Ignores the signal that announces a limit of files: it would end the process, and without it a write fails
/// as on a full disk.
const DEAF_TO_LIMITS: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

impl Node {
    /// A node that does not run yet.
    pub fn new(folder: &Path, name: &str, environment: &Environment) -> Self {
        let peer_address = free_address();
        let mut environment = environment.clone();
        let listen = String::from("RECANT__CLUSTER__LISTEN");
        environment.push((listen, peer_address.to_string()));
        environment.push((String::from("RECANT__CLUSTER__NODE"), name.to_owned()));
        Self {
            name: name.to_owned(),
            data: folder.join(name),
            log: folder.join(format!("{name}.log")),
            role: "candidate",
            address: free_address(),
            peer_address,
            environment,
            child: None,
        }
    }

    /// Sets a variable of its environment, for later starts.
    pub fn set(&mut self, variable: &str, value: &str) {
        let entry = (variable.to_owned(), value.to_owned());
        self.environment.push(entry);
    }

    /// A command with the settings of this node.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = recant();
        command.args(arguments).envs(self.environment.clone());
        command
    }

    /// The same, on its directory.
    pub fn command_on_data(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.arg("--data-dir").arg(&self.data);
        command
    }

    /// Starts it.
    pub fn start(&mut self) {
        self.start_armed(None);
    }

    /// A command for the cluster, by way of this node.
    pub fn order(&self, arguments: &[&str]) -> Command {
        let url = format!("http://{}", self.peer_address);
        let mut command = self.command(&["cluster"]);
        command.args(arguments).args(["--url", &url]);
        command
    }

    /// Starts it, to end in a failpoint.
    pub fn start_armed(&mut self, failpoint: Option<&str>) {
        assert!(self.child.is_none(), "{} runs", self.name);
        let log = File::options().create(true).append(true).open(&self.log);
        let mut command = self.command_on_data(&["serve", "--role", self.role]);
        if let Some(place) = failpoint {
            command.env("RECANT_CRASH_AT", place);
        }
        command.args(["--node", &self.name, "--listen", &self.address.to_string()]);
        let child = through_shell(&command, DEAF_TO_LIMITS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("a node");
        self.child = Some(child);
    }

    /// Who asks it.
    pub fn caller(&self) -> Caller {
        Caller::of(&self.address.to_string())
    }

    /// Whether there is a process.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Whether its process ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let status = self.child.as_mut().map(Child::try_wait);
        matches!(status, Some(Ok(Some(_))))
    }

    /// Waits until its process ends by itself.
    pub fn until_ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        while !self.has_ended() {
            let log = self.last_words();
            assert!(began.elapsed() < PATIENCE, "{} runs on: {log}", self.name);
            std::thread::yield_now();
        }
        let mut child = self.child.take().expect("a process");
        child.wait().expect("a child")
    }

    /// Ends it as `kill -9` does, stopped or not.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a node that runs");
        kill_process(Pid::from_child(child), signal).expect("a signal");
    }

    /// Lets no file of it grow beyond so many bytes, or as far as this process's may.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let child = self.child.as_ref().expect("a node that runs");
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit {
            current: bytes.or(maximum),
            maximum,
        };
        prlimit(Some(Pid::from_child(child)), Resource::Fsize, limit).expect("a soft limit");
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.until_ended();
        assert!(status.success(), "{status}: {}", self.last_words());
    }

    /// Takes away all that it has on its disk.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        let gone = fs::remove_dir_all(&self.data);
        assert!(gone.is_ok() || !self.data.exists(), "{gone:?}");
    }

    /// Waits until it is ready.
    pub fn until_ready(&mut self) {
        let (caller, began) = (self.caller(), Instant::now());
        while !caller.is_ready() {
            assert!(
                !self.has_ended(),
                "{} ended: {}",
                self.name,
                self.last_words()
            );
            if began.elapsed() > PATIENCE {
                let readyz = caller.readyz();
                panic!("{}: {readyz:?}; {}", self.name, self.last_words());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits until `/readyz` gives one of these reasons for not being ready.
    pub fn until_waits_for(&mut self, reasons: &[&str]) {
        let (caller, began) = (self.caller(), Instant::now());
        loop {
            let readyz = caller.readyz();
            let why = readyz.as_ref().and_then(|(_, said)| said["why"].as_str());
            if why.is_some_and(|why| reasons.contains(&why)) {
                return;
            }
            assert!(
                !self.has_ended(),
                "{} ended: {}",
                self.name,
                self.last_words()
            );
            assert!(began.elapsed() < PATIENCE, "not {reasons:?}: {readyz:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The end of its log, for a test that failed.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// What it logged.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
