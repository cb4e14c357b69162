//! Ids stay out of everything a server says: logs at any level, metrics, answers about erasures,
//! problems; and out of what a crash would leave.

use crate::support::{Server, import_and_train};
use serde_json::json;

/// In every id that is sent; nothing else contains it.
const NEEDLE: &str = "n33dle";

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..12 {
        for item in 0..10 {
            if (user + 2 * item) % 3 != 0 {
                csv.push_str(&format!("{NEEDLE}-u{user},{NEEDLE}-i{item}\n"));
            }
        }
    }
    csv
}

/// The forms in which the needle could show in a text.
fn shown(text: &str) -> bool {
    let hex: String = NEEDLE.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = format!("{:?}", NEEDLE.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    [NEEDLE, &hex, "bjMzZGxl", bytes]
        .iter()
        .any(|form| text.to_lowercase().contains(&form.to_lowercase()))
}

/// Requests that are wrong in every way, with the needle wherever text can stand.
fn odd_requests(server: &Server) {
    let long = format!("{NEEDLE}{}", "x".repeat(5_000));
    let bodies = [
        format!("{{\"{NEEDLE}\":1}}"),
        format!("{{\"interactions\":\"{NEEDLE}\"}}"),
        format!("{{\"interactions\":[{{\"user\":\"{NEEDLE}\"}}]}}"),
        format!("{{\"interactions\":[{{\"user\":\"{NEEDLE}\\u0000\",\"item\":\"{NEEDLE}\"}}]}}"),
        format!("{{\"interactions\":[{{\"user\":[\"{NEEDLE}\"],\"item\":{{\"{NEEDLE}\":1}}}}]}}"),
        format!("{{\"interactions\":[{{\"user\":\"{long}\",\"item\":\"x\"}}]}}"),
        format!("{{\"history\":\"{NEEDLE}\"}}"),
        format!("{{\"properties\":\"{NEEDLE}\"}}"),
        format!("{{\"properties\":{{\"{NEEDLE} {NEEDLE}\":1}}}}"),
        format!("{{\"properties\":{{\"a\":[\"{NEEDLE}\"]}}}}"),
        format!("{{\"properties\":{{\"{NEEDLE}\":\"{long}\"}}}}"),
        format!("{{\"user\":\"{NEEDLE}\",\"k\":\"{NEEDLE}\"}}"),
        String::from(NEEDLE),
        format!("[\"{NEEDLE}\"]"),
        format!("{{\"interactions\":[{{\"user\":\"{NEEDLE}"),
    ];
    let mut answers = Vec::new();
    for body in &bodies {
        for (method, path) in [
            ("POST", "/interactions"),
            ("POST", "/erasures"),
            ("DELETE", "/interactions"),
            ("POST", "/recommend"),
            ("PUT", "/users/a"),
        ] {
            answers.push(server.send(method, path, Some(body), &[]));
            let lines = [("content-type", "application/x-ndjson")];
            answers.push(server.send(method, path, Some(body), &lines));
        }
    }
    for target in [
        format!("/recommend?user={NEEDLE}&k={NEEDLE}"),
        format!("/recommend?{NEEDLE}={NEEDLE}"),
        format!("/recommend?user={NEEDLE}%00"),
        format!("/recommend?user={NEEDLE}%ff"),
        format!("/recommend?user={long}"),
        format!("/similar?item={NEEDLE}-unknown"),
        format!("/export?user={NEEDLE}&{NEEDLE}"),
        format!("/users/{NEEDLE}-unknown"),
        format!("/users/{NEEDLE}%00"),
        format!("/users?cursor={NEEDLE}&{NEEDLE}"),
        format!("/erasures/{NEEDLE}"),
        format!("/erasures/{NEEDLE}/receipt"),
        format!("/erasures?cursor={NEEDLE}"),
        format!("/{NEEDLE}"),
        format!("/docs/{NEEDLE}"),
    ] {
        for method in ["GET", "DELETE", "PATCH", "OPTIONS"] {
            let headers = [
                ("prefer", NEEDLE),
                ("idempotency-key", NEEDLE),
                ("x-request-id", NEEDLE),
                ("user-agent", NEEDLE),
                ("authorization", NEEDLE),
            ];
            answers.push(server.send(method, &target, None, &headers));
        }
    }
    for answer in answers.iter().filter(|answer| answer.status >= 400) {
        assert!(!shown(&answer.text), "{answer:?}");
        let named = answer.headers.iter().any(|(_, value)| shown(value));
        assert!(!named, "{answer:?}");
    }
}

/// What people do on a good day.
fn good_requests(server: &Server) {
    let add = json!({"interactions": [{"user": format!("{NEEDLE}-new"), "item": format!("{NEEDLE}-i1")}]});
    assert_eq!(server.post("/interactions", &add).json()["accepted"], 1);
    let said = json!({"properties": {NEEDLE: NEEDLE, "other": NEEDLE}}).to_string();
    for user in ["u1", "u3", "alone"] {
        let path = format!("/users/{NEEDLE}-{user}");
        assert_eq!(server.send("PUT", &path, Some(&said), &[]).status, 200);
        assert!(shown(&server.get(&path).text) && shown(&server.get("/users").text));
    }
    let mut ids = Vec::new();
    for query in [
        format!("user={NEEDLE}-u1&item={NEEDLE}-i1"),
        format!("user={NEEDLE}-u2"),
        format!("item={NEEDLE}-i2"),
        format!("user={NEEDLE}-unknown"),
    ] {
        let accepted = server.forget(&query);
        assert!(!shown(&accepted.to_string()), "{accepted}");
        ids.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    for id in ids {
        server.until_erasure(&id, &["certified"]);
        let erasure = server.get(&format!("/erasures/{id}")).text;
        assert!(!shown(&erasure), "{erasure}");
    }
    server.get(&format!("/recommend?user={NEEDLE}-u3"));
    server.get(&format!("/export?user={NEEDLE}-u3"));
}

#[test]
fn ids_stay_out_of_logs_metrics_and_problems() {
    for (format, level) in [("text", "trace"), ("json", "trace"), ("text", "info")] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        import_and_train(&data, &catalogue(), &["--dim", "4"]);
        let server = Server::start_with(&data, |command| {
            command.env("RECANT_LOG", level);
            command.env("RECANT__LOG__FORMAT", format);
        });
        odd_requests(&server);
        good_requests(&server);
        let metrics = server.get("/metrics").text;
        assert!(!shown(&metrics), "{metrics}");
        let log = server.log.clone();
        assert_eq!(server.stop(), Some(0));
        let logged = std::fs::read_to_string(log).expect("a log");
        for line in logged.lines() {
            assert!(!shown(line), "{format}, {level}: {line}");
        }
        assert!(logged.contains("accepted"), "nothing was logged at all");
    }
}

#[test]
fn a_crash_leaves_no_memory_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid()));
    let limits = limits.expect("a running process");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = line.expect("a limit").split_whitespace().collect();
    assert_eq!(&words[4..6], ["0", "0"]);
    // The maps of a process that is not dumpable belong to root, whoever runs it.
    assert!(server.get("/metrics").text.contains("\nprocess_open_fds "));
}
