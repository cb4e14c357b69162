//! One nats-server: its process, its folder, its addresses.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::StoreCopy;

/// One server. What it keeps stays when it is killed.
pub struct NatsServer {
    binary: PathBuf,
    folder: PathBuf,
    name: String,
    addresses: Addresses,
    child: Option<Child>,
    is_suspended: bool,
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) clients: SocketAddr,
    pub(super) monitor: SocketAddr,
    pub(super) routes: SocketAddr,
}

impl Addresses {
    /// Free ports, of the kernel's choice. The address is this process's own: of 127.0.0.1 the kernel
    /// would lend a port to the next connection while its server is down.
    pub(super) fn free() -> Self {
        let [_, high, middle, low] = id().to_be_bytes();
        let own = Ipv4Addr::new(127, 64 + high % 64, middle, low);
        let [clients, monitor, routes] = [(); 3].map(|()| {
            let port = port_of_its_own(own);
            SocketAddr::new(IpAddr::V4(own), port)
        });
        Self {
            clients,
            monitor,
            routes,
        }
    }
}

/// A free port of this process's address that no server of this process was given before: until that one
/// listens, the kernel would give it again.
fn port_of_its_own(own: Ipv4Addr) -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let free = TcpListener::bind((own, 0)).expect("a free port");
        let port = free.local_addr().expect("a port").port();
        if given.insert(port) {
            return port;
        }
    }
}

impl NatsServer {
    pub(super) fn new(binary: &Path, folder: &Path, name: &str, addresses: Addresses) -> Self {
        fs::create_dir_all(folder.join("store")).expect("a folder for the server");
        Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            name: name.to_owned(),
            addresses,
            child: None,
            is_suspended: false,
        }
    }

    /// Says how it is to run; `section` is added for `jetstream`, `rest` at the end.
    pub(super) fn configure(&self, section: &str, rest: &str) {
        let Addresses {
            clients, monitor, ..
        } = self.addresses;
        let (name, store) = (&self.name, self.store());
        let text = format!(
            "server_name: {name}\nlisten: \"{clients}\"\nhttp: \"{monitor}\"\n\
             jetstream {{ store_dir: {store:?}, max_file_store: 1GB, {section} }}\n{rest}\n"
        );
        fs::write(self.folder.join("server.conf"), text).expect("the configuration");
    }

    /// The name it has among the others.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://{}", self.addresses.clients)
    }

    /// Where clients connect, for a proxy.
    pub fn address(&self) -> SocketAddr {
        self.addresses.clients
    }

    /// Where it tells of itself.
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.addresses.monitor)
    }

    /// The process, for whoever watches it.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs, and is not suspended.
    pub fn is_up(&self) -> bool {
        self.child.is_some() && !self.is_suspended
    }

    /// Starts it, on what it kept.
    pub fn start(&mut self) {
        let path = self.folder.join("log");
        let log = File::options().create(true).append(true).open(path);
        let log = log.expect("a log");
        let child = Command::new(&self.binary)
            .arg("--config")
            .arg(self.folder.join("server.conf"))
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a server");
        self.child = Some(child);
    }

    /// Ends it as `kill -9` does, suspended or not.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.is_suspended = false;
    }

    /// Stops it where it is, as `kill -STOP` does: its connections stay open, and it says nothing.
    pub fn suspend(&mut self) {
        self.signal(Signal::STOP);
        self.is_suspended = true;
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.is_suspended = false;
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("a server that runs");
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("a signal");
    }

    /// A copy of what it has on its disk. It must not run.
    pub fn copy_store(&self) -> StoreCopy {
        assert!(self.child.is_none(), "{} runs", self.name);
        StoreCopy::of(&self.store())
    }

    /// Puts back what it once had. It must not run.
    pub fn put_back(&self, copy: &StoreCopy) {
        assert!(self.child.is_none(), "{} runs", self.name);
        copy.put_back(&self.store());
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// What its monitoring port says, if it is up and says something.
    pub(super) fn told(&self, page: &str) -> Option<Value> {
        if !self.is_up() {
            return None;
        }
        let request = ureq::get(format!("{}/{page}", self.monitor_url())).config();
        let request = request.timeout_global(Some(Duration::from_secs(1))).build();
        let text = request.call().ok()?.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The end of its log, for a test that failed.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Whether its process ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        let status = self.child.as_mut().map(Child::try_wait);
        matches!(status, Some(Ok(Some(_))))
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
