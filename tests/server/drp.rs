//! The Data Rights Protocol: a deletion from an agent's message to a receipt, and what is held of somebody.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use recant_receipt::WebhookPublicKey;
use recant_store::{Store, StoreOptions};
use recant_types::UnixMillis;
use serde_json::{Value, json};

use crate::support::{Answer, Server, import_and_train};
use crate::webhook_receiver::{Receiver, Reply};

const REQUESTS: &str = "/v1/data-rights-request";

/// Where agents are told to find the server.
const BASE: &str = "https://shop.example/privacy";

fn key(agent: &str) -> SigningKey {
    SigningKey::from_bytes(&[agent.as_bytes()[0]; 32])
}

fn configuration(agents: &[&str]) -> String {
    let mut text =
        format!("[drp]\nenabled = true\nbusiness_id = \"SHOP\"\napi_base = \"{BASE}/\"\n");
    for agent in agents {
        let key = STANDARD.encode(key(agent).verifying_key().as_bytes());
        text += &format!("[[drp.agents]]\nid = \"{agent}\"\nverify_key = \"{key}\"\n");
    }
    text
}

fn start(data: &Path) -> Server {
    start_telling(data, "")
}

/// With more sections, of webhooks.
fn start_telling(data: &Path, sections: &str) -> Server {
    let file = data.with_extension("toml");
    let text = configuration(&["AA", "BB"]) + sections;
    std::fs::write(&file, text).expect("written");
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
        self.exercise("deletion", user)
    }

    fn exercise(&self, right: &str, user: &str) -> String {
        let more = json!({"exercise": right, "identifier": user, "agent-request-id": "r-7"});
        signed(self.name, more)
    }

    /// Asks to see what is held of somebody.
    fn access(&self, right: &str, user: &str) -> Value {
        let answer = self.send("POST", REQUESTS, Some(&self.exercise(right, user)));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn results(&self, answer: &Value) -> Answer {
        self.send("GET", results_path(answer), None)
    }
}

/// The path of the results that an answer names, as the server sees it.
fn results_path(answer: &Value) -> &str {
    let url = answer["results_url"].as_str().expect("an address");
    url.strip_prefix(BASE).expect("it begins with the base")
}

fn names(answer: &Value) -> Vec<String> {
    answer
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

/// A store with a dozen people, and a model.
fn data_with_a_model(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let rows: String = (0..60)
        .map(|n| format!("u{},i{}\n", n % 12, n * 7 % 10))
        .collect();
    import_and_train(&data, &format!("user_id,item_id\n{rows}"), &["--dim", "4"]);
    data
}

fn export(server: &Server, user: &str) -> Value {
    let body = json!({"user": user}).to_string();
    let headers = [("accept", "application/json")];
    server.send("POST", "/export", Some(&body), &headers).json()
}

#[test]
fn a_deletion_is_an_erasure_that_ends_fulfilled_for_anybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = data_with_a_model(folder.path());
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
    assert_eq!(names(&known), names(&unknown));
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

#[test]
fn what_is_held_of_somebody_is_read_when_the_agent_fetches_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&data_with_a_model(folder.path()));
    let said = json!({"properties": {"city": "Turin"}}).to_string();
    let content = [("content-type", "application/json")];
    let answer = server.send("PUT", "/users/u1", Some(&said), &content);
    assert_eq!(answer.status, 200, "{answer:?}");
    let people = server.get("/users").json();
    let agent = Agent::set_up("AA", &server);
    let everything = export(&server, "u1");
    for right in ["access", "access:specific"] {
        let answer = agent.access(right, "u1");
        assert_eq!(answer["status"], "fulfilled");
        assert_eq!(answer["agent_request_id"], "r-7");
        let results = agent.results(&answer);
        assert_eq!((results.status, results.json()), (200, everything.clone()));
    }
    let kinds = agent.access("access:categories", "u1");
    let expected = json!({"user": "u1", "properties": ["city"], "interactions": ["interaction"]});
    assert_eq!(agent.results(&kinds).json(), expected);
    // A stranger's request is like anybody's, and leaves nothing of them.
    let (known, unknown) = (agent.access("access", "u1"), agent.access("access", "xx"));
    assert_eq!(names(&known), names(&unknown));
    let length = |answer: &Value| answer["results_url"].as_str().map(str::len);
    assert_eq!(length(&known), length(&unknown));
    assert_eq!(known["processing_details"], unknown["processing_details"]);
    let nothing = |user: &str| json!({"user": user, "properties": {}, "interactions": []});
    assert_eq!(agent.results(&unknown).json(), nothing("xx"));
    assert_eq!(server.get("/users").json(), people);
    assert_eq!(server.get("/erasures").json()["erasures"], json!([]));
    // Whoever is erased is gone from results that were named before.
    assert_eq!(
        agent
            .send("POST", REQUESTS, Some(&agent.deletion("u1")))
            .status,
        200
    );
    assert_eq!(agent.results(&known).json(), nothing("u1"));
    let none = json!({"user": "u1", "properties": [], "interactions": []});
    assert_eq!(agent.results(&kinds).json(), none);
}

#[test]
fn results_are_for_the_agent_that_asked_and_for_a_week() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = data_with_a_model(folder.path());
    let server = start(&data);
    let agent = Agent::set_up("AA", &server);
    let answer = agent.access("access", "needle-u1");
    let (id, path) = (
        answer["request_id"].as_str().expect("an id").to_owned(),
        results_path(&answer).to_owned(),
    );
    assert!(!answer.to_string().contains("needle"), "{answer}");
    assert_eq!(server.get(&path).status, 401);
    let other = Agent::set_up("BB", &server);
    let request = format!("{REQUESTS}/{id}");
    for target in [&path, &request] {
        assert_eq!(other.send("GET", target, None).status, 403);
    }
    let mut bent = id.clone().into_bytes();
    bent[40] = if bent[40] == b'A' { b'B' } else { b'A' };
    let bent = format!("{REQUESTS}/{}", String::from_utf8_lossy(&bent));
    assert_eq!(agent.send("GET", &bent, None).status, 403);
    let reason = signed("AA", json!({"reason": "changed my mind"}));
    assert_eq!(agent.send("DELETE", &request, Some(&reason)).status, 409);
    let deletion = agent
        .send("POST", REQUESTS, Some(&agent.deletion("xx")))
        .json();
    let deletion = deletion["request_id"].as_str().expect("an id");
    let none = agent.send("GET", &format!("{REQUESTS}/{deletion}/results"), None);
    assert_eq!(none.status, 404);
    // The same after a restart, with another token.
    drop(server);
    let expired = asked_long_ago(&data, &id);
    let server = start(&data);
    let agent = Agent::set_up("AA", &server);
    assert_eq!(agent.send("GET", &request, None).json(), answer);
    assert_eq!(agent.send("GET", &path, None).status, 200);
    let over = agent
        .send("GET", &format!("{REQUESTS}/{expired}"), None)
        .json();
    assert_eq!(over["status"], "expired");
    assert_eq!(over["results_url"], Value::Null);
    let over = agent.send("GET", &format!("{REQUESTS}/{expired}/results"), None);
    assert_eq!(over.status, 410, "{over:?}");
    let logged = server.logged();
    assert!(!logged.contains("needle"), "{logged}");
}

/// The id of the same request, had it been made a week before.
fn asked_long_ago(data: &Path, id: &str) -> String {
    let store = Store::open(data, &StoreOptions::default()).expect("nobody has it open");
    let sealer = store.sealer("drp access request").expect("a key");
    let sealed = URL_SAFE_NO_PAD.decode(id).expect("base64");
    let request = sealer.open(&sealed).expect("sealed here");
    let mut request: Value = serde_json::from_slice(&request).expect("JSON");
    let week = 7 * 24 * 60 * 60 * 1_000;
    request["received_at"] = json!(request["received_at"].as_i64().expect("a time") - week);
    let text = serde_json::to_vec(&request).expect("JSON");
    URL_SAFE_NO_PAD.encode(sealer.seal(&text))
}

/// The body of a deletion whose agent wants to be told at `url`.
fn deletion_with_callback(agent: &str, user: &str, url: &str) -> String {
    let more = json!({
        "exercise": "deletion", "identifier": user, "agent-request-id": "r-8", "status_callback": url,
    });
    signed(agent, more)
}

#[test]
fn an_agent_is_told_where_that_was_agreed_on_and_of_what_it_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = data_with_a_model(folder.path());
    let receiver = Receiver::start(|_| Reply::Status(500));
    let url = format!("http://{}/hooks/s3cret", receiver.address);
    let section = receiver.section("agent-aa", "drp_agent = \"AA\"");
    let server = start_telling(&data, &section);
    let agent = Agent::set_up("AA", &server);
    let (stranger, path) = (Agent::set_up("BB", &server), format!("{url}/other"));
    let ask = |agent: &Agent<'_>, body: &str| {
        let answer = agent.send("POST", REQUESTS, Some(body));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let uncalled = |answer: &Value| {
        let details = answer["processing_details"].as_str().expect("a text");
        details.contains("status_callback is not called")
    };
    // None of these is told of: it is another's address, one that nobody agreed on, or none was named.
    let others = [
        ask(&stranger, &deletion_with_callback("BB", "u1", &url)),
        ask(&agent, &deletion_with_callback("AA", "u2", &path)),
        ask(&agent, &agent.deletion("u3")),
    ];
    assert_eq!([0, 1, 2].map(|n| uncalled(&others[n])), [true, true, false]);
    assert_eq!(server.delete("/interactions?user=u4").status, 202);
    let body = deletion_with_callback("AA", "u5", &url);
    let first = ask(&agent, &body);
    assert!(!uncalled(&first), "{first}");
    assert_eq!(ask(&agent, &body)["request_id"], first["request_id"]);
    // It is refused, survives a restart, and is sent again.
    server.until("refused", |_| receiver.count() > 0);
    assert_eq!(server.stop(), Some(0));
    receiver.decide(|_| Reply::Status(200));
    let refused = receiver.count();
    let server = start_telling(&data, &section);
    server.until("told", |_| receiver.count() > refused);
    server.until("nothing to tell", |server| {
        server.get("/webhooks").json()["webhooks"][0]["waiting"] == 0
    });
    let shown = server.get("/webhooks").json()["webhooks"][0].clone();
    assert_eq!(shown["states"], json!(["forgotten"]));
    let agent = Agent::set_up("AA", &server);
    let id = first["request_id"].as_str().expect("an id");
    let now = agent.send("GET", &format!("{REQUESTS}/{id}"), None).json();
    let key = WebhookPublicKey::parse(shown["public_key"].as_str().expect("a key"));
    let key = key.expect("a public key");
    for received in receiver.received() {
        let told = received.json();
        let expected = [
            "agent_request_id",
            "processing_details",
            "received_at",
            "request_id",
            "status",
        ];
        assert_eq!(names(&told), expected);
        assert_eq!(told["status"], "fulfilled");
        for same in ["request_id", "received_at", "agent_request_id"] {
            assert_eq!(told[same], now[same]);
        }
        let (id, signature) = (
            received.header("webhook-id"),
            received.header("webhook-signature"),
        );
        let timestamp = received
            .header("webhook-timestamp")
            .parse()
            .expect("seconds");
        assert!(key.verifies(id, timestamp, &received.body, signature));
    }
    assert_eq!(receiver.count(), refused + 1);
    assert!(!server.logged().contains("s3cret"));
}

#[test]
fn an_agents_internal_address_is_refused_unless_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = data_with_a_model(folder.path());
    let receiver = Receiver::start(|_| Reply::Status(200));
    let section = receiver.section("agent-aa", "drp_agent = \"AA\"");
    let section = section.replace("allow_internal = true", "");
    let server = start_telling(&data, &section);
    let agent = Agent::set_up("AA", &server);
    let url = format!("http://{}/hooks/s3cret", receiver.address);
    let body = deletion_with_callback("AA", "u5", &url);
    assert_eq!(agent.send("POST", REQUESTS, Some(&body)).status, 200);
    server.until("refused", |server| {
        server.logged().contains("its address is internal")
    });
    assert_eq!(receiver.count(), 0);
}
