//! `recant import --url URL`: files into a running server.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::scripted::{Reply, server_that};
use crate::support::{Server, recant};

fn written(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

fn import(url: &str, file: &Path, more: &[&str]) -> Output {
    let mut command = recant();
    command
        .arg("import")
        .arg(file)
        .args(["--url", url, "--json"]);
    command.args(more).output().expect("the binary starts")
}

fn summary(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The law: every row that was read is one of these.
fn adds_up(summary: &Value) -> bool {
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name}"));
    let parts = [
        "kept",
        "duplicate",
        "held_back",
        "filtered",
        "rejected",
        "undelivered",
    ];
    let reasons = summary["rejected_by_reason"].as_object().expect("reasons");
    let rejected: u64 = reasons.values().filter_map(Value::as_u64).sum();
    count("rows_read") == parts.map(count).iter().sum::<u64>() && rejected == count("rejected")
}

/// Rows of 50 users with times, and what is said about their items.
fn rows(count: usize) -> String {
    let row = |row: usize| format!("u{},i{},{}\n", row % 50, row, 1_600_000_000 + row);
    String::from("user_id,item_id,timestamp\n") + &(0..count).map(row).collect::<String>()
}

#[test]
fn rows_and_items_of_files_are_served_and_every_row_is_accounted_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    server.forget("user=u7");
    let text = rows(4_500) + "u1,,1\nnull,i1,1600000000\nu2,i2,yesterday\n";
    let file = written(folder.path(), "rows.csv", &text);
    let output = import(&server.url(""), &file, &["--keep-null-ids"]);
    let summary = summary(&output);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(adds_up(&summary), "{summary}");
    assert_eq!(
        [&summary["kept"], &summary["held_back"]],
        [4_410, 90],
        "{summary}"
    );
    assert_eq!(
        summary["rejected_by_reason"]["refused_by_server"], 1,
        "{summary}"
    );
    assert_eq!(summary["rejected"], 3);
    let first = summary["rejected_first"].as_array().expect("rows");
    let refused = first
        .iter()
        .find(|row| row["line"] == 4_503)
        .expect("that row");
    assert!(
        refused["reason"]
            .as_str()
            .is_some_and(|it| it.contains("word for nothing"))
    );
    server.until("learnt", |server| server.model()["interactions"] == 4_410);
    let exported = server.get("/export?user=u3").text;
    assert!(exported.contains("1600000003"), "{exported}");
    assert_eq!(server.get("/export?user=u7").text, "");
}

#[test]
fn what_a_file_does_not_say_about_an_item_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    let held = json!({"items": [
        {"id": "a/b +ü", "title": "old", "tags": ["old"], "properties": {"price": 3}, "hidden": true},
    ]});
    assert_eq!(server.post("/items", &held).status, 200);
    let rows = written(folder.path(), "rows.csv", "user_id,item_id\nu,i\n");
    let items = written(
        folder.path(),
        "items.csv",
        "item_id,title,tags\na/b +ü,new,\nfresh,Fresh,x|y\nfresh,,z\nnull,Nobody,\n",
    );
    let items = items.to_str().expect("UTF-8");
    let more = ["--items", items, "--after-erasures", "--keep-null-ids"];
    let output = import(&server.url(""), &rows, &more);
    let summary = summary(&output);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(
        [&summary["titles"], &summary["titles_rejected"]],
        [3, 1],
        "{summary}"
    );
    assert_eq!(
        summary["titles_rejected_by_reason"],
        json!({"refused_by_server": 1})
    );
    let item = |id: &str| server.get(&format!("/items/{id}")).json();
    let changed = item("a%2Fb%20%2B%C3%BC");
    assert_eq!(
        [&changed["title"], &changed["hidden"]],
        [&json!("new"), &json!(true)]
    );
    assert_eq!(changed["properties"], json!({"price": 3}));
    assert_eq!(
        changed["tags"],
        json!(["old"]),
        "an empty cell says nothing"
    );
    assert_eq!(
        [&item("fresh")["title"], &item("fresh")["tags"]],
        [&json!("Fresh"), &json!(["z"])]
    );
}

#[test]
fn types_of_feedback_are_those_of_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let types = "[feedback.types.view]\n[feedback.types.unheard-of]\n";
    let config = written(folder.path(), "types.toml", types);
    let served = written(folder.path(), "served.toml", "[feedback.types.view]\n");
    let server = Server::start_with(&folder.path().join("data"), |command| {
        command.arg("--config").arg(&served);
    });
    let rows = "user_id,item_id,feedback_type\nu,x,view\nu,y,\nu,z,unheard-of\nu,z,other\n";
    let file = written(folder.path(), "rows.csv", rows);
    let config = config.to_str().expect("UTF-8");
    let more = ["--config", config, "--after-erasures"];
    let summary = summary(&import(&server.url(""), &file, &more));
    assert!(adds_up(&summary), "{summary}");
    let reasons = json!({"refused_by_server": 1, "unknown_type": 1});
    assert_eq!(summary["rejected_by_reason"], reasons);
    server.until("learnt", |server| server.model()["interactions"] == 2);
    let exported = server.get("/export?user=u").text;
    assert!(
        exported.contains(r#""item":"x","type":"view""#),
        "{exported}"
    );
    assert!(
        exported.contains(r#""item":"y","type":"interaction""#),
        "{exported}"
    );
}

/// A server that takes everything but what `refuse` answers; gives the bodies that it took.
fn taking(
    mut refuse: impl FnMut(usize) -> Option<Option<Reply>> + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let mut asked = 0;
    server_that(move |call| {
        if call.starts_with("GET") {
            return Some(Reply::from((200, String::from(r#"{"keys":[]}"#))));
        }
        asked += 1;
        if let Some(answer) = refuse(asked) {
            return answer;
        }
        let rows = call.trim_end().lines().count();
        let taken = json!({"accepted": rows, "held_back": 0, "rejected": []});
        Some(Reply::from((202, taken.to_string())))
    })
}

fn problem(status: u16, code: &str, head: &'static str) -> Reply {
    let body = json!({"code": code, "detail": "mend it"}).to_string();
    Reply { status, body, head }
}

#[test]
fn a_busy_server_is_asked_again_with_the_same_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), "rows.csv", &rows(3_000));
    let (url, calls) = taking(|asked| match asked {
        1 => Some(Some(problem(503, "overloaded", "Retry-After: 0\r\n"))),
        2 => Some(Some(problem(429, "overloaded", "Retry-After: 1\r\n"))),
        _ => None,
    });
    let output = import(&url, &file, &[]);
    let summary = summary(&output);
    assert_eq!(
        (output.status.code(), &summary["kept"]),
        (Some(0), &json!(3_000))
    );
    assert_eq!(summary["warnings"], json!([]), "nothing was taken twice");
    let calls = calls.lock().expect("not poisoned");
    assert_eq!(calls.len(), 1 + 4);
    assert!(calls[1] == calls[2] && calls[2] == calls[3] && calls[3] != calls[4]);
}

#[test]
fn rows_that_may_have_been_taken_are_sent_again_with_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), "rows.csv", &rows(10));
    let (url, _) = taking(|asked| match asked {
        1 => Some(None),
        2 => Some(Some(problem(503, "timed_out", ""))),
        _ => None,
    });
    let summary = summary(&import(&url, &file, &[]));
    assert_eq!(summary["kept"], 10);
    let warning = summary["warnings"][0].as_str().expect("a warning");
    assert!(warning.starts_with("10 rows were sent again"), "{warning}");
}

#[test]
fn what_cannot_be_delivered_is_counted_and_named_by_its_first_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), "rows.csv", &(rows(5_000) + "u1\n"));
    let (url, calls) = taking(|asked| match asked {
        1 => None,
        _ => Some(Some(problem(403, "forbidden", ""))),
    });
    let output = import(&url, &file, &[]);
    let summary = summary(&output);
    assert!(adds_up(&summary), "{summary}");
    let counts = ["kept", "undelivered", "rejected"].map(|name| summary[name].clone());
    assert_eq!(counts, [2_000, 3_000, 1], "{summary}");
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    let expected = format!(
        "3000 rows, from {}:2002 on, were not delivered",
        file.display()
    );
    assert!(
        said.contains(&expected) && said.contains("mend it"),
        "{said}"
    );
    assert_eq!(
        calls.lock().expect("not poisoned").len(),
        1 + 2,
        "nothing more was sent"
    );
}

#[test]
fn an_account_of_the_server_that_does_not_add_up_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), "rows.csv", &rows(10));
    for taken in [
        json!({"accepted": 9, "held_back": 0, "rejected": []}),
        json!({"accepted": 9, "held_back": 0, "rejected": [{"index": 10, "reason": "x"}]}),
        json!("taken"),
    ] {
        let (url, _) = taking(move |_| Some(Some(Reply::from((202, taken.to_string())))));
        let output = import(&url, &file, &[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(summary(&output)["undelivered"], 10);
    }
}

#[test]
fn nobody_there_and_another_server_are_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), "rows.csv", &rows(10));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    let output = import(&url, &file, &["--wait", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("does not answer"),
        "{}",
        said(&output)
    );
    let (url, calls) = server_that(|_| Some((200, String::from("<html>"))));
    let output = import(&url, &file, &[]);
    assert!(said(&output).contains("check --url"), "{}", said(&output));
    assert_eq!(calls.lock().expect("not poisoned").len(), 1);
}

#[test]
fn rows_without_a_time_and_flags_that_a_server_cannot_honour_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = written(folder.path(), "rows.csv", "user_id,item_id\nneedle,x\n");
    let (url, calls) = taking(|_| None);
    let output = import(&url, &file, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said_of_times = said(&output);
    assert!(
        said_of_times.contains("rows.csv:2: a row without a time"),
        "{said_of_times}"
    );
    assert!(!said_of_times.contains("needle"));
    assert_eq!(
        calls.lock().expect("not poisoned").len(),
        1,
        "no row was sent"
    );
    for flags in [
        ["--min-rating", "4"],
        ["--data-dir", "x"],
        ["--strict", "--binary"],
    ] {
        let output = import(&url, &file, &flags[..]);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{flags:?}: {}",
            said(&output)
        );
    }
    assert_eq!(
        import(&url, &file, &["--after-erasures"]).status.code(),
        Some(0)
    );
}
