//! A server on a real socket, and callers that may behave badly.
//!
//! The server has no service yet, as in the first moments of its life: what needs none is answered
//! in full, and a well-formed request for the rest is answered 503 with the code `starting`.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use rcgen::KeyPair;
use recant_http::install_exporter;
use recant_http::{ApiKeys, AppState, Membership, ServeError, Server, TlsIdentity};
use recant_http::{ServerSettings, Settings, forwarded_router, router};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Longest wait for anything a test expects to happen; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate of `localhost` that signed itself, and its key.
pub struct Certified {
    pub certificate: rcgen::Certificate,
    pub key: KeyPair,
}

impl Certified {
    /// Another one each time.
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([String::from("localhost")]);
        let rcgen::CertifiedKey { cert, signing_key } = made.expect("a certificate");
        Self {
            certificate: cert,
            key: signing_key,
        }
    }

    /// A client that believes this one and nobody else.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let own = self.certificate.der().clone();
        roots.add(own).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.expect("two versions").with_root_certificates(roots);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// The files of a server's certificate, and a client that believes it.
pub struct Tls {
    folder: TempDir,
    client: Arc<ClientConfig>,
}

impl Tls {
    fn new() -> Self {
        let certified = Certified::new();
        let tls = Self {
            folder: tempfile::tempdir().expect("a folder"),
            client: certified.client(),
        };
        tls.write(&certified.certificate.pem(), &certified.key.serialize_pem());
        tls
    }

    fn files(&self) -> [PathBuf; 2] {
        ["chain.pem", "key.pem"].map(|name| self.folder.path().join(name))
    }

    /// Puts other texts into the files.
    pub fn write(&self, certificate: &str, key: &str) {
        let files = self.files();
        fs::write(&files[0], certificate).expect("written");
        fs::write(&files[1], key).expect("written");
    }

    fn set(&self, settings: &mut ServerSettings) {
        [settings.tls_certificate, settings.tls_key] = self.files();
    }
}

/// A running server; dropping it stops it and waits for its end.
pub struct TestServer {
    pub tls: Option<Tls>,
    pub identity: Option<TlsIdentity>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<Running>,
}

impl TestServer {
    /// Starts a server with the defaults on a free port.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// Starts a server with changed settings on a free port.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(None, change)
    }

    /// The same behind TLS: connections are made by TLS too.
    pub fn behind_tls(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(Some(Tls::new()), change)
    }

    /// One without TLS and one with it, for what holds for both.
    pub fn both(change: impl Fn(&mut Settings)) -> [Self; 2] {
        [Self::with(&change), Self::behind_tls(&change)]
    }

    fn over(tls: Option<Tls>, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        settings.server.listen = String::from("127.0.0.1:0");
        if let Some(tls) = &tls {
            tls.set(&mut settings.server);
        }
        change(&mut settings);
        settings.check().expect("good settings");
        let exporter = install_exporter().expect("the only recorder");
        let keys = ApiKeys::open(&settings).expect("a good file of keys");
        let server = Server::bind(&settings, &keys).expect("a free port");
        let address = server.address();
        let identity = server.tls_identity();
        let router = router(AppState::new(exporter), &settings, &keys);
        let (stop, thread) = run(server, router, keys);
        Self {
            tls,
            identity,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Starts a node among several, with an address for callers and one for other nodes.
    pub fn node(membership: Arc<dyn Membership>, change: impl FnOnce(&mut Settings)) -> [Self; 2] {
        let mut settings = Settings::default();
        settings.server.listen = String::from("127.0.0.1:0");
        change(&mut settings);
        settings.check().expect("good settings");
        let exporter = install_exporter().expect("the only recorder");
        let keys = ApiKeys::open(&settings).expect("a good file of keys");
        let state = AppState::new(exporter).with_membership(membership);
        let forwarded = forwarded_router(state.clone(), &settings, &keys).expect("a node");
        [router(state, &settings, &keys), forwarded].map(|router| Self::of(router, &keys))
    }

    /// Starts a server of any routes.
    pub fn of(router: Router, keys: &ApiKeys) -> Self {
        let mut settings = Settings::default();
        settings.server.listen = String::from("127.0.0.1:0");
        let server = Server::bind(&settings, keys).expect("a free port");
        let address = server.address();
        let (stop, thread) = run(server, router, keys.clone());
        Self {
            tls: None,
            identity: None,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where other nodes are told to connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new connection, behind TLS where the server is.
    pub fn connect(&self) -> Connection {
        self.try_connect().expect("the server accepts")
    }

    /// The same, if the server takes one more and a handshake succeeds.
    pub fn try_connect(&self) -> io::Result<Connection> {
        match &self.tls {
            None => self.connect_bare(),
            Some(tls) => self.connect_as(&tls.client),
        }
    }

    /// A new connection without TLS, whatever the server wants.
    pub fn connect_bare(&self) -> io::Result<Connection> {
        Ok(Connection::over(self.socket()?, None))
    }

    /// A new connection behind TLS as `client` wants it, with its handshake done.
    pub fn connect_as(&self, client: &Arc<ClientConfig>) -> io::Result<Connection> {
        let mut socket = self.socket()?;
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::clone(client), name);
        let mut session = session.map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let shown = session.peer_certificates().and_then(<[_]>::first).cloned();
        Ok(Connection::over(StreamOwned::new(session, socket), shown))
    }

    fn socket(&self) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket)
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

type Running = JoinHandle<Result<(), ServeError>>;

/// Runs a server on a thread of its own until it is told to stop.
fn run(server: Server, router: Router, keys: ApiKeys) -> (oneshot::Sender<()>, Running) {
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
    (stop, thread)
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// One connection, byte by byte.
pub struct Connection {
    reader: BufReader<Box<dyn Stream>>,
    /// The certificate that the server showed.
    pub shown: Option<CertificateDer<'static>>,
    /// The last request was a HEAD: its answer has a length and no body.
    asked_for_head: bool,
}

impl Connection {
    fn over(
        stream: impl Read + Write + Send + 'static,
        shown: Option<CertificateDer<'static>>,
    ) -> Self {
        Self {
            reader: BufReader::new(Box::new(stream)),
            shown,
            asked_for_head: false,
        }
    }

    /// Writes raw bytes. An error is left for the reading side to show.
    pub fn write(&mut self, bytes: &[u8]) {
        let stream = self.reader.get_mut();
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
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
            // Behind TLS an end without a word is an error of its own.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ) =>
            {
                bytes
            }
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
