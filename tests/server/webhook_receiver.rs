//! Whoever is told by webhooks: an HTTP server on loopback that notes what it is sent.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use recant_receipt::WebhookPublicKey;
use serde_json::Value;

/// The states in their order.
pub const STATES: [&str; 4] = ["accepted", "erased", "forgotten", "certified"];

/// One request, whole.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The id of the erasure and the place of the state among [`STATES`].
    pub fn about(&self) -> (String, usize) {
        let body = self.json();
        let id = body["data"]["id"].as_str().expect("an id").to_owned();
        let status = body["data"]["status"].as_str().expect("a status");
        let state = STATES.iter().position(|it| *it == status);
        (id, state.unwrap_or_else(|| panic!("{status} is no state")))
    }

    pub fn header(&self, name: &str) -> &str {
        &self.headers[name]
    }

    /// Checks what a receiver checks, but for the time.
    pub fn check_signature(&self, key: &WebhookPublicKey) {
        let id = self.header("webhook-id");
        let timestamp = self.header("webhook-timestamp").parse().expect("seconds");
        let signature = self.header("webhook-signature");
        assert!(
            key.verifies(id, timestamp, &self.body, signature),
            "{self:?}"
        );
        let (erasure, state) = self.about();
        assert_eq!(id, format!("{erasure}_{}", STATES[state]));
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Status(u16),
    /// With another line of the head.
    StatusWith(u16, &'static str),
    /// The connection is closed without an answer.
    Cut,
}

type Decide = dyn FnMut(&Received) -> Reply + Send;

/// Listens until the process ends.
pub struct Receiver {
    pub address: String,
    received: Arc<Mutex<Vec<Received>>>,
    decide: Arc<Mutex<Box<Decide>>>,
}

impl Receiver {
    /// A receiver that answers as `decide` says.
    pub fn start(decide: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("bound").to_string(),
            received: Arc::default(),
            decide: Arc::new(Mutex::new(Box::new(decide))),
        };
        let (received, decide) = (Arc::clone(&receiver.received), Arc::clone(&receiver.decide));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (received, decide) = (Arc::clone(&received), Arc::clone(&decide));
                std::thread::spawn(move || serve(stream, &received, &decide));
            }
        });
        receiver
    }

    /// Answers otherwise from now on.
    pub fn decide(&self, decide: impl FnMut(&Received) -> Reply + Send + 'static) {
        *self.decide.lock().expect("whole") = Box::new(decide);
    }

    /// Everything that came, in the order in which it came.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("whole").clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.received.lock().expect("whole").len()
    }

    /// The states that came of each erasure, in the order in which they came.
    pub fn states(&self) -> BTreeMap<String, Vec<usize>> {
        let mut states: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for received in self.received() {
            let (id, state) = received.about();
            states.entry(id).or_default().push(state);
        }
        states
    }

    /// The section of a configuration that names it, with more lines.
    pub fn section(&self, name: &str, more: &str) -> String {
        format!(
            "[[webhooks]]\nname = \"{name}\"\nurl = \"http://{}/hooks/s3cret\"\nallow_internal = true\n\
             every_seconds = 1\nretry_seconds = [1]\ntimeout_seconds = 2\n{more}\n",
            self.address
        )
    }
}

fn serve(stream: TcpStream, received: &Mutex<Vec<Received>>, decide: &Mutex<Box<Decide>>) {
    let Some(request) = read(&stream) else { return };
    let reply = (decide.lock().expect("whole"))(&request);
    received.lock().expect("whole").push(request);
    let (status, line) = match reply {
        Reply::Status(status) => (status, ""),
        Reply::StatusWith(status, line) => (status, line),
        Reply::Cut => return,
    };
    let line = if line.is_empty() {
        String::new()
    } else {
        format!("{line}\r\n")
    };
    let head =
        format!("HTTP/1.1 {status} X\r\n{line}content-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever asked may have been killed.
    let _ = (&stream).write_all(head.as_bytes());
}

/// A whole request; `None` when the other side broke off.
fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        path,
        headers,
        body,
    })
}
