//! One node among several: what it answers itself, what it sends on to the leader, and what it does while it
//! may not answer or nobody leads.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use recant_http::{ApiKeys, DrpAgentSettings, Leader, NodeState, Settings, Why};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::access::{calls, target, with_keys};
use crate::membership::FakeMembership;
use crate::support::{Answer, TestServer};

const ADMIN: &str = "Authorization: Bearer key-admin";

/// A node with its two addresses.
struct Node {
    membership: Arc<FakeMembership>,
    callers: TestServer,
    nodes: TestServer,
}

impl Node {
    fn start(membership: Arc<FakeMembership>, change: impl FnOnce(&mut Settings)) -> Self {
        let [callers, nodes] = TestServer::node(membership.clone(), change);
        Self {
            membership,
            callers,
            nodes,
        }
    }

    /// One that leads.
    fn leading(name: &'static str, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start(FakeMembership::led(name, Leader::Here), change)
    }

    /// One that follows whoever is at an address.
    fn following(name: &'static str, leader: String, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start(FakeMembership::led(name, Leader::At(leader)), change)
    }
}

fn faces(settings: &mut Settings) {
    settings.gorse.enabled = true;
}

fn with_keys_and_faces(settings: &mut Settings) {
    with_keys(settings);
    faces(settings);
}

fn maker(answer: &Answer) -> &str {
    answer.header("recant-node").expect("every answer has it")
}

/// Whether a node answered that it may not. Clients of gorse are told so in words.
fn is_not_current(answer: &Answer) -> bool {
    let is_told = answer.text().contains("at another node, or a little later");
    assert!(
        !is_told || answer.header("retry-after") == Some("1"),
        "{answer:?}"
    );
    is_told && answer.status == 503
}

/// What a server that tells what it was sent tells.
fn told(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// In the place of a leader: tells what it was sent.
async fn tell(request: Request) -> Json<Value> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole body");
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Json(json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers.collect::<BTreeMap<_, _>>(),
        "body": String::from_utf8_lossy(&body),
    }))
}

fn in_place_of_a_leader(router: Router) -> TestServer {
    let keys = ApiKeys::open(&Settings::default()).expect("no file");
    TestServer::of(router, &keys)
}

/// The column of docs/access.md: who answers each call, found out by asking a node that follows another.
#[test]
fn the_table_of_who_answers_is_what_nodes_do() {
    let leader = Node::leading("n1", with_keys_and_faces);
    let follower = Node::following("n2", leader.nodes.url(), with_keys_and_faces);
    let text = include_str!("../../../../docs/access.md");
    let (_, table) = text.split_once("## Every call").expect("the section");
    let mut rows = Vec::new();
    for (method, template) in calls(&follower.callers) {
        let who = who_answers(&leader, &follower, &method, &template);
        let row = format!("| `{method} {template}` |");
        let said = table.lines().find(|line| line.starts_with(&row));
        rows.push((row, said, who));
    }
    assert!(rows.len() > 80, "{}", rows.len());
    for (row, said, who) in rows {
        let said = said.and_then(|row| row.strip_suffix(" |")?.rsplit_once("| "));
        assert_eq!(said.map(|(_, said)| said), Some(who), "{row}");
    }
}

fn who_answers(leader: &Node, follower: &Node, method: &str, template: &str) -> &'static str {
    let (target, headers) = (target(template), [ADMIN]);
    let body = if method == "POST" { "{}" } else { "" };
    let ask = |node: &Node| {
        node.callers
            .call(method, &target, &headers, body.as_bytes())
    };
    match maker(&ask(follower)) {
        "n1" => {
            // A question is answered by a leader that may answer; what was done is told always.
            leader.membership.answer_times(0);
            let is_question = method == "GET" || template == "/export";
            assert_eq!(
                is_not_current(&ask(leader)),
                is_question,
                "{method} {target}"
            );
            leader.membership.answer_times(usize::MAX);
            "leader"
        }
        "n2" => {
            follower.membership.answer_times(0);
            let is_turned_away = is_not_current(&ask(follower));
            follower.membership.answer_times(usize::MAX);
            if is_turned_away { "current" } else { "any" }
        }
        other => panic!("{other} answered {method} {target}"),
    }
}

#[test]
fn an_agents_calls_are_the_leaders() {
    let drp = |settings: &mut Settings| {
        settings.drp.enabled = true;
        settings.drp.agents.push(DrpAgentSettings {
            id: String::from("AA"),
            verify_key: String::from("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        });
        settings.drp.business_id = String::from("BB");
        with_keys(settings);
    };
    let leader = Node::leading("n1", drp);
    let follower = Node::following("n2", leader.nodes.url(), drp);
    let token = ["Authorization: Bearer token"];
    for (method, target) in [
        ("POST", "/v1/data-rights-request"),
        ("GET", "/v1/data-rights-request/a"),
        ("DELETE", "/v1/data-rights-request/a"),
        ("GET", "/v1/data-rights-request/a/results"),
        ("POST", "/v1/agent/AA"),
        ("GET", "/v1/agent/AA"),
    ] {
        let answer = follower.callers.call(method, target, &token, b"");
        assert_eq!(maker(&answer), "n1", "{method} {target}");
        let own = leader.callers.call(method, target, &token, b"");
        assert_eq!(
            (own.status, &own.body),
            (answer.status, &answer.body),
            "{target}"
        );
        assert_eq!(own.header("content-type"), answer.header("content-type"));
        // No key of this service: whose token it is the leader finds out.
        let sent = follower.membership.last_sent();
        assert_eq!(sent["authorization"], "Bearer token");
    }
}

/// The leader alone keeps it: a node that follows has only what it shows.
#[test]
fn a_list_of_the_certified_version_is_the_leaders() {
    let leader = Node::leading("n1", faces);
    let follower = Node::following("n2", leader.nodes.url(), faces);
    for (target, who) in [
        ("/recommend?user=a", "n2"),
        ("/recommend?user=a&as_of=live", "n2"),
        ("/recommend?user=a&as_of=certified", "n1"),
    ] {
        let answer = follower.callers.get(target);
        assert_eq!(maker(&answer), who, "{target}: {answer:?}");
        assert_eq!(leader.callers.get(target).body, answer.body, "{target}");
    }
    for (as_of, who) in [("live", "n2"), ("certified", "n1")] {
        let body = json!({"user": "a", "as_of": as_of}).to_string();
        let answer = follower.callers.json("POST", "/recommend", &body);
        assert_eq!(maker(&answer), who, "{answer:?}");
        let own = leader.callers.json("POST", "/recommend", &body);
        assert_eq!(own.body, answer.body);
    }
}

#[test]
fn a_list_that_is_written_back_is_the_leaders() {
    let leader = Node::leading("n1", faces);
    let follower = Node::following("n2", leader.nodes.url(), faces);
    for (target, who) in [
        ("/api/recommend/a?n=3", "n2"),
        ("/api/recommend/a/b?write-back-delay=1m", "n2"),
        ("/api/recommend/a?write-back-type=read", "n1"),
        ("/api/recommend/a/b/?n=1&write-back-type=read", "n1"),
    ] {
        assert_eq!(maker(&follower.callers.get(target)), who, "{target}");
    }
}

#[test]
fn readers_are_answered_only_while_the_node_may() {
    let node = Node::leading("n1", |_| {});
    for target in ["/recommend?user=a", "/export?user=a"] {
        // Neither before an answer is begun, nor when it was made.
        for times in [0, 1] {
            node.membership.answer_times(times);
            let answer = node.callers.get(target);
            assert!(is_not_current(&answer), "{times} {target}");
            assert_eq!(answer.problem_code(), "not_current");
            assert_eq!(maker(&answer), "n1");
        }
        node.membership.answer_times(2);
        assert_eq!(node.callers.get(target).problem_code(), "starting");
    }
    node.membership.answer_times(0);
    for target in ["/healthz", "/metrics", "/openapi.json", "/cluster"] {
        assert_eq!(node.callers.get(target).status, 200, "{target}");
    }
    // What was done is told, for else it would be done again.
    let written = node.callers.json("POST", "/erasures", r#"{"users":["a"]}"#);
    assert_eq!(written.problem_code(), "starting");
}

#[test]
fn a_call_arrives_at_the_leader_as_it_was_made() {
    let leader = in_place_of_a_leader(Router::new().fallback(tell));
    let node = Node::following("n2", leader.url(), with_keys);
    let rows = "{\"id\":\"a\"}\n{\"id\":\"é\"}\n";
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(rows.as_bytes()).expect("into memory");
    let packed = packed.finish().expect("into memory");
    let headers = [
        ADMIN,
        "Content-Type: application/x-ndjson",
        "Content-Encoding: gzip",
        "Idempotency-Key: k1",
        "Prefer: wait=2",
        "Host: recant.example",
    ];
    let answer = node
        .callers
        .call("POST", "/items?a=%2F&b=c", &headers, &packed);
    let told = told(&answer);
    assert_eq!(told["method"], "POST");
    assert_eq!(told["target"], "/items?a=%2F&b=c");
    assert_eq!(told["body"], rows);
    for (name, value) in [
        ("content-type", "application/x-ndjson"),
        ("idempotency-key", "k1"),
        ("prefer", "wait=2"),
        ("host", "recant.example"),
        ("content-length", &rows.len().to_string()),
        ("recant-forwarded-by", "n2"),
    ] {
        assert_eq!(told["headers"][name], value, "{name}");
    }
    for gone in ["content-encoding", "authorization", "x-api-key"] {
        assert!(told["headers"][gone].is_null(), "{gone}");
    }
    let target = "/items/a%2Fb%20c";
    let headers = ["X-API-Key: key-erase"];
    let answer = node.callers.call("DELETE", target, &headers, b"");
    assert_eq!(self::told(&answer)["target"], target);
    assert_eq!(self::told(&answer)["method"], "DELETE");
}

#[test]
fn a_call_that_is_too_large_or_not_let_in_goes_nowhere() {
    let leader = in_place_of_a_leader(Router::new().fallback(tell));
    let node = Node::following("n2", leader.url(), |settings| {
        with_keys(settings);
        settings.server.body_bytes_max = 100;
    });
    let body = [b' '; 101];
    let large = node.callers.call("POST", "/items", &[ADMIN], &body);
    assert_eq!(large.problem_code(), "body_too_large");
    assert_eq!(
        node.callers.get("/export?user=a").problem_code(),
        "unauthenticated"
    );
    let reader = ["Authorization: Bearer key-read"];
    let answer = node.callers.call("POST", "/items", &reader, b"{}");
    assert_eq!(answer.problem_code(), "forbidden");
    let unknown = node.callers.call("POST", "/nowhere", &[ADMIN], b"");
    assert_eq!(unknown.problem_code(), "route_not_found");
    let unknown = node.callers.call("PATCH", "/erasures", &[ADMIN], b"");
    assert_eq!(unknown.problem_code(), "method_not_allowed");
    assert_eq!(node.membership.sent(), 0);
}

#[test]
fn an_answer_arrives_as_the_leader_made_it() {
    async fn answer(request: Request) -> Response {
        let problem = json!({"type": "urn:recant:problem:idempotency_key_reused", "title": "t",
            "status": 422, "code": "idempotency_key_reused", "detail": "d"});
        match request.uri().path() {
            "/erasures" => {
                let headers = [
                    ("content-type", "application/problem+json"),
                    ("retry-after", "9"),
                ];
                (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    headers,
                    problem.to_string(),
                )
                    .into_response()
            }
            "/export" => {
                let lines =
                    (0..3).map(|line| Ok::<_, std::io::Error>(format!("{{\"line\":{line}}}\n")));
                let body = Body::from_stream(futures_util::stream::iter(lines));
                ([("content-type", "application/x-ndjson")], body).into_response()
            }
            _ => (StatusCode::NOT_FOUND, "user a not found").into_response(),
        }
    }
    let leader = in_place_of_a_leader(Router::new().fallback(answer));
    let node = Node::following("n2", leader.url(), faces);
    let refused = node.callers.json("POST", "/erasures", "{}");
    assert_eq!(refused.status, 422);
    assert_eq!(refused.problem_code(), "idempotency_key_reused");
    assert_eq!(refused.header("retry-after"), Some("9"));
    assert!(refused.header("x-request-id").is_some());
    // Neither a problem nor of the face: what the leader says stays.
    let plain = node.callers.get("/api/user/a/feedback");
    assert_eq!((plain.status, plain.text()), (404, "user a not found"));
    let mut connection = node.callers.connect();
    let head = "GET /export?user=a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    connection.write(head.as_bytes());
    let whole = String::from_utf8(connection.read_to_end()).expect("UTF-8");
    assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
    assert!(whole.contains("transfer-encoding: chunked"), "{whole}");
    for line in 0..3 {
        assert!(whole.contains(&format!("{{\"line\":{line}}}\n")), "{whole}");
    }
    assert!(whole.ends_with("0\r\n\r\n"), "{whole}");
    let head = node.callers.call("HEAD", "/export?user=a", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

fn caller(name: &str, roles: &[&str]) -> String {
    let text = json!({"name": name, "roles": roles}).to_string();
    format!("Recant-Caller: {}", URL_SAFE_NO_PAD.encode(text))
}

#[test]
fn nobody_from_outside_says_who_they_are() {
    let leader = Node::leading("n1", with_keys);
    let follower = Node::following("n2", leader.nodes.url(), with_keys);
    let (forged, by) = (caller("boss", &["admin"]), "Recant-Forwarded-By: n9");
    for node in [&leader, &follower] {
        let nobody = node
            .callers
            .call("GET", "/export?user=a", &[&forged, by], b"");
        assert_eq!(nobody.problem_code(), "unauthenticated");
        let erase = "Authorization: Bearer key-erase";
        let answer = node
            .callers
            .call("GET", "/export?user=a", &[&forged, by, erase], b"");
        assert_eq!(answer.problem_code(), "forbidden");
    }
    let headers = [&forged, by, "Authorization: Bearer key-erase"];
    let answer = follower.callers.call("GET", "/erasures", &headers, b"");
    assert_eq!(maker(&answer), "n1");
    let sent = follower.membership.last_sent();
    assert_eq!(sent["recant-forwarded-by"], "n2");
    let sent = URL_SAFE_NO_PAD
        .decode(&sent["recant-caller"])
        .expect("base64url");
    let sent: Value = serde_json::from_slice(&sent).expect("JSON");
    assert_eq!(sent, json!({"name": "key-erase", "roles": ["erase"]}));
}

#[test]
fn a_leader_believes_nodes_about_who_calls_and_checks_what_they_may() {
    let leader = Node::leading("n1", |settings| {
        with_keys(settings);
        settings.access.keys[0].requests_per_second_max = Some(1);
    });
    let by = "Recant-Forwarded-By: n2";
    let ask = |method: &str, target: &str, headers: &[&str]| {
        let answer = leader.nodes.call(method, target, headers, b"");
        assert_eq!(maker(&answer), "n1");
        answer.problem_code()
    };
    let admin = caller("boss", &["admin"]);
    assert_eq!(ask("GET", "/export?user=a", &[&admin, by]), "starting");
    for (name, roles) in [("shop", &["read", "write"][..]), ("shop", &[])] {
        let caller = caller(name, roles);
        assert_eq!(ask("GET", "/export?user=a", &[&caller, by]), "forbidden");
    }
    // A key is shown to the node that is called, and not here.
    for headers in [&[ADMIN][..], &[ADMIN, by], &[&admin], &[&admin, by, by]] {
        assert_eq!(
            ask("GET", "/export?user=a", headers),
            "invalid_header",
            "{headers:?}"
        );
    }
    for elsewhere in [
        "/recommend?user=a",
        "/model",
        "/cluster",
        "/healthz",
        "/nowhere",
    ] {
        assert_eq!(
            ask("GET", elsewhere, &[&admin, by]),
            "route_not_found",
            "{elsewhere}"
        );
    }
    // A key's calls of all nodes are taken from one allowance.
    let limited = caller("key-read", &["read"]);
    let allowance = || ask("GET", "/receipts/checkpoint", &[&limited, by]);
    let mut refusals = std::iter::repeat_with(allowance).skip_while(|code| code == "starting");
    assert_eq!(refusals.next().as_deref(), Some("rate_limited"));
}

#[test]
fn writes_wait_for_a_leader_and_are_refused_when_none_comes() {
    let node = Node::start(FakeMembership::impatient("n2", Leader::Unknown), |_| {});
    for (method, target) in [("POST", "/interactions"), ("GET", "/erasures")] {
        let answer = node.callers.call(method, target, &[], b"");
        assert_eq!(answer.status, 503);
        assert_eq!(answer.problem_code(), "no_leader");
        assert_eq!(answer.header("retry-after"), Some("2"));
        assert_eq!(maker(&answer), "n2");
    }
    // Readers are answered meanwhile.
    assert_eq!(
        node.callers.get("/recommend?user=a").problem_code(),
        "starting"
    );
}

#[test]
fn a_write_that_waits_goes_to_the_leader_that_comes() {
    let leader = Node::leading("n1", |_| {});
    for (comes, maker_name) in [(Leader::At(leader.nodes.url()), "n1"), (Leader::Here, "n2")] {
        let node = Node::start(FakeMembership::led("n2", Leader::Unknown), |_| {});
        let membership = &node.membership;
        let answer = std::thread::scope(|scope| {
            let write = || node.callers.json("POST", "/interactions", "{}");
            let asked = scope.spawn(write);
            membership.wait_until_somebody_waits();
            membership.lead_by(comes);
            asked.join().expect("an answer")
        });
        assert_eq!(maker(&answer), maker_name);
    }
}

#[test]
fn those_who_wait_for_a_leader_take_no_readers_place() {
    let node = Node::start(FakeMembership::led("n2", Leader::Unknown), |settings| {
        settings.server.concurrency_max = 1;
    });
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| node.callers.json("POST", "/interactions", "{}"));
        node.membership.wait_until_somebody_waits();
        let read = node.callers.get("/recommend?user=a");
        node.membership.lead_by(Leader::Here);
        assert_eq!(read.problem_code(), "starting");
        assert_ne!(
            asked.join().expect("an answer").problem_code(),
            "overloaded"
        );
    });
}

/// An address where nobody listens, and nobody else can while the socket is kept.
fn deserted() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    let any = "127.0.0.1:0".parse().expect("an address");
    socket.bind(any).expect("a free port");
    let address = socket.local_addr().expect("an address");
    (socket, format!("http://{address}"))
}

#[test]
fn what_was_not_sent_is_sent_again() {
    let leader = Node::leading("n1", |_| {});
    let (_socket, deserted) = deserted();
    let node = Node::following("n2", deserted.clone(), |_| {});
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| node.callers.json("POST", "/interactions", "{}"));
        node.membership.wait_until_somebody_waits();
        node.membership.lead_by(Leader::At(leader.nodes.url()));
        asked.join().expect("an answer")
    });
    assert_eq!(maker(&answer), "n1");
    let node = Node::start(
        FakeMembership::impatient("n2", Leader::At(deserted)),
        |_| {},
    );
    let answer = node.callers.json("POST", "/interactions", "{}");
    assert_eq!(answer.problem_code(), "no_leader");
}

/// Takes requests and ends each connection without an answer.
fn silent_leader() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    format!("http://{address}")
}

#[test]
fn what_may_have_been_done_is_not_sent_again() {
    let membership = FakeMembership::impatient("n2", Leader::At(silent_leader()));
    let node = Node::start(membership, |_| {});
    let answer = node.callers.json("POST", "/erasures", r#"{"users":["a"]}"#);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.problem_code(), "leadership_lost");
    assert!(
        answer.text().contains("Idempotency-Key"),
        "{}",
        answer.text()
    );
    assert_eq!(node.membership.sent(), 1);
    // A question may be asked again.
    assert_eq!(node.callers.get("/erasures").problem_code(), "no_leader");
    assert!(node.membership.sent() > 1);
}

#[test]
fn what_was_sent_on_goes_no_further() {
    let other = Node::leading("n3", |_| {});
    // It has not heard yet that n3 leads in its place, or has and does not send it there.
    let deposed = Node::following("n1", other.nodes.url(), |_| {});
    let membership = FakeMembership::impatient("n2", Leader::At(deposed.nodes.url()));
    let node = Node::start(membership, |_| {});
    let answer = node.callers.json("POST", "/interactions", "{}");
    assert_eq!(answer.problem_code(), "no_leader");
    assert_eq!(deposed.membership.sent(), 0);
    // It did nothing, so whoever leads may be asked in time.
    let patient = Node::following("n2", deposed.nodes.url(), |_| {});
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| patient.callers.json("POST", "/interactions", "{}"));
        patient.membership.wait_until_somebody_waits();
        patient.membership.lead_by(Leader::At(other.nodes.url()));
        asked.join().expect("an answer")
    });
    assert_eq!(maker(&answer), "n3");
}

#[test]
fn a_node_says_how_it_stands() {
    let node = Node::leading("n1", |_| {});
    let cluster = told(&node.callers.get("/cluster"));
    assert_eq!(
        cluster,
        json!({
            "role": "candidate", "node": "n1", "term": 7, "entries_behind": 3, "why": null,
            "nodes": [{
                "node": "n1", "role": "candidate", "state": "current", "applied": 41,
                "version": 42, "version_term": 7, "lease_remaining_seconds": 14.5,
            }],
        })
    );
    node.membership.change_standing(|standing| {
        standing.why = Some(Why::LogWentBack);
        let mut away = standing.nodes[0].clone();
        away.node = String::from("n0");
        away.state = NodeState::Owing;
        away.version = None;
        away.lease_remaining = None;
        standing.nodes.push(away);
    });
    let cluster = told(&node.callers.get("/cluster"));
    assert_eq!(cluster["why"], "log_went_back");
    assert_eq!(cluster["nodes"][0]["node"], "n0");
    assert_eq!(cluster["nodes"][0]["state"], "owing");
    assert_eq!(cluster["nodes"][0]["version"], Value::Null);
    // Before there is a service, that is why.
    let ready = node.callers.get("/readyz");
    assert_eq!(ready.problem_code(), "starting");
    assert_eq!(ready.json()["why"], "starting");
}

#[test]
fn a_server_that_is_the_only_one_has_none_of_it() {
    let server = TestServer::start();
    let cluster = server.get("/cluster");
    assert_eq!(told(&cluster)["role"], "single");
    assert_eq!(told(&cluster)["nodes"], json!([]));
    assert_eq!(cluster.header("recant-node"), None);
    let ready = server.get("/readyz");
    assert_eq!(ready.problem_code(), "starting");
    assert!(ready.json().get("why").is_none());
}
