//! How many requests a key, or an address without one, may send, and what is never held back by that.

use std::time::{Duration, Instant};

use crate::support::{Answer, TestServer};
use recant_http::{KeySettings, Role, Settings};
use sha2::{Digest, Sha256};

/// Requests at once; one comes back each second.
const BURST: u64 = 20;

/// More requests than any allowance here lasts for, however slow the machine.
const TRIES_MAX: usize = 20_000;

/// Longest wait for what is expected to happen; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

const BUSY: &str = "Authorization: Bearer busy";
const CALM: &str = "Authorization: Bearer calm";
const FREE: &str = "Authorization: Bearer free";

fn limited(settings: &mut Settings) {
    settings.server.requests_per_second_max = 1;
    settings.server.requests_burst_max = BURST;
}

fn with_keys(settings: &mut Settings) {
    limited(settings);
    settings.gorse.enabled = true;
    for (name, own) in [("busy", None), ("calm", None), ("free", Some(0))] {
        settings.access.keys.push(KeySettings {
            name: name.to_owned(),
            sha256: format!("{:x}", Sha256::digest(name)),
            roles: vec![Role::Read, Role::Erase],
            requests_per_second_max: own,
        });
    }
}

/// Calls until it is refused for its rate; everything before that is answered with `before`.
fn exhaust(
    server: &TestServer,
    (method, target): (&str, &str),
    headers: &[&str],
    before: u16,
) -> Answer {
    for _ in 0..TRIES_MAX {
        let answer = server.call(method, target, headers, b"");
        if answer.status == 429 {
            return answer;
        }
        assert_eq!(answer.status, before, "{answer:?}");
    }
    panic!("{method} {target} was never refused")
}

/// There is no service in these tests: what is let through is told that it is starting.
fn is_let_through(answer: &Answer) -> bool {
    answer.status == 503 && answer.problem_code() == "starting"
}

#[test]
fn who_sends_too_much_is_told_when_to_come_back() {
    let server = TestServer::with(with_keys);
    let refused = exhaust(&server, ("GET", "/model"), &[BUSY], 503);
    assert_eq!(refused.problem_code(), "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    let metrics = server.call("GET", "/metrics", &[CALM], b"");
    let counted = |allowance: &str| {
        let name = format!("recant_http_rate_limited_total{{allowance=\"{allowance}\"}} ");
        let mut lines = metrics.text().lines();
        let value = lines.find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok());
        value.expect("the series is there")
    };
    assert!(counted("usual") >= 1);
    let _ = counted("erasures");
    // It is not for good.
    let started = Instant::now();
    while !is_let_through(&server.call("GET", "/model", &[BUSY], b"")) {
        assert!(started.elapsed() < PATIENCE, "one a second comes back");
    }
}

#[test]
fn a_key_that_is_used_up_holds_back_no_other_and_no_erasure() {
    let server = TestServer::with(with_keys);
    exhaust(&server, ("GET", "/erasures"), &[BUSY], 503);
    let erase = |key: &str| server.call("DELETE", "/interactions?user=a", &[key], b"");
    assert!(
        is_let_through(&erase(BUSY)),
        "erasures are counted by themselves"
    );
    assert!(is_let_through(&server.call("GET", "/model", &[CALM], b"")));
    for _ in 0..10 * BURST {
        let answer = server.call("GET", "/model", &[FREE], b"");
        assert!(is_let_through(&answer), "a rate of 0 takes all");
    }
    for _ in 0..10 * BURST {
        assert_eq!(server.call("GET", "/healthz", &[BUSY], b"").status, 200);
        let ready = server.call("GET", "/readyz", &[BUSY], b"");
        assert!(is_let_through(&ready), "{ready:?}");
    }
    assert_eq!(server.get("/openapi.json").status, 200, "of the address");
}

#[test]
fn requests_of_erasures_have_an_end_too() {
    let server = TestServer::with(with_keys);
    let erase = ("DELETE", "/interactions?user=needle");
    let refused = exhaust(&server, erase, &[BUSY], 503);
    assert_eq!(refused.problem_code(), "rate_limited");
    assert!(!refused.text().contains("needle"));
    assert!(is_let_through(&server.call("GET", "/model", &[BUSY], b"")));
}

#[test]
fn clients_of_gorse_are_told_in_their_own_way() {
    let server = TestServer::with(with_keys);
    let refused = exhaust(&server, ("GET", "/api/popular"), &["X-API-Key: busy"], 503);
    let kind = refused.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"), "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    for _ in 0..10 * BURST {
        assert_eq!(server.get("/api/health/live").status, 200);
    }
}

/// Whoever tries keys uses up what their address has, and nothing of those who have one.
#[test]
fn without_a_key_the_address_counts() {
    let server = TestServer::with(with_keys);
    let wrong = ["Authorization: Bearer wrong"];
    exhaust(&server, ("GET", "/model"), &wrong, 401);
    let refused = exhaust(&server, ("GET", "/openapi.json"), &[], 200);
    assert_eq!(refused.problem_code(), "rate_limited");
    assert!(is_let_through(&server.call("GET", "/model", &[CALM], b"")));
    let open = TestServer::with(limited);
    exhaust(&open, ("GET", "/nowhere"), &[], 404);
    assert!(is_let_through(&open.call(
        "DELETE",
        "/interactions?user=a",
        &[],
        b""
    )));
    assert_eq!(open.get("/healthz").status, 200);
}

#[test]
fn without_a_rate_nobody_is_held_back() {
    let server = TestServer::start();
    for _ in 0..20 * BURST {
        assert!(is_let_through(&server.get("/model")));
    }
}
