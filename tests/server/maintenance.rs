//! Compacting, backing up and rotating keys with the real binary, beside a server and without one.

use std::path::Path;

use crate::support::{Server, import_and_train, recant, run};
use serde_json::{Value, json};

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..12 {
        for item in 0..8 {
            if (user * 3 + item * 5) % 4 < 2 {
                csv.push_str(&format!("user-{user},item-{item}\n"));
            }
        }
    }
    csv
}

fn command(name: &[&str], data: &Path, more: &[&str]) -> Value {
    let mut command = recant();
    let command = command.args(name).arg("--data-dir").arg(data).args(more);
    let text = run(command.arg("--json"));
    serde_json::from_str(&text).expect("JSON")
}

fn held(server: &Server, user: &str) -> usize {
    let text = server.get(&format!("/export?user={user}")).text;
    text.lines().count()
}

#[test]
fn a_backup_made_while_serving_brings_nothing_erased_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let server = Server::start(&data);
    let before = server.model()["interactions"].clone();
    let summary = command(&["backup"], &data, &["--to", file.to_str().expect("text")]);
    assert_eq!(summary["interactions"], before);
    server.forget("user=user-1");
    let others = held(&server, "user-2");
    let compaction = command(&["compact"], &data, &[]);
    assert!(compaction["records"].as_u64() > Some(10), "{compaction}");
    assert!(
        server
            .get("/metrics")
            .text
            .contains("recant_compaction_last_timestamp_seconds")
    );
    let again = recant()
        .args(["restore"])
        .arg(&file)
        .arg("--data-dir")
        .arg(&data)
        .output()
        .expect("the binary starts");
    assert_eq!(again.status.code(), Some(1), "the server has the store");
    assert_eq!(server.stop(), Some(0));
    let file = file.to_str().expect("text");
    let restored = command(&["restore", file], &data, &[]);
    assert_eq!(restored["unreadable"], 1);
    let server = Server::start(&data);
    assert_eq!(held(&server, "user-1"), 0);
    assert_eq!(held(&server, "user-2"), others);
    assert_eq!(server.model()["interactions"], restored["interactions"]);
}

#[test]
fn keys_are_rotated_and_the_store_opens_with_the_new_one_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, key) = (folder.path().join("data"), folder.path().join("key"));
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let rotate = |more: &[&str]| {
        let mut command = recant();
        let command = command.args(["keys", "rotate", "--data-dir"]).arg(&data);
        run(command.args(more))
    };
    rotate(&[]);
    rotate(&["--to-file", key.to_str().expect("text")]);
    assert!(!data.join("keys").join("master").exists());
    let refused = recant()
        .args(["compact", "--data-dir"])
        .arg(&data)
        .output()
        .expect("the binary starts");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("master key"), "{said}");
    let server = Server::start_with(&data, |command| {
        command.env("RECANT__KEYS__MASTER_FILE", &key);
    });
    assert!(held(&server, "user-1") > 0);
}

#[test]
fn rows_from_before_an_erasure_are_held_back_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, csv) = (folder.path().join("data"), folder.path().join("old.csv"));
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let server = Server::start(&data);
    server.forget("user=user-1");
    let row =
        |timestamp: Value| json!({"user": "user-1", "item": "item-0", "timestamp": timestamp});
    let send =
        |timestamp: Value| server.post("/interactions", &json!({"interactions": [row(timestamp)]}));
    let old = send(json!(1_000_000_000)).json();
    assert_eq!(
        (&old["accepted"], &old["held_back"]),
        (&json!(0), &json!(1))
    );
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(3_600);
    let since_1970 = ahead
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let new = send(json!(since_1970.as_secs())).json();
    assert_eq!(
        (&new["accepted"], &new["held_back"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(server.stop(), Some(0));
    std::fs::write(&csv, "user_id,item_id\nuser-1,item-1\nuser-2,item-1\n").expect("written");
    let csv = csv.to_str().expect("text");
    let held = command(&["import", csv], &data, &[]);
    assert_eq!((&held["held_back"], &held["kept"]), (&json!(1), &json!(1)));
    let taken = command(&["import", csv], &data, &["--after-erasures"]);
    assert_eq!(
        (&taken["held_back"], &taken["kept"]),
        (&json!(0), &json!(1))
    );
}
