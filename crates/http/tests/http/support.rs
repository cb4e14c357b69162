//! A server on a real socket, and callers that may behave badly.
//!
//! The server has no service yet, as in the first moments of its life: what needs none is answered
//! in full, and a well-formed request for the rest is answered 503 with the code `starting`.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use recant_http::Settings;
use recant_http::install_exporter;
use recant_http::{ApiKeys, AppState, ServeError, Server, router};
use tokio::sync::oneshot;

/// Longest wait for anything a test expects to happen; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; dropping it stops it and waits for its end.
pub struct TestServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl TestServer {
    /// Starts a server with the defaults on a free port.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts a server with changed settings on a free port.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        settings.server.listen = String::from("127.0.0.1:0");
        change(&mut settings);
        settings.check().expect("good settings");
        let exporter = install_exporter().expect("the only recorder");
        let keys = ApiKeys::open(&settings).expect("a good file of keys");
        let server = Server::bind(&settings, &keys).expect("a free port");
        let address = server.address();
        let router = router(AppState::new(exporter), &settings, &keys);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.spawn(keys.watch());
            runtime.block_on(server.run(router, async {
                let _ = stopped.await;
            }))
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the server accepts")
    }

    /// Sends one request on a connection of its own.
    pub fn call(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.send(method, target, headers, body);
        connection.answer()
    }

    /// GET without any header.
    pub fn get(&self, target: &str) -> Answer {
        self.call("GET", target, &[], b"")
    }

    /// A request with a JSON body.
    pub fn json(&self, method: &str, target: &str, body: &str) -> Answer {
        let headers = ["Content-Type: application/json"];
        self.call(method, target, &headers, body.as_bytes())
    }

    /// Whether a new connection is refused.
    pub fn refuses_connections(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    /// Tells the server to stop; does not wait.
    pub fn signal(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits for the end of a server that was signalled.
    pub fn wait(mut self) -> Result<(), ServeError> {
        self.signal();
        let thread = self.thread.take().expect("waited for once");
        thread.join().expect("the server does not panic")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                assert!(matches!(ended, Ok(Ok(()))), "the server ended badly");
            }
        }
    }
}

/// One connection, byte by byte.
pub struct Connection {
    reader: BufReader<TcpStream>,
    /// The last request was a HEAD: its answer has a length and no body.
    asked_for_head: bool,
}

impl Connection {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            reader: BufReader::new(stream),
            asked_for_head: false,
        })
    }

    /// Writes raw bytes. An error is left for the reading side to show.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Sends a whole request.
    pub fn send(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        self.send_head(method, target, headers, body.len());
        self.write(body);
    }

    /// Sends the head of a request that promises `length` bytes of body.
    pub fn send_head(&mut self, method: &str, target: &str, headers: &[&str], length: usize) {
        self.asked_for_head = method == "HEAD";
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            head.push_str("Host: localhost\r\n");
        }
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
        self.write(head.as_bytes());
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> Answer {
        let status_line = self.line();
        let status = status_line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        let length = answer.header("content-length").and_then(|n| n.parse().ok());
        let has_body = status != 304 && !self.asked_for_head;
        let length: usize = if has_body {
            length.expect("answers in these tests have a length")
        } else {
            0
        };
        answer.body = vec![0; length];
        let read = self.reader.read_exact(&mut answer.body);
        read.expect("the whole body");
        answer
    }

    /// Reads as many bytes as `bytes` has.
    pub fn read_exact(&mut self, bytes: &mut [u8]) {
        self.reader.read_exact(bytes).expect("so many bytes");
    }

    /// Waits until the server closes the connection; returns what it sent before.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the server did not close the connection: {error}"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The code of a problem, after checking that it is one in every respect.
    pub fn problem_code(&self) -> String {
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        for field in ["type", "title", "code", "detail"] {
            let text = body[field].as_str();
            assert!(text.is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
        let code = body["code"].as_str().expect("checked above");
        assert_eq!(body["type"], format!("urn:recant:problem:{code}"));
        code.to_owned()
    }
}
