//! A deletion by the Data Rights Protocol, from an agent's message to a receipt.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use recant_types::UnixMillis;
use serde_json::{Value, json};

use crate::support::{Answer, Server, import_and_train};

const REQUESTS: &str = "/v1/data-rights-request";

fn key(agent: &str) -> SigningKey {
    SigningKey::from_bytes(&[agent.as_bytes()[0]; 32])
}

fn configuration(agents: &[&str]) -> String {
    let mut text = String::from("[drp]\nenabled = true\nbusiness_id = \"SHOP\"\n");
    for agent in agents {
        let key = STANDARD.encode(key(agent).verifying_key().as_bytes());
        text += &format!("[[drp.agents]]\nid = \"{agent}\"\nverify_key = \"{key}\"\n");
    }
    text
}

fn start(data: &Path) -> Server {
    let file = data.with_extension("toml");
    std::fs::write(&file, configuration(&["AA", "BB"])).expect("written");
    Server::start_with(data, |command| {
        command.arg("--config").arg(&file);
    })
}

fn signed(agent: &str, more: Value) -> String {
    let now = UnixMillis::now();
    let mut message = json!({
        "agent-id": agent,
        "business-id": "SHOP",
        "issued-at": now.to_rfc3339(),
        "expires-at": UnixMillis(now.0 + 600_000).to_rfc3339(),
        "drp.version": "1.0",
    });
    for (name, value) in more.as_object().expect("an object") {
        message[name] = value.clone();
    }
    let text = message.to_string();
    let mut bytes = key(agent).sign(text.as_bytes()).to_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    STANDARD.encode(bytes)
}

/// An agent at a server.
struct Agent<'a> {
    name: &'static str,
    server: &'a Server,
    bearer: String,
}

impl<'a> Agent<'a> {
    fn set_up(name: &'static str, server: &'a Server) -> Self {
        let text = [("content-type", "text/plain")];
        let body = signed(name, json!({}));
        let answer = server.send("POST", &format!("/v1/agent/{name}"), Some(&body), &text);
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["token"].as_str().expect("a token").to_owned();
        Self {
            name,
            server,
            bearer: format!("Bearer {token}"),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let headers = [
            ("content-type", "text/plain"),
            ("authorization", self.bearer.as_str()),
        ];
        self.server.send(method, path, body, &headers)
    }

    fn deletion(&self, user: &str) -> String {
        let more = json!({"exercise": "deletion", "identifier": user, "agent-request-id": "r-7"});
        signed(self.name, more)
    }
}

fn export(server: &Server, user: &str) -> Value {
    let body = json!({"user": user}).to_string();
    let headers = [("accept", "application/json")];
    server.send("POST", "/export", Some(&body), &headers).json()
}

#[test]
fn a_deletion_is_an_erasure_that_ends_fulfilled_for_anybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let rows: String = (0..60)
        .map(|n| format!("u{},i{}\n", n % 12, n * 7 % 10))
        .collect();
    import_and_train(&data, &format!("user_id,item_id\n{rows}"), &["--dim", "4"]);
    let server = start(&data);
    let agent = Agent::set_up("AA", &server);
    assert_ne!(export(&server, "u1")["interactions"], json!([]));
    let body = agent.deletion("u1");
    let first = agent.send("POST", REQUESTS, Some(&body));
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(export(&server, "u1")["interactions"], json!([]));
    let first = first.json();
    assert_eq!(first["agent_request_id"], "r-7");
    let id = first["request_id"].as_str().expect("an id");
    let path = format!("{REQUESTS}/{id}");
    // The same message again is the same request.
    let again = agent.send("POST", REQUESTS, Some(&body));
    assert_eq!(again.json()["request_id"], *id);
    let stranger = agent.send("POST", REQUESTS, Some(&agent.deletion("nobody")));
    let stranger = stranger.json();
    let keys = |answer: &Value| {
        answer
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    for id in [id, stranger["request_id"].as_str().expect("an id")] {
        let path = format!("{REQUESTS}/{id}");
        server.until("fulfilled", |_| {
            agent.send("GET", &path, None).json()["status"] == "fulfilled"
        });
    }
    let other = format!(
        "{REQUESTS}/{}",
        stranger["request_id"].as_str().expect("an id")
    );
    let (known, unknown) = (
        agent.send("GET", &path, None).json(),
        agent.send("GET", &other, None).json(),
    );
    assert_eq!(keys(&known), keys(&unknown));
    // It is one of the service's erasures, and has a receipt.
    let receipt = format!("/erasures/{id}/receipt");
    server.until("certified", |server| server.get(&receipt).status == 200);
    // Another agent sees nothing of it, and nobody takes it back.
    let stranger = Agent::set_up("BB", &server);
    assert_eq!(stranger.send("GET", &path, None).status, 403);
    assert_eq!(
        stranger.send("GET", &format!("{REQUESTS}/x"), None).status,
        403
    );
    let reason = signed("AA", json!({"reason": "changed my mind"}));
    let revoked = agent.send("DELETE", &path, Some(&reason));
    assert_eq!(
        (revoked.status, revoked.json()["fatal"].clone()),
        (409, json!(true))
    );
    assert_eq!(agent.send("DELETE", &path, Some("x")).status, 400);
    let erasures = server.get("/erasures").json();
    assert_eq!(erasures["erasures"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_repeated_message_is_known_after_a_restart_and_its_token_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, "user_id,item_id\na,x\na,y\nb,x\n", &["--dim", "2"]);
    let server = start(&data);
    let agent = Agent::set_up("AA", &server);
    let body = agent.deletion("a");
    let first = agent.send("POST", REQUESTS, Some(&body)).json();
    let bearer = agent.bearer.clone();
    drop(server);
    let server = start(&data);
    let late = Agent {
        name: "AA",
        server: &server,
        bearer,
    };
    assert_eq!(late.send("POST", REQUESTS, Some(&body)).status, 401);
    let agent = Agent::set_up("AA", &server);
    let again = agent.send("POST", REQUESTS, Some(&body));
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["request_id"], first["request_id"]);
}
