//! A server behind TLS as `openssl` sees it, with the certificates that docs/running.md makes: versions,
//! suites, renegotiation, new certificates by SIGHUP; and the commands that call it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use rustix::process::Signal;

use crate::support::{Server, import_and_train, recant, run};

/// Key for a new certificate: the arguments of `openssl req`.
const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

/// Whether `openssl` is there. Where it is not, nothing here can be checked, which CI takes for a failure.
fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "openssl is not installed"
    );
    if !found {
        eprintln!("skipped: openssl is not installed");
    }
    found
}

/// A certificate of localhost and its key, in files of these names.
fn certified(folder: &Path, name: &str, key: &[&str]) -> [PathBuf; 2] {
    let files = ["chain", "key"].map(|part| folder.join(format!("{name}.{part}.pem")));
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-noenc",
            "-days",
            "90",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            names,
        ])
        .args(key)
        .arg("-out")
        .arg(&files[0])
        .arg("-keyout")
        .arg(&files[1]));
    files
}

/// A server behind TLS on a store without anything in it, and the files of its certificate.
struct Served {
    folder: tempfile::TempDir,
    files: [PathBuf; 2],
    server: Server,
}

impl Served {
    fn with(key: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = certified(folder.path(), "served", key);
        let data = folder.path().join("data");
        let server = Server::start_behind_tls(&data, &files, |command| {
            command.env("RECANT_LOG", "trace");
        });
        Self {
            folder,
            files,
            server,
        }
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("openssl");
        command
            .args([
                "s_client",
                "-connect",
                self.server.address(),
                "-servername",
                "localhost",
            ])
            .args(arguments);
        command
    }

    /// What a client that connects and goes away says.
    fn handshake(&self, arguments: &[&str]) -> Output {
        let mut command = self.client(arguments);
        command.stdin(Stdio::null()).output().expect("openssl runs")
    }

    /// What the client says of a handshake that has to succeed, the certificate checked.
    fn accepted(&self, arguments: &[&str]) -> String {
        let file = self.files[0].to_str().expect("UTF-8");
        let checks = [
            "-CAfile",
            file,
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ];
        let output = self.handshake(&[arguments, &checks].concat());
        let said = said(&output);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        said
    }

    /// The alert by which the server ends a handshake.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.handshake(arguments);
        let said = said(&output);
        assert!(!output.status.success(), "{arguments:?}: {said}");
        let alert = said
            .split("alert ")
            .nth(1)
            .and_then(|rest| rest.split(':').next());
        alert
            .unwrap_or_else(|| panic!("{arguments:?}: no alert: {said}"))
            .to_owned()
    }

    /// The certificate that is shown to a new connection, in PEM.
    fn shown(&self) -> String {
        let output = self.handshake(&[]);
        certificate(&said(&output))
    }
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    texts.concat()
}

/// The first certificate of a text.
fn certificate(text: &str) -> String {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let rest = text.split(begin).nth(1).unwrap_or_else(|| panic!("{text}"));
    rest.split(end)
        .next()
        .expect("the first part")
        .trim()
        .to_owned()
}

fn certificate_in(file: &Path) -> String {
    certificate(&std::fs::read_to_string(file).expect("a certificate"))
}

#[test]
fn only_strong_versions_and_suites_are_spoken() {
    if !has_openssl() {
        return;
    }
    for (key, kind) in [(P256, "ECDSA"), (RSA, "RSA")] {
        let served = Served::with(key);
        for (version, suites) in [
            (
                "-tls1_2",
                [
                    "AES128-GCM-SHA256",
                    "AES256-GCM-SHA384",
                    "CHACHA20-POLY1305",
                ],
            ),
            (
                "-tls1_3",
                [
                    "AES_128_GCM_SHA256",
                    "AES_256_GCM_SHA384",
                    "CHACHA20_POLY1305_SHA256",
                ],
            ),
        ] {
            for suite in suites {
                let said = if version == "-tls1_2" {
                    let suite = format!("ECDHE-{kind}-{suite}");
                    served.accepted(&[version, "-cipher", &suite])
                } else {
                    served.accepted(&[version, "-ciphersuites", &format!("TLS_{suite}")])
                };
                // Keys of one connection alone: forward secrecy.
                assert!(said.contains("Server Temp Key: "), "{said}");
                assert!(said.contains("Compression: NONE"), "{said}");
                assert!(said.contains("Secure Renegotiation IS"), "{said}");
            }
        }
        for version in ["-tls1", "-tls1_1"] {
            let alert = served.refused(&[version, "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
            // The second when it misses first what only later versions send.
            let refused = ["protocol version", "handshake failure"];
            assert!(refused.contains(&alert.as_str()), "{version}: {alert}");
        }
        for weak in [
            "AES128-GCM-SHA256",
            "AES128-SHA",
            "AES256-SHA256",
            "CAMELLIA128-SHA",
            "DHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA",
            "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA384",
            "AES128-CCM8:ECDHE-ECDSA-AES128-CCM8",
            "eNULL",
            "aNULL",
            "ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20",
        ] {
            let offered = format!("{weak}:@SECLEVEL=0");
            let alert = served.refused(&["-tls1_2", "-cipher", &offered]);
            assert_eq!(alert, "handshake failure", "{weak}");
        }
        let logged = served.server.logged();
        assert!(
            !logged.contains("rustls"),
            "strangers write into the log: {logged}"
        );
    }
}

#[test]
fn nobody_negotiates_anew_or_sends_early() {
    if !has_openssl() {
        return;
    }
    let served = Served::with(P256);
    let mut client = served.client(&["-tls1_2"]);
    client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut client = client.spawn().expect("openssl runs");
    let mut input = client.stdin.take().expect("a piped input");
    // To this client a line of R means to begin a handshake anew.
    input.write_all(b"R\n").expect("it reads");
    let output = client.wait_with_output().expect("it ends");
    let said = said(&output);
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation"), "{said}");
    drop(input);
    let said = served.accepted(&["-tls1_3"]);
    assert!(!said.contains("Early data was accepted"), "{said}");
}

/// A connection that stays open, through `openssl`.
struct Held {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    fn open(served: &Served) -> Self {
        let mut client = served.client(&["-quiet"]);
        client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut client = client.spawn().expect("openssl runs");
        Self {
            input: client.stdin.take().expect("a piped input"),
            output: BufReader::new(client.stdout.take().expect("a piped output")),
            client,
        }
    }

    /// Asks, and reads the whole answer.
    fn ask(&mut self) {
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        self.input.write_all(request).expect("it reads");
        let mut length = 0;
        let mut lines = 0;
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("a line");
            lines += 1;
            assert!(lines > 1 || line.starts_with("HTTP/1.1 200"), "{line}");
            let value = line.strip_prefix("content-length: ");
            length = value.map_or(length, |value| value.trim().parse().expect("a length"));
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).expect("the body");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

#[test]
fn a_signal_brings_a_new_certificate_and_a_broken_one_changes_nothing() {
    if !has_openssl() {
        return;
    }
    let served = Served::with(P256);
    let Served {
        folder,
        files,
        server,
    } = &served;
    assert_eq!(served.shown(), certificate_in(&files[0]));
    let mut old = Held::open(&served);
    old.ask();

    let second = certified(folder.path(), "second", RSA);
    for (new, place) in second.iter().zip(files) {
        std::fs::copy(new, place).expect("copied");
    }
    server.signal(Signal::HUP);
    let certificate = certificate_in(&second[0]);
    let renewed = || server.logged().matches("as it is now in its file").count();
    while renewed() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(served.shown(), certificate);
    old.ask();

    let third = certified(folder.path(), "third", P256);
    std::fs::copy(&third[1], &files[1]).expect("copied");
    server.signal(Signal::HUP);
    while !server.logged().contains("is not renewed") {
        std::thread::yield_now();
    }
    assert_eq!(served.shown(), certificate, "the key is not its own");
    old.ask();

    std::fs::copy(&third[0], &files[0]).expect("copied");
    server.signal(Signal::HUP);
    while renewed() == 1 {
        std::thread::yield_now();
    }
    assert_eq!(served.shown(), certificate_in(&third[0]));
    old.ask();
}

#[test]
fn a_signal_without_tls_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    server.signal(Signal::HUP);
    server.until("told so", |server| server.logged().contains("SIGHUP"));
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.stop(), Some(0));
}

/// Whether a command succeeds, and what it says.
fn outcome(command: &mut Command) -> (bool, String) {
    command.env_remove("SSL_CERT_DIR");
    let output = command.output().expect("the binary starts");
    (output.status.success(), said(&output))
}

#[test]
fn commands_call_it_when_they_believe_its_certificate() {
    if !has_openssl() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let files = certified(folder.path(), "served", P256);
    let data = folder.path().join("data");
    let rows: String = (0..40)
        .map(|n| format!("u{},i{}\n", n % 8, n % 10))
        .collect();
    import_and_train(&data, &format!("user_id,item_id\n{rows}"), &["--dim", "4"]);
    let server = Server::start_behind_tls(&data, &files, |_| {});
    let port = server.address().split(':').nth(1).expect("a port");
    let url = format!("https://localhost:{port}");
    let ready = format!("{url}/readyz");
    let health = |arguments: &[&str]| outcome(recant().arg("health").args(arguments));
    let ca = files[0].to_str().expect("UTF-8");

    assert_eq!(
        health(&["--url", &ready, "--ca", ca]),
        (true, String::from("ok\n"))
    );
    let by_name = health(&["--url", &ready]);
    assert!(!by_name.0, "nobody vouches for it: {}", by_name.1);
    let machine = outcome(
        recant()
            .args(["health", "--url", &ready])
            .env("SSL_CERT_FILE", ca),
    );
    assert!(machine.0, "the machine trusts it: {}", machine.1);
    let other = certified(folder.path(), "other", P256);
    let other = other[0].to_str().expect("UTF-8");
    assert!(
        !health(&["--url", &ready, "--ca", other]).0,
        "another's certificate"
    );
    let other_name = format!("https://127.0.0.2:{port}/readyz");
    assert!(
        !health(&["--url", &other_name, "--ca", ca]).0,
        "another name, or nobody there"
    );
    assert!(health(&["--url", &ready, "--insecure"]).0);

    let more = folder.path().join("more.csv");
    std::fs::write(&more, "user_id,item_id,timestamp\nada,i1,2020-01-01\n").expect("written");
    run(recant()
        .arg("import")
        .arg(&more)
        .args(["--url", &url, "--ca", ca]));
    let erased = run(recant().args(["erase", "--user", "ada", "--url", &url, "--ca", ca]));
    assert!(
        erased.contains("certified") || erased.contains("holds"),
        "{erased}"
    );
    let (done, said) = outcome(recant().args(["erase", "--user", "ada", "--url", &url]));
    assert!(!done, "sent to whom nobody vouches for: {said}");
}
