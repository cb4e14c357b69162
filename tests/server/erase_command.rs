//! `recant erase` against a real server.

use std::collections::HashSet;
use std::process::Output;

use crate::scripted::server_that;
use crate::support::{Server, import_and_train, recant};
use serde_json::{Value, json};

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in [
        "-usr-needle",
        "usr-needle-1",
        "usr-needle-2",
        "usr-needle-3",
        "other-1",
        "other-2",
    ] {
        for item in 0..8 {
            if (user.len() + item) % 4 != 0 || user.starts_with("other") {
                csv.push_str(&format!("{user},itm-{item}\n"));
            }
        }
    }
    csv
}

#[test]
fn an_operator_erases_people_and_pairs_and_holds_verified_receipts() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let server = Server::start(&data);
    let leavers = folder.path().join("leavers");
    // As an editor of another system leaves it.
    let text = "\u{feff}usr-needle-1 \r\n \r\n\tusr-needle-2\r\n";
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes);
    std::fs::write(&leavers, utf16.collect::<Vec<u8>>()).expect("space for it");
    let receipts = folder.path().join("receipts.jws");
    let output = recant()
        .args(["erase", "--json", "--url", &server.url("")])
        .args([
            "--user",
            "-usr-needle ",
            "--pair",
            " usr-needle-3",
            "itm-2\t",
        ])
        .arg("--users-file")
        .arg(&leavers)
        .arg("--receipts")
        .arg(&receipts)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("usr-needle"), "{said}");
    let erased: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(erased[0]["holds"], true, "{erased}");
    assert_eq!(erased[0]["names"], 4);
    for user in ["-usr-needle", "usr-needle-1", "usr-needle-2"] {
        assert_eq!(
            server.get(&format!("/export?user={user}")).text,
            "",
            "{user}"
        );
    }
    let left = server.get("/export?user=usr-needle-3").text;
    assert!(!left.is_empty() && !left.contains("itm-2"), "{left}");

    // The receipt says the same to somebody who was not there.
    let request = folder.path().join("request.json");
    let body = r#"{"users":["usr-needle-2","usr-needle-1","-usr-needle"],
                   "interactions":[{"user":"usr-needle-3","item":"itm-2"}]}"#;
    std::fs::write(&request, body).expect("space for it");
    let salt = erased[0]["receipt_salt"].as_str().expect("a salt");
    let verified = recant()
        .arg("verify")
        .arg(&receipts)
        .args(["--salt", salt, "--pairs"])
        .arg(&request)
        .arg("--data-dir")
        .arg(&data)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{said}");
    assert!(said.contains("the certificate holds"), "{said}");
    assert!(said.contains("the salt opens it"), "{said}");
}

fn erase(url: &str, flags: &[&str]) -> (Output, String) {
    let output = recant()
        .args(["erase", "--url", url])
        .args(flags)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

/// An id and a salt that are like those of a server.
fn accepted(number: usize) -> (u16, String) {
    let id = format!("00000000-0000-0000-0000-00000000000{number}");
    let salt = format!("{number}").repeat(43);
    (
        202,
        json!({"id": id, "status": "accepted", "receipt_salt": salt}).to_string(),
    )
}

#[test]
fn one_erasure_without_a_receipt_keeps_no_other_from_its_own_and_no_salt_is_lost() {
    let mut erasures = 0;
    let (url, calls) =
        server_that(
            move |call| match call.split_whitespace().collect::<Vec<_>>()[..] {
                ["GET", "/.well-known/jwks.json", ..] => {
                    Some((200, json!({"keys": []}).to_string()))
                }
                ["POST", "/erasures", ..] => {
                    erasures += 1;
                    // The first attempt of the second request gets lost.
                    (erasures != 2).then(|| accepted(erasures))
                }
                ["GET", path, ..] if path.contains("0001/") => {
                    Some((404, json!({"detail": "no such erasure"}).to_string()))
                }
                _ => Some((200, String::from("not-a-receipt"))),
            },
        );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("leavers");
    let names: Vec<String> = (0..=10_000).map(|n| format!("usr-needle-{n}")).collect();
    std::fs::write(&file, names.join("\n")).expect("space for it");
    let file = file.to_str().expect("UTF-8");
    let (output, said) = erase(&url, &["--json", "--users-file", file]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("2 of 2 receipts") && !said.contains("needle"),
        "{said}"
    );
    let outcomes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (outcome, number) in outcomes.as_array().expect("a list").iter().zip([1, 3]) {
        let salt = format!("{number}").repeat(43);
        assert_eq!(outcome["receipt_salt"], salt, "{outcome}");
        assert!(said.contains(&salt), "told at once: {said}");
        assert_eq!(outcome["holds"], false, "{outcome}");
    }
    assert!(
        outcomes[0]["problem"]
            .as_str()
            .is_some_and(|why| why.contains("404")),
        "{outcomes}"
    );
    assert!(
        outcomes[1]["problem"]
            .as_str()
            .is_some_and(|why| why.contains("receipt")),
        "{outcomes}"
    );
    // What was tried again was the same erasure.
    let calls = calls.lock().expect("not poisoned");
    let posts = calls.iter().filter(|call| call.starts_with("POST"));
    let keys: Vec<&str> = posts
        .map(|call| call.split(' ').nth(2).expect("a key"))
        .collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[1], keys[2]);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 2);
}

#[test]
fn a_receipt_without_a_salt_is_not_taken_for_one_about_what_was_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let server = Server::start(&data);
    // Stands between, and takes the salt away.
    let to = server.url("");
    let (url, _) = server_that(move |call| {
        let parts: Vec<&str> = call.splitn(4, ' ').collect();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let target = format!("{to}{}", parts[1]);
        let mut answer = if parts[0] == "POST" {
            let request = agent
                .post(target)
                .header("content-type", "application/json");
            request.send(parts[3]).ok()?
        } else {
            agent.get(target).call().ok()?
        };
        let text = answer.body_mut().read_to_string().ok()?;
        let text = match serde_json::from_str::<Value>(&text) {
            Ok(mut body) if parts[0] == "POST" => {
                body["receipt_salt"] = Value::Null;
                body.to_string()
            }
            _ => text,
        };
        Some((answer.status().as_u16(), text))
    });
    let (output, said) = erase(&url, &["--json", "--user", "other-1"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let outcomes: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problem = outcomes[0]["problem"].as_str().expect("a problem");
    assert!(problem.contains("no salt"), "{problem}");
    assert_eq!(outcomes[0]["holds"], false);
}

#[test]
fn nobody_is_named_to_what_is_no_recant_server() {
    let (url, calls) = server_that(|_| Some((200, String::from("<html>"))));
    let (output, said) = erase(&url, &["--user", "usr-needle"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("check --url"), "{said}");
    let calls = calls.lock().expect("not poisoned");
    assert!(
        calls.iter().all(|call| !call.contains("needle")),
        "{calls:?}"
    );
    let (output, said) = erase("http://127.0.0.1:9", &["--user", "usr-needle"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not answer"), "{said}");
}
