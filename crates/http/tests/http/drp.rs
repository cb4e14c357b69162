//! The calls under `/v1`: tokens, signatures and errors; nothing of it unless it is enabled.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use recant_http::{DrpAgentSettings, KeySettings, Role, Settings};
use recant_types::UnixMillis;
use serde_json::{Value, json};

use crate::support::{Answer, TestServer};

const REQUESTS: &str = "/v1/data-rights-request";

/// The key of an agent of this name.
fn key(agent: &str) -> SigningKey {
    SigningKey::from_bytes(&[agent.as_bytes()[0]; 32])
}

fn agents(settings: &mut Settings) {
    settings.drp.enabled = true;
    settings.drp.business_id = String::from("SHOP");
    settings.drp.agents = ["AA", "BB"].map(agent).into();
    // Its calls take none of the API keys that there are.
    settings.access.keys.push(KeySettings {
        name: String::from("other"),
        sha256: "0".repeat(64),
        roles: vec![Role::Admin],
        requests_per_second_max: None,
    });
}

fn agent(id: &str) -> DrpAgentSettings {
    DrpAgentSettings {
        id: id.to_owned(),
        verify_key: STANDARD.encode(key(id).verifying_key().as_bytes()),
    }
}

fn in_minutes(minutes: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    UnixMillis(now.as_millis() as i64 + minutes * 60_000).to_rfc3339()
}

/// A message with what every message has, and `more`.
fn message(agent: &str, more: Value) -> Value {
    let mut message = json!({
        "agent-id": agent,
        "business-id": "SHOP",
        "issued-at": in_minutes(0),
        "expires-at": in_minutes(10),
        "drp.version": "1.0",
    });
    for (name, value) in more.as_object().expect("an object") {
        message[name] = value.clone();
    }
    message
}

/// The body of a request: signature and message in base64.
fn signed(agent: &str, message: &Value) -> String {
    let text = message.to_string();
    let mut bytes = key(agent).sign(text.as_bytes()).to_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    STANDARD.encode(bytes)
}

fn post(server: &TestServer, target: &str, token: &str, body: &str) -> Answer {
    let authorization = format!("Authorization: Bearer {token}");
    let headers = ["Content-Type: text/plain", &authorization];
    server.call("POST", target, &headers, body.as_bytes())
}

fn set_up(server: &TestServer, agent: &str, body: &str) -> Answer {
    let target = format!("/v1/agent/{agent}");
    let headers = ["Content-Type: text/plain"];
    server.call("POST", &target, &headers, body.as_bytes())
}

fn token(server: &TestServer, agent: &str) -> String {
    let answer = set_up(server, agent, &signed(agent, &message(agent, json!({}))));
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["agent-id"], agent);
    answer["token"].as_str().expect("a token").to_owned()
}

fn deletion(agent: &str, more: Value) -> Value {
    let mut message = message(
        agent,
        json!({"exercise": "deletion", "identifier": "needle"}),
    );
    for (name, value) in more.as_object().expect("an object") {
        message[name] = value.clone();
    }
    message
}

/// An error in the form of the protocol, which repeats nothing.
fn told(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = answer.json();
    assert_eq!(error["code"], status.to_string());
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert!(!answer.text().contains("needle"), "{answer:?}");
}

#[test]
fn an_agent_gets_a_token_for_a_message_that_it_signed_once() {
    let server = TestServer::with(agents);
    let body = signed("AA", &message("AA", json!({})));
    assert_eq!(set_up(&server, "AA", &body).status, 200);
    let silent = |answer: Answer| {
        assert_eq!((answer.status, answer.text()), (403, ""), "{answer:?}");
    };
    silent(set_up(&server, "AA", &body));
    silent(set_up(
        &server,
        "AA",
        &signed("BB", &message("AA", json!({}))),
    ));
    silent(set_up(
        &server,
        "AA",
        &signed("AA", &message("BB", json!({}))),
    ));
    silent(set_up(
        &server,
        "CC",
        &signed("CC", &message("CC", json!({}))),
    ));
    silent(set_up(&server, "AA", "nothing"));
    let before = json!({"issued-at": in_minutes(-5)});
    silent(set_up(&server, "AA", &signed("AA", &message("AA", before))));
}

#[test]
fn a_token_is_that_of_one_agent() {
    let server = TestServer::with(agents);
    let (own, other) = (token(&server, "AA"), token(&server, "BB"));
    assert_ne!(own, other);
    let check = |agent: &str, token: &str| {
        let header = format!("Authorization: Bearer {token}");
        server.call("GET", &format!("/v1/agent/{agent}"), &[&header], b"")
    };
    let good = check("AA", &own);
    assert_eq!((good.status, good.text()), (200, "{}"));
    told(&check("AA", &other), 403);
    told(&check("AA", "x"), 401);
    told(&check("AA", ""), 401);
    told(&server.get("/v1/agent/AA"), 401);
}

#[test]
fn a_request_is_signed_by_the_agent_whose_token_it_shows() {
    let server = TestServer::with(agents);
    let token = token(&server, "AA");
    let call = |body: &str| post(&server, REQUESTS, &token, body);
    let with = |more: Value| call(&signed("AA", &deletion("AA", more)));
    // There is no service yet: whatever is right with a request, it is told so.
    let starting = with(json!({}));
    told(&starting, 503);
    assert!(starting.header("retry-after").is_some(), "{starting:?}");
    told(&with(json!({"agent-request-id": "r-7"})), 503);
    told(
        &post(
            &server,
            REQUESTS,
            "x",
            &signed("AA", &deletion("AA", json!({}))),
        ),
        401,
    );
    told(&call(&signed("BB", &deletion("AA", json!({})))), 403);
    told(&call(&signed("AA", &deletion("BB", json!({})))), 403);
    told(&with(json!({"business-id": "OTHER"})), 403);
    told(&call("not base64!"), 400);
    for wrong in [
        json!({"expires-at": in_minutes(-1)}),
        json!({"issued-at": in_minutes(5)}),
        json!({"expires-at": in_minutes(2_000)}),
        // There is no address for results.
        json!({"exercise": "access"}),
        json!({"exercise": "correction"}),
        json!({"exercise": null}),
        json!({"identifier": null}),
        json!({"identifier": "needle\u{7}"}),
        json!({"agent-request-id": "needle@example.org"}),
    ] {
        let answer = with(wrong);
        told(&answer, 400);
        assert_eq!(answer.json()["fatal"], true);
    }
}

#[test]
fn access_is_offered_where_results_have_an_address() {
    let server = TestServer::with(|settings| {
        agents(settings);
        settings.drp.api_base = String::from("https://shop.example");
    });
    let token = token(&server, "AA");
    for right in ["access", "access:specific", "access:categories"] {
        let body = signed("AA", &deletion("AA", json!({"exercise": right})));
        // There is no service yet.
        told(&post(&server, REQUESTS, &token, &body), 503);
    }
    let header = format!("Authorization: Bearer {token}");
    let results =
        |headers: &[&str]| server.call("GET", "/v1/data-rights-request/x/results", headers, b"");
    told(&results(&[&header]), 503);
    told(&results(&[]), 401);
}

#[test]
fn it_is_not_there_unless_it_is_enabled() {
    let server = TestServer::start();
    for (method, target) in [
        ("POST", REQUESTS),
        ("GET", "/v1/data-rights-request/x"),
        ("DELETE", "/v1/data-rights-request/x"),
        ("GET", "/v1/data-rights-request/x/results"),
        ("POST", "/v1/agent/AA"),
        ("GET", "/v1/agent/AA"),
    ] {
        let answer = server.call(method, target, &[], b"");
        assert_eq!(answer.status, 404, "{method} {target}");
        assert_eq!(answer.json()["code"], "route_not_found");
    }
}
