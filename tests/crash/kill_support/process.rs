//! A server that is expected to die.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest that anything awaited may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test, or the one that `RECANT_BINARY` names.
pub fn recant() -> Command {
    let named = std::env::var_os("RECANT_BINARY");
    Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_recant").into()))
}

/// A running server. Dropping it kills it.
pub struct Process {
    child: Child,
    address: String,
    pub log: PathBuf,
}

/// Sends requests to one server; a server that is gone is no failure.
pub struct Caller {
    agent: ureq::Agent,
    address: String,
    /// The API key that it shows, if any.
    key: Option<String>,
}

/// An answer that came in whole.
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

impl Process {
    /// Starts a server on `data` with `environment`; `None` when it died before it listened.
    pub fn start(data: &Path, environment: &[(String, String)]) -> Option<Self> {
        Self::start_configured(data, environment, None)
    }

    /// The same, under the configuration file of this path.
    pub fn start_configured(
        data: &Path,
        environment: &[(String, String)],
        configuration: Option<&Path>,
    ) -> Option<Self> {
        let log = data.with_extension("log");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log);
        let mut command = recant();
        command.arg("serve").arg("--data-dir").arg(data);
        if let Some(path) = configuration {
            command.arg("--config").arg(path);
        }
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .env("RUST_BACKTRACE", "0")
            .envs(environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(file.expect("a log"))
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("a piped standard output");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let Some(line) = lines.find(|line| line.contains("http://")) else {
            child.wait().expect("a child");
            return None;
        };
        let address = line.split("http://").nth(1).expect("an address");
        let address = address.trim_end_matches('/').to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            address,
            log,
        })
    }

    /// Starts a server that is expected to become ready.
    pub fn start_ready(data: &Path, environment: &[(String, String)]) -> Self {
        let mut process = Self::start(data, environment).expect("it listens");
        let log = process.log.clone();
        if !process.is_ready() {
            let log = std::fs::read_to_string(log).expect("a log");
            let lines: Vec<&str> = log.lines().rev().take(5).collect();
            panic!("it died; the last lines of its log: {lines:#?}");
        }
        process
    }

    /// Waits until the server is ready; false when it died before.
    pub fn is_ready(&mut self) -> bool {
        let (caller, started) = (self.caller(), Instant::now());
        loop {
            if self.has_ended() {
                return false;
            }
            if caller
                .get("/readyz")
                .is_some_and(|answer| answer.status == 200)
            {
                return true;
            }
            assert!(started.elapsed() < PATIENCE, "see {}", self.log.display());
            std::thread::yield_now();
        }
    }

    pub fn caller(&self) -> Caller {
        self.caller_with(None)
    }

    /// A caller who shows `key`.
    pub fn caller_with(&self, key: Option<&str>) -> Caller {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .build();
        Caller {
            agent: agent.into(),
            address: self.address.clone(),
            key: key.map(|key| format!("Bearer {key}")),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Ends the process without warning.
    pub fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().expect("a child")
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("running");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}; see {}", self.log.display());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Caller {
    /// Sends a request; `None` when no whole answer came.
    pub fn send(&self, method: &str, path: &str, body: Option<String>) -> Option<Answer> {
        self.send_under(method, path, body, None)
    }

    /// The same, with an idempotency key if one is given.
    pub fn send_under(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        idempotency_key: Option<&str>,
    ) -> Option<Answer> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("prefer", "wait=0")
            .header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", key);
        }
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent.ok()?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().ok()?;
        Some(Answer { status, text })
    }

    pub fn get(&self, path: &str) -> Option<Answer> {
        self.send("GET", path, None)
    }

    /// A GET that must be answered 200.
    pub fn must_get(&self, path: &str) -> Answer {
        let answer = self.get(path).expect("the server runs");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer
    }

    /// Waits until everything that was accepted so far is forgotten and learnt.
    pub fn settle(&self) {
        self.settle_as(&["forgotten", "certified"]);
    }

    /// Waits until an erasure that is requested now is in one of `states`.
    pub fn settle_as(&self, states: &[&str]) {
        let nobody = "/interactions?user=nobody-at-all";
        let answer = self.send("DELETE", nobody, None).expect("the server runs");
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        let started = Instant::now();
        loop {
            let erasure = self.must_get(&format!("/erasures/{id}")).json();
            if states.contains(&erasure["status"].as_str().expect("a text")) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "not {states:?} in time");
            std::thread::yield_now();
        }
    }
}
