//! Requests to a node that may be gone, and commands.

use std::io::ErrorKind;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest that anything awaited may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Longest that one request may take: longer than a node holds it while nobody leads.
const REQUEST: Duration = Duration::from_secs(20);

/// Codes of answers that say that nothing was done.
const NOTHING_DONE: [&str; 3] = ["no_leader", "not_current", "starting"];

/// The binary under test, or the one that `RECANT_BINARY` names.
pub fn recant() -> Command {
    let named = std::env::var_os("RECANT_BINARY");
    let mut command = Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_recant").into()));
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(20));
    }
}

/// Runs a command to its end; panics with what it said if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that is to fail, and returns what it said.
pub fn refused(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    assert!(!output.status.success(), "{command:?}: {}", said(&output));
    said(&output)
}

/// All that a command said.
pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Sends requests to one node.
#[derive(Clone)]
pub struct Caller {
    agent: ureq::Agent,
    address: String,
}

/// An answer that came in whole.
pub struct Answer {
    pub status: u16,
    pub text: String,
}

/// What became of a request.
pub enum Sent {
    /// It was answered, and not with 503.
    Answered(Answer),
    /// Nothing was done.
    NotDone,
    /// It may have been done, or may be yet.
    Open,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

impl Caller {
    /// A caller of the node that listens there.
    pub fn of(address: &str) -> Self {
        // A connection for each request: one that was kept would end with its node, and nobody could tell
        // whether the request had been read.
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_idle_connections(0)
            .timeout_global(Some(REQUEST))
            .build();
        Self {
            agent: agent.into(),
            address: address.to_owned(),
        }
    }

    /// Sends a request, with an idempotency key if one is given, and says what became of it.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        idempotency_key: Option<&str>,
    ) -> Sent {
        match self.answer(method, path, body, idempotency_key) {
            Ok(answer) if answer.status == 503 => {
                let code = answer.json()["code"].as_str().map(str::to_owned);
                if code.is_some_and(|code| NOTHING_DONE.contains(&code.as_str())) {
                    Sent::NotDone
                } else {
                    Sent::Open
                }
            }
            Ok(answer) => Sent::Answered(answer),
            Err(ureq::Error::ConnectionFailed) => Sent::NotDone,
            Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                Sent::NotDone
            }
            Err(_) => Sent::Open,
        }
    }

    fn answer(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("prefer", "wait=0")
            .header("content-type", "application/json");
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        Ok(Answer { status, text })
    }

    /// A question; `None` when no whole answer came.
    pub fn get(&self, path: &str) -> Option<Answer> {
        self.answer("GET", path, None, None).ok()
    }

    /// A question that must be answered 200, once the nodes agree on who answers it.
    pub fn must_get(&self, path: &str) -> Answer {
        self.must("GET", path, None, 200)
    }

    /// A request that must come to this status, and is sent again while the nodes change who leads.
    pub fn must(&self, method: &str, path: &str, body: Option<&Value>, status: u16) -> Answer {
        self.must_one_of(method, path, body, &[status])
    }

    fn must_one_of(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        statuses: &[u16],
    ) -> Answer {
        let began = Instant::now();
        loop {
            let body = body.map(Value::to_string);
            let last = match self.answer(method, path, body, None) {
                Ok(answer) if statuses.contains(&answer.status) => return answer,
                Ok(answer) if answer.status != 503 => {
                    panic!("{method} {path}: {} {}", answer.status, answer.text)
                }
                Ok(answer) => answer.text,
                Err(error) => error.to_string(),
            };
            assert!(began.elapsed() < PATIENCE, "{method} {path}: {last}");
            std::thread::yield_now();
        }
    }

    /// What `/readyz` says, with its status.
    pub fn readyz(&self) -> Option<(u16, Value)> {
        let answer = self.get("/readyz")?;
        Some((answer.status, answer.json()))
    }

    /// Whether the node takes requests.
    pub fn is_ready(&self) -> bool {
        self.readyz().is_some_and(|(status, _)| status == 200)
    }

    /// Waits until an erasure is in one of these states, and returns it.
    pub fn until_erasure(&self, id: &str, states: &[&str]) -> Value {
        let began = Instant::now();
        loop {
            let erasure = self.must_get(&format!("/erasures/{id}")).json();
            if states.contains(&erasure["status"].as_str().expect("a text")) {
                return erasure;
            }
            assert!(began.elapsed() < PATIENCE, "not {states:?}: {erasure}");
            std::thread::yield_now();
        }
    }

    /// Erases what a query names; its id, once it was accepted.
    pub fn erase(&self, query: &str) -> String {
        let path = format!("/interactions?{query}");
        // 200 where all have forgotten it before it could be answered.
        let answer = self.must_one_of("DELETE", &path, None, &[200, 202]);
        let answer = answer.json();
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until everything that was accepted so far is forgotten.
    pub fn settle(&self) {
        let id = self.erase("user=nobody-at-all");
        self.until_erasure(&id, &["forgotten", "certified"]);
    }
}
