//! Whether somebody is known cannot be told from how their erasure is answered: neither from the
//! answer nor from the work it takes.

use crate::support::{Server, import_and_train};
use serde_json::Value;

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..20 {
        for item in 0..10 {
            if (user + 2 * item) % 3 != 0 {
                csv.push_str(&format!("user-{user},item-{item}\n"));
            }
        }
    }
    csv
}

/// Syncs of the store so far.
fn syncs(server: &Server) -> u64 {
    let metrics = server.get("/metrics").text;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("recant_store_sync_seconds_count "));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    count.expect("a counter")
}

/// What saying something about somebody shows of itself.
fn say(server: &Server, user: &str) -> (u16, Vec<String>, usize, u64) {
    let before = syncs(server);
    let said = Some(r#"{"properties":{"city":"Turin","age":41}}"#);
    let answer = server.send("PUT", &format!("/users/{user}"), said, &[]);
    let headers = answer.headers.iter().map(|(name, _)| name.clone());
    let length = answer.text.len() - user.len();
    (
        answer.status,
        headers.collect(),
        length,
        syncs(server) - before,
    )
}

/// What the erasure that `query` names shows of itself from acceptance to certificate.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    headers: Vec<String>,
    answer: Vec<String>,
    erasure: Vec<(String, bool)>,
    claims: Vec<String>,
    syncs: u64,
}

fn names(value: &Value) -> Vec<String> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

fn erase(server: &Server, query: &str) -> Seen {
    let before = syncs(server);
    let answer = server.delete(&format!("/interactions?{query}"));
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let erasure = server.until_erasure(&id, &["certified"]);
    let receipt = server.get(&format!("/erasures/{id}/receipt"));
    assert_eq!(receipt.status, 200, "{}", receipt.text);
    let shown = erasure.as_object().expect("an object");
    Seen {
        status: answer.status,
        headers: answer
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        answer: names(&answer.json()),
        erasure: shown
            .iter()
            .map(|(name, value)| (name.clone(), value.is_null()))
            .collect(),
        claims: names(&claims(&receipt.text)),
        syncs: syncs(server) - before,
    }
}

fn claims(receipt: &str) -> Value {
    use base64::Engine;
    let part = receipt.split('.').nth(1).expect("three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.expect("base64url")).expect("JSON")
}

#[test]
fn known_and_unknown_are_answered_alike_with_the_same_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "32"]);
    let server = Server::start(&data);
    // The first update after a start may have more to refine.
    server.until_erasure(
        server.forget("user=nobody")["id"].as_str().expect("an id"),
        &["certified"],
    );
    let said = Some(r#"{"properties":{"city":"Turin"}}"#);
    assert_eq!(server.send("PUT", "/users/alone", said, &[]).status, 200);
    for (known, unknown) in [
        ("user=user-1", "user=user-unknown"),
        ("user=user-2&item=item-1", "user=user-2&item=item-unknown"),
        ("user=user-3&item=item-2", "user=user-unknown&item=item-2"),
        ("item=item-3", "item=item-unknown"),
        // Of one something is said, of the other nothing at all is held.
        ("user=alone", "user=unknown-too"),
        // Erased a moment ago, so unknown by now.
        ("user=user-4", "user=user-4"),
    ] {
        assert_eq!(erase(&server, known), erase(&server, unknown), "{known}");
    }
    // With interactions, with something said already, and with nothing.
    assert_eq!(say(&server, "user-5"), say(&server, "stranger"));
    assert_eq!(say(&server, "user-5"), say(&server, "nobody"));
}
