//! Behind TLS: what versions and suites are spoken, what a handshake may take, and new certificates
//! while connections go on.

use std::collections::BTreeSet;

use crate::support::{Certified, Connection, TestServer};
use recant_http::{ApiKeys, Server, Settings, TlsError};

/// Suites of TLS 1.2 that a certificate with a key on P-256 is served with: ECDHE with AES-GCM or ChaCha20.
const SUITES_OF_1_2: [u16; 3] = [0xc02b, 0xc02c, 0xcca9];

/// Suites of TLS 1.3.
const SUITES_OF_1_3: [u16; 3] = [0x1301, 0x1302, 0x1303];

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

/// A record of one type with a body.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 1];
    record.extend(with_length(body));
    record
}

/// A body after its length in two bytes.
fn with_length(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("it fits");
    [&length.to_be_bytes(), body].concat()
}

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|one| one.to_be_bytes()).collect()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), with_length(body)].concat()
}

/// The first message of a client that offers `suites` in this version and these compressions.
fn client_hello(version: u16, suites: &[u16], compressions: &[u8]) -> Vec<u8> {
    let groups = [0x001d, 0x0017];
    let signatures = [0x0403, 0x0503, 0x0804, 0x0807, 0x0401, 0x0203, 0x0201];
    let share = [numbers(&[groups[0]]), with_length(&[9; 32])].concat();
    let mut extensions = vec![
        extension(
            0,
            &with_length(&[&[0][..], &with_length(b"localhost")].concat()),
        ),
        extension(10, &with_length(&numbers(&groups))),
        extension(11, &[1, 0]),
        extension(13, &with_length(&numbers(&signatures))),
        extension(23, &[]),
        extension(0xff01, &[0]),
    ];
    if version == TLS_1_3 {
        let versions = numbers(&[TLS_1_3]);
        extensions.push(extension(43, &[&[2][..], &versions].concat()));
        extensions.push(extension(51, &with_length(&share)));
    }
    let mut body = version.min(TLS_1_2).to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(with_length(&numbers(suites)));
    body.push(u8::try_from(compressions.len()).expect("few"));
    body.extend(compressions);
    body.extend(with_length(&extensions.concat()));
    let length = u32::try_from(body.len()).expect("it fits").to_be_bytes();
    record(22, &[&[1][..], &length[1..], &body].concat())
}

/// How a server answers the first message.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// It goes on with a suite and a compression.
    Hello { suite: u16, compression: u8 },
    /// It ends the handshake with an alert.
    Alert(u8),
}

fn reply(server: &TestServer, hello: &[u8]) -> Reply {
    let mut connection = server.connect_bare().expect("a socket");
    connection.write(hello);
    let mut head = [0; 5];
    connection.read_exact(&mut head);
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    connection.read_exact(&mut body);
    match (head[0], body[0]) {
        (21, 2) => Reply::Alert(body[1]),
        (22, 2) => {
            let after_session = 39 + usize::from(body[38]);
            Reply::Hello {
                suite: u16::from_be_bytes([body[after_session], body[after_session + 1]]),
                compression: body[after_session + 2],
            }
        }
        other => panic!("neither an alert nor a hello: {other:?}"),
    }
}

const PROTOCOL_VERSION: Reply = Reply::Alert(70);

#[test]
fn versions_before_1_2_are_refused() {
    let server = TestServer::behind_tls(|_| {});
    let suites = [&SUITES_OF_1_2[..], &[0xc009, 0xc013, 0x002f, 0x0035]].concat();
    for version in [0x0300, 0x0301, 0x0302] {
        let hello = client_hello(version, &suites, &[0]);
        assert_eq!(reply(&server, &hello), PROTOCOL_VERSION, "{version:x}");
    }
}

#[test]
fn each_strong_suite_is_taken_and_nothing_is_compressed() {
    let server = TestServer::behind_tls(|_| {});
    for (version, suites) in [(TLS_1_2, SUITES_OF_1_2), (TLS_1_3, SUITES_OF_1_3)] {
        for suite in suites {
            let compressions: &[u8] = if version == TLS_1_2 { &[1, 0] } else { &[0] };
            let hello = client_hello(version, &[suite], compressions);
            let taken = Reply::Hello {
                suite,
                compression: 0,
            };
            assert_eq!(reply(&server, &hello), taken);
        }
    }
}

#[test]
fn no_other_suite_is_taken() {
    let server = TestServer::behind_tls(|_| {});
    let strong: BTreeSet<u16> = SUITES_OF_1_2.into_iter().chain(SUITES_OF_1_3).collect();
    let others: Vec<u16> = (0..=u16::MAX).filter(|one| !strong.contains(one)).collect();
    // As many as one record holds.
    for some in others.chunks(8000) {
        for version in [TLS_1_2, TLS_1_3] {
            let answer = reply(&server, &client_hello(version, some, &[0]));
            assert!(matches!(answer, Reply::Alert(_)), "{version:x}: {answer:?}");
        }
    }
}

#[test]
fn a_client_that_would_speak_http_2_is_answered_in_http_1() {
    let server = TestServer::behind_tls(|_| {});
    let mut connection = server.connect();
    connection.send("GET", "/healthz", &[], b"");
    let answer = connection.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").is_some());
    let metrics = server.get("/metrics");
    let metrics = metrics.text();
    let name = "\nrecant_tls_certificate_expiry_timestamp_seconds ";
    let value = metrics
        .split(name)
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let value: f64 = value
        .and_then(|value| value.parse().ok())
        .expect("a number");
    assert!(value > 0.0);
}

#[test]
fn what_the_library_refuses_is_a_problem_behind_tls_too() {
    let server = TestServer::behind_tls(|_| {});
    let mut connection = server.connect();
    connection.write(b"GET /he althz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = connection.answer();
    assert_eq!(answer.status, 400);
    answer.problem_code();
}

#[test]
fn what_is_no_tls_is_closed_without_an_answer_in_http() {
    let server = TestServer::behind_tls(|settings| settings.server.header_timeout_seconds = 3600);
    let sslv2 = [&[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10][..], &[7; 37]].concat();
    for bytes in [
        b"GET /recommend?user=a HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &sslv2[..],
        &[0; 64],
    ] {
        let mut connection = server.connect_bare().expect("a socket");
        connection.write(bytes);
        let said = connection.read_to_end();
        let is_alert = said.is_empty() || said[0] == 21;
        assert!(is_alert, "{said:?}");
    }
}

#[test]
fn half_a_handshake_is_closed_in_time() {
    let server = TestServer::behind_tls(|settings| settings.server.header_timeout_seconds = 1);
    let hello = client_hello(TLS_1_3, &SUITES_OF_1_3, &[0]);
    let halves = [0, 1, 5, hello.len() / 2, hello.len()].map(|length| {
        let mut connection = server.connect_bare().expect("a socket");
        connection.write(&hello[..length]);
        connection
    });
    for mut half in halves {
        half.read_to_end();
    }
}

#[test]
fn a_handshake_has_a_place_from_its_first_byte_on() {
    let server = TestServer::behind_tls(|settings| {
        settings.server.connections_per_address_max = 1;
        settings.server.header_timeout_seconds = 3600;
    });
    // The system takes connections in their order, so the server has seen this one before the next.
    let silent = server.connect_bare().expect("a socket");
    assert!(server.try_connect().is_err(), "there is no second place");
    drop(silent);
    while server.try_connect().is_err() {}
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_handshake() {
    let server = TestServer::behind_tls(|settings| {
        settings.server.header_timeout_seconds = 3600;
        settings.server.shutdown_grace_seconds = 3600;
    });
    let silent = server.connect_bare().expect("a socket");
    let mut served = server.connect();
    served.send("GET", "/healthz", &["Connection: close"], b"");
    assert_eq!(served.answer().status, 200);
    assert!(server.wait().is_ok());
    drop(silent);
}

/// Asks on a connection that is open already.
fn goes_on(connection: &mut Connection) {
    connection.send("GET", "/healthz", &[], b"");
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let server = TestServer::behind_tls(|_| {});
    let (tls, identity) = (server.tls.as_ref(), server.identity.as_ref());
    let (tls, identity) = (tls.expect("TLS"), identity.expect("TLS"));
    let mut old = server.connect();
    goes_on(&mut old);
    let first = old.shown.clone();

    let second = Certified::new();
    identity.reload_if_changed();
    assert_eq!(server.connect().shown, first, "nothing has changed");
    tls.write(&second.certificate.pem(), &second.key.serialize_pem());
    identity.reload_if_changed();
    goes_on(&mut old);
    assert!(server.try_connect().is_err(), "the first is shown no more");
    let mut new = server.connect_as(&second.client()).expect("the second");
    assert_eq!(new.shown.as_ref(), Some(second.certificate.der()));
    goes_on(&mut new);

    let third = Certified::new();
    for (certificate, key) in [
        (third.certificate.pem(), second.key.serialize_pem()),
        (third.certificate.pem(), String::from("no key")),
        (String::new(), third.key.serialize_pem()),
    ] {
        tls.write(&certificate, &key);
        assert!(!identity.reload());
        identity.reload_if_changed();
        let mut still = server.connect_as(&second.client()).expect("the second");
        goes_on(&mut still);
    }
    goes_on(&mut old);
    goes_on(&mut new);
}

#[test]
fn a_key_of_another_certificate_is_told_before_anything_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let [certificate, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, Certified::new().certificate.pem()).expect("written");
    std::fs::write(&key, Certified::new().key.serialize_pem()).expect("written");
    let mut settings = Settings::default();
    settings.server.listen = String::from("127.0.0.1:0");
    (settings.server.tls_certificate, settings.server.tls_key) = (certificate, key);
    let keys = ApiKeys::open(&settings).expect("no file");
    let error = Server::bind(&settings, &keys).expect_err("no pair");
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    assert!(matches!(source, Some(TlsError::Mismatch { .. })), "{error}");
    settings.server.listen = String::from("0.0.0.0:0");
    let error = Server::bind(&settings, &keys).expect_err("no keys of the API");
    assert!(error.to_string().contains("API key"), "TLS guards nothing");
}
