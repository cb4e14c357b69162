//! A real server in a process of its own, and a client that speaks to it over a socket.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest that anything awaited may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The `recant` binary under test.
pub fn recant() -> Command {
    Command::new(env!("CARGO_BIN_EXE_recant"))
}

/// Runs a command to its end and returns its standard output; panics with what it said otherwise.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {err}",
        output.status
    );
    out.into_owned()
}

/// Imports `csv` into `data` and trains on it.
pub fn import_and_train(data: &Path, csv: &str, train: &[&str]) {
    import(data, csv);
    run(recant()
        .arg("train")
        .arg("--data-dir")
        .arg(data)
        .args(train));
}

/// Imports `csv` into `data`.
pub fn import(data: &Path, csv: &str) {
    let file = tempfile::Builder::new()
        .suffix(".csv")
        .tempfile()
        .expect("a temporary file");
    std::fs::write(file.path(), csv).expect("the file takes the rows");
    run(recant()
        .arg("import")
        .arg(file.path())
        .arg("--data-dir")
        .arg(data));
}

/// Unpacks every file of `from`, each compressed by gzip, into the folder `into`.
pub fn unpack(from: &Path, into: &Path) {
    std::fs::create_dir_all(into).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the fixture") {
        let entry = entry.expect("an entry").path();
        if entry.is_dir() {
            unpack(&entry, &into.join(entry.file_name().expect("a name")));
            continue;
        }
        let file = std::fs::File::open(&entry).expect("a file");
        let path = into.join(entry.file_stem().expect("a name"));
        let mut unpacked = std::fs::File::create(path).expect("a new file");
        std::io::copy(&mut flate2::read::GzDecoder::new(file), &mut unpacked).expect("gzip");
    }
}

/// An answer: status, headers of interest, body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A client's side of TLS, for servers with one of these certificates in PEM.
fn believing(trusted: &[u8]) -> ureq::tls::TlsConfig {
    let certificates = ureq::tls::parse_pem(trusted).map(|item| match item.expect("PEM") {
        ureq::tls::PemItem::Certificate(one) => one,
        _ => panic!("no certificate"),
    });
    let roots = ureq::tls::RootCerts::from(certificates.collect::<Vec<_>>());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    ureq::tls::TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(provider)
        .build()
}

/// A running server; killed when dropped.
pub struct Server {
    pub data: PathBuf,
    pub log: PathBuf,
    base: String,
    child: Child,
    agent: ureq::Agent,
}

impl Server {
    /// Starts a server on `data` and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, |_| {})
    }

    /// Ends it, and starts another on the same data.
    pub fn restarted(self) -> Self {
        let data = self.data.clone();
        drop(self);
        Self::start(&data)
    }

    /// The same as [`Server::start`], with the command changed first.
    pub fn start_with(data: &Path, change: impl FnOnce(&mut Command)) -> Self {
        Self::start_trusted(data, &[], change)
    }

    /// The same, behind TLS, by a client that believes a certificate in PEM.
    pub fn start_behind_tls(
        data: &Path,
        [certificate, key]: &[PathBuf; 2],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let trusted = std::fs::read(certificate).expect("a certificate");
        Self::start_trusted(data, &trusted, |command| {
            command.env("RECANT__SERVER__TLS_CERTIFICATE", certificate);
            command.env("RECANT__SERVER__TLS_KEY", key);
            change(command);
        })
    }

    fn start_trusted(data: &Path, trusted: &[u8], change: impl FnOnce(&mut Command)) -> Self {
        let log = data.with_extension("log");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log");
        let mut command = recant();
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(data)
            .args(["--listen", "127.0.0.1:0"]);
        change(&mut command);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("a piped standard output");
        let mut lines = BufReader::new(stdout).lines();
        let base = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split(" listens on ").nth(1).map(str::to_owned))
            .unwrap_or_else(|| panic!("no address printed; see {}", log.display()));
        // Whatever else it prints is read, so that it never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .tls_config(believing(trusted))
            .build()
            .into();
        let server = Self {
            data: data.to_owned(),
            log,
            base,
            child,
            agent,
        };
        server.until("ready", |s| s.get("/readyz").status == 200);
        server
    }

    /// Asks until `condition` holds.
    pub fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !condition(self) {
            assert!(
                started.elapsed() < PATIENCE,
                "not {what} in time; see {}",
                self.log.display()
            );
            std::thread::yield_now();
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Where it listens: address and port.
    pub fn address(&self) -> &str {
        self.base.split("://").nth(1).expect("a URL")
    }

    /// Sends a request with an optional JSON body and headers.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let result = match body {
            Some(body) => {
                let typed = headers
                    .iter()
                    .any(|(n, _)| n.eq_ignore_ascii_case("content-type"));
                if !typed {
                    request = request.header("content-type", "application/json");
                }
                let request = request.body(body.to_owned()).expect("a request");
                self.agent.run(request)
            }
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = result.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = response
            .headers()
            .iter()
            .map(|(n, v)| {
                (
                    n.to_string(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect();
        let text = response
            .body_mut()
            .read_to_string()
            .expect("a readable body");
        Answer {
            status: response.status().as_u16(),
            headers,
            text,
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[])
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(&body.to_string()), &[])
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[])
    }

    /// Erases and waits until it is forgotten.
    pub fn forget(&self, query: &str) -> Value {
        let path = format!("/interactions?{query}");
        let answer = self.send("DELETE", &path, None, &[("prefer", "wait=60")]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Waits until the erasure reaches one of `statuses` and returns it.
    pub fn until_erasure(&self, id: &str, statuses: &[&str]) -> Value {
        let path = format!("/erasures/{id}");
        let reached = |server: &Self| {
            let record = server.get(&path).json();
            statuses.contains(&record["status"].as_str().unwrap_or(""))
        };
        self.until(&format!("{statuses:?}"), reached);
        self.get(&path).json()
    }

    /// The `/model` summary.
    pub fn model(&self) -> Value {
        self.get("/model").json()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("running");
    }

    /// Kills without warning, as a power switch does to the process.
    pub fn kill(mut self) {
        self.child.kill().expect("the server was running");
        self.child.wait().expect("the server ends");
    }

    /// Asks it to stop and waits until it has; returns the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().expect("the server ends").code()
    }

    /// What it logged.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
