//! Callers that are slow, large or many cost little, and a stopping server finishes its answers.

use crate::support::TestServer;

const BODY: &[u8] = br#"{"interactions":[{"user":"","item":"b"}]}"#;
const JSON: [&str; 1] = ["Content-Type: application/json"];

#[test]
fn silent_and_half_sent_connections_are_closed() {
    let server = TestServer::with(|settings| settings.server.header_timeout_seconds = 1);
    let mut silent = server.connect();
    let mut half = server.connect();
    half.write(b"GET /healthz HTTP/1.1\r\nHost: local");
    let mut idle = server.connect();
    idle.send("GET", "/healthz", &[], b"");
    assert_eq!(idle.answer().status, 200);
    for connection in [&mut silent, &mut half, &mut idle] {
        let said = connection.read_to_end();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 408"),
            "{said}"
        );
    }
}

#[test]
fn a_body_that_never_ends_is_answered_in_time() {
    let server = TestServer::with(|settings| settings.server.request_timeout_seconds = 1);
    let mut slow = server.connect();
    slow.send_head("POST", "/interactions", &JSON, 1000);
    slow.write(b"{");
    let answer = slow.answer();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.problem_code(), "timed_out");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_large_body_is_refused_by_its_length_and_by_its_bytes() {
    let server = TestServer::with(|settings| settings.server.body_bytes_max = 1000);
    let mut announced = server.connect();
    announced.send_head("POST", "/interactions", &JSON, 1001);
    let answer = announced.answer();
    assert_eq!(answer.status, 413, "before a byte of it was sent");
    assert_eq!(answer.problem_code(), "body_too_large");
    let mut chunked = server.connect();
    chunked.write(
        b"POST /interactions HTTP/1.1\r\nHost: localhost\r\n\
          Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n",
    );
    chunked.write(&[b' '; 2000]);
    let answer = chunked.answer();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.problem_code(), "body_too_large");
}

#[test]
fn one_request_too_many_is_turned_away_but_not_the_health_check() {
    let server = TestServer::with(|settings| settings.server.concurrency_max = 1);
    // Whichever of two comes first has the only place. The first one has it once a second one is
    // turned away; when it comes while a second one has it, it is turned away itself, and tries again.
    let (mut first, turned_away) = loop {
        let mut first = server.connect();
        first.send_head("POST", "/interactions", &JSON, BODY.len());
        let answers = (0..50).map(|_| server.call("POST", "/interactions", &JSON, BODY));
        if let Some(answer) = answers.into_iter().find(|answer| answer.status != 202) {
            break (first, answer);
        }
    };
    assert_eq!(turned_away.status, 503);
    assert_eq!(turned_away.problem_code(), "overloaded");
    assert_eq!(turned_away.header("retry-after"), Some("1"));
    assert_eq!(server.get("/healthz").status, 200);
    first.write(BODY);
    assert_eq!(first.answer().status, 202, "the first one is not disturbed");
}

#[test]
fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let server = TestServer::with(|settings| settings.server.connections_max = 1);
    let mut first = server.connect();
    first.send("GET", "/healthz", &[], b"");
    assert_eq!(first.answer().status, 200);
    let mut second = server.connect();
    assert_eq!(second.read_to_end(), b"", "closed without a word");
    drop(first);
    // The place is free as soon as the server has noticed that the first one went.
    loop {
        let mut next = server.connect();
        next.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        if next.read_to_end().starts_with(b"HTTP/1.1 200") {
            break;
        }
    }
}

#[test]
fn a_stopping_server_finishes_the_request_under_way() {
    let mut server = TestServer::start();
    let mut under_way = server.connect();
    under_way.send_head(
        "POST",
        "/interactions",
        &[JSON[0], "Expect: 100-continue"],
        BODY.len(),
    );
    // The server asks for the body only from inside the handler: the request is under way.
    let mut interim = [0; 25];
    under_way.read_exact(&mut interim);
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.signal();
    while !server.refuses_connections() {}
    under_way.write(BODY);
    let answer = under_way.answer();
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["rejected"][0]["index"], 0);
    server.wait().expect("a clean end");
}

#[test]
fn a_stopping_server_does_not_wait_for_ever() {
    let mut server = TestServer::with(|settings| settings.server.shutdown_grace_seconds = 1);
    let mut stuck = server.connect();
    stuck.send_head(
        "POST",
        "/interactions",
        &[JSON[0], "Expect: 100-continue"],
        BODY.len(),
    );
    let mut interim = [0; 25];
    stuck.read_exact(&mut interim);
    server.signal();
    assert_eq!(stuck.read_to_end(), b"", "closed when the grace was over");
    server.wait().expect("a clean end");
}
