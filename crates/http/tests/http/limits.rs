//! Callers that are slow, large or many cost little, and a stopping server finishes its answers.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::TestServer;

const BODY: &[u8] = br#"{"interactions":[{"user":"","item":"b"}]}"#;
const JSON: [&str; 1] = ["Content-Type: application/json"];

#[test]
fn silent_and_half_sent_connections_are_closed() {
    for server in TestServer::both(|settings| {
        settings.server.header_timeout_seconds = 1;
        settings.server.keep_alive_seconds = 1;
    }) {
        let mut silent = server.connect();
        let mut half = server.connect();
        half.write(b"GET /healthz HTTP/1.1\r\nHost: local");
        let mut idle = server.connect();
        idle.send("GET", "/healthz", &[], b"");
        assert_eq!(idle.answer().status, 200);
        for connection in [&mut silent, &mut half, &mut idle] {
            let said = connection.read_to_end();
            let said = String::from_utf8_lossy(&said);
            assert_eq!(said, "");
        }
    }
}

#[test]
fn an_idle_connection_outlives_the_time_limit_of_a_head() {
    for server in TestServer::both(|settings| settings.server.header_timeout_seconds = 1) {
        let mut idle = server.connect();
        idle.send("GET", "/healthz", &[], b"");
        assert_eq!(idle.answer().status, 200);
        // Closed when a head's time is over twice; the other one is idle for as long.
        for _ in 0..2 {
            let mut silent = server.connect();
            assert_eq!(silent.read_to_end(), b"");
        }
        idle.send("GET", "/healthz", &[], b"");
        assert_eq!(idle.answer().status, 200);
        idle.write(b"GET /healthz HT");
        assert_eq!(
            idle.read_to_end(),
            b"",
            "its next head has a time limit again"
        );
    }
}

#[test]
fn a_connection_whose_answers_nobody_reads_is_closed() {
    for server in TestServer::both(|settings| {
        settings.server.connections_max = 1;
        settings.server.write_timeout_seconds = 1;
        settings.server.request_timeout_seconds = 3600;
    }) {
        let mut unread = server.connect();
        let mut requests = Vec::new();
        for _ in 0..64 {
            let one = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
            requests.extend(one);
        }
        unread.write(&requests);
        // Its place comes back though it is still open at this end.
        wait_for_a_place(&server);
        drop(unread);
    }
}

#[test]
fn an_address_has_its_share_of_the_connections() {
    for server in TestServer::both(|settings| settings.server.connections_per_address_max = 1) {
        let mut first = server.connect();
        first.send("GET", "/healthz", &[], b"");
        assert_eq!(first.answer().status, 200);
        let mut second = server.connect_bare().expect("a socket");
        assert_eq!(second.read_to_end(), b"", "closed without a word");
        drop(first);
        wait_for_a_place(&server);
    }
}

/// Connects until somebody is served.
fn wait_for_a_place(server: &TestServer) {
    loop {
        let Ok(mut next) = server.try_connect() else {
            continue;
        };
        next.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        if next.read_to_end().starts_with(b"HTTP/1.1 200") {
            return;
        }
    }
}

#[test]
fn half_a_body_takes_no_place_of_those_that_are_worked_on() {
    let server = TestServer::with(|settings| settings.server.concurrency_max = 1);
    let halves = [(); 8].map(|()| {
        let mut half = server.connect();
        half.send_head("POST", "/interactions", &JSON, BODY.len());
        half.write(&BODY[..BODY.len() - 1]);
        half
    });
    assert_eq!(
        server.call("POST", "/interactions", &JSON, BODY).status,
        202
    );
    for mut half in halves {
        half.write(&BODY[BODY.len() - 1..]);
        assert_eq!(half.answer().status, 202, "it is taken when it is whole");
    }
}

#[test]
fn bodies_share_one_budget() {
    let server = TestServer::with(|settings| settings.server.body_bytes_total_max = 1000);
    let status = || {
        server
            .call("POST", "/interactions", &JSON, &[b' '; 200])
            .status
    };
    // Others are turned away once the server has read what the first one sent; it may be the one that is,
    // when it comes beside another.
    let mut half = loop {
        let mut half = server.connect();
        half.send_head("POST", "/interactions", &JSON, 900);
        half.write(&[b' '; 899]);
        if (0..1_000).any(|_| status() == 503) {
            break half;
        }
    };
    let answer = server.call("POST", "/interactions", &JSON, &[b' '; 200]);
    assert_eq!(answer.problem_code(), "overloaded");
    half.write(b" ");
    assert_eq!(half.answer().problem_code(), "malformed_body");
    while server
        .call("POST", "/interactions", &JSON, &[b' '; 200])
        .status
        == 503
    {}
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
    let row = "{\"user\":\"\",\"item\":\"b\"}\n";
    let body = row.repeat(10_000);
    let lines = ["Content-Type: application/x-ndjson"];
    let call = || server.call("POST", "/interactions", &lines, body.as_bytes());
    let done = AtomicBool::new(false);
    let turned_away = std::thread::scope(|scope| {
        let callers = [(); 2].map(|()| {
            scope.spawn(|| {
                // Once one is turned away the other has nobody to be turned away by.
                let mut calls = (0..10_000).take_while(|_| !done.load(Ordering::Relaxed));
                let turned_away = calls.find_map(|_| Some(call()).filter(|a| a.status != 202));
                done.store(true, Ordering::Relaxed);
                turned_away
            })
        });
        let answers = callers.map(|caller| caller.join().expect("no panic"));
        answers.into_iter().flatten().next()
    });
    let turned_away = turned_away.expect("two at once of one that may be");
    assert_eq!(turned_away.status, 503);
    assert_eq!(turned_away.problem_code(), "overloaded");
    assert_eq!(turned_away.header("retry-after"), Some("1"));
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(call().status, 202, "the place came back");
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
    wait_for_a_place(&server);
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
