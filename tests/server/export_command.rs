//! `recant export-catalogue` and `recant export-interactions`: what is written is what an import reads.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Server, recant, run};

/// Writes what `data` holds to `items` and `interactions` in `folder`.
fn export(data: &Path, folder: &Path) {
    for (command, file) in [
        ("export-catalogue", "items.jsonl"),
        ("export-interactions", "interactions.jsonl"),
    ] {
        let path = folder.join(file);
        let output = recant()
            .arg(command)
            .arg("--data-dir")
            .arg(data)
            .arg("--output")
            .arg(&path)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && output.stdout.is_empty(),
            "{said}"
        );
        assert!(!said.contains("needle"), "{said}");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

const TYPES: &str =
    "[feedback.types.view]\nweight = 0.5\n[feedback.types.click]\ncombine = \"sum\"\n";

fn import(data: &Path, folder: &Path, config: &Path) -> Value {
    let summary = run(recant()
        .arg("import")
        .arg(folder.join("interactions.jsonl"))
        .arg("--items")
        .arg(folder.join("items.jsonl"))
        .arg("--data-dir")
        .arg(data)
        .arg("--config")
        .arg(config)
        .args(["--strict", "--json"]));
    serde_json::from_str(&summary).expect("JSON")
}

/// The lines of a file, in no order.
fn lines(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).expect("written");
    text.lines().map(str::to_owned).collect()
}

fn interactions() -> Vec<Value> {
    let odd = [
        json!({"user": "needle \"q\" \\ ü", "item": "a/b|c", "weight": 0.1, "timestamp": 1_700_000_000}),
        json!({"user": "needle", "item": "a/b|c", "weight": 1e-6}),
        json!({"user": "needle", "item": "dune", "weight": 999_999.9, "timestamp": -86_400}),
        json!({"user": "needle", "item": "x", "timestamp": 1_700_000_000_123_456_789_i64}),
        // Seconds whose digits are a date.
        json!({"user": "needle", "item": "y", "timestamp": "1970-08-23T06:15:15Z"}),
        json!({"user": "7", "item": "0", "weight": 3, "timestamp": "2024-01-15T12:30:00.5Z"}),
        json!({"user": "7", "item": "0", "type": "view", "weight": 2.5}),
        json!({"user": "7", "item": "0", "type": "click", "weight": 4, "timestamp": 1_700_000_000}),
    ];
    let plain = (0..40).map(|row| {
        json!({"user": format!("u{}", row % 7), "item": format!("i{}", row % 11), "weight": 1.5 + f64::from(row)})
    });
    odd.into_iter().chain(plain).collect()
}

fn items() -> Value {
    json!({"items": [
        {"id": "dune", "title": " Dune, or \"sand\"\n", "tags": ["b|c", "a", "ü"], "timestamp": 20_240_115,
         "properties": {"price": 12.5, "tiny": 1e-300, "exact": 9_007_199_254_740_991_i64, "new": true,
                        "text": " \"quoted\" \u{1}"}},
        {"id": "a/b|c", "hidden": true},
        {"id": "null-title", "title": null, "properties": {"price": -0.5}, "timestamp": "1970-08-23T06:15:15Z"},
        {"id": "nothing said"},
    ]})
}

#[test]
fn what_is_exported_makes_the_same_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let config = folder.path().join("types.toml");
    std::fs::write(&config, TYPES).expect("written");
    let start = |data: &Path| {
        Server::start_with(data, |command| {
            command.arg("--config").arg(&config);
        })
    };
    let server = start(&data);
    assert_eq!(server.post("/items", &items()).status, 200);
    let answer = server.post("/interactions", &json!({"interactions": interactions()}));
    assert_eq!(answer.json()["rejected"], json!([]), "{}", answer.text);
    // Three types of one pair are one pair.
    let count = interactions().len() - 2;
    server.until("learnt", |server| server.model()["interactions"] == count);
    let listed = server.get("/items?limit=1000").json();
    assert_eq!(server.stop(), Some(0));
    export(&data, folder.path());
    let held: usize = lines(&folder.path().join("interactions.jsonl")).len();
    let summary = import(&other, folder.path(), &config);
    assert_eq!(summary["rows_read"], held);
    assert_eq!(summary["kept"], held, "{summary}");
    assert_eq!(summary["titles"], 4, "{summary}");

    let again = tempfile::tempdir().expect("a folder");
    export(&other, again.path());
    for file in ["items.jsonl", "interactions.jsonl"] {
        let (first, second) = (folder.path().join(file), again.path().join(file));
        assert_eq!(lines(&first), lines(&second), "{file}");
    }
    let served = start(&other);
    assert_eq!(served.get("/items?limit=1000").json(), listed);
    let exported = |user: &str| {
        let answer = served.send(
            "POST",
            "/export",
            Some(&json!({"user": user}).to_string()),
            &[],
        );
        let lines = answer.text.lines().map(serde_json::from_str::<Value>);
        lines.map(|line| line.expect("JSON")).collect::<Vec<_>>()
    };
    let times: Vec<_> = exported("needle")
        .iter()
        .map(|row| row["timestamp"].clone())
        .collect();
    for time in [
        json!(null),
        json!(-86_400),
        json!(1_700_000_000_123_456_789_i64),
        json!(20_240_115),
    ] {
        assert!(times.contains(&time), "{time}: {times:?}");
    }
    let typed: BTreeSet<String> = exported("7")
        .iter()
        .map(|row| format!("{} {} {}", row["type"], row["weight"], row["timestamp"]))
        .collect();
    let expected = [
        r#""click" 4.0 1700000000"#,
        r#""interaction" 3.0 1705321800500"#,
        r#""view" 2.5 null"#,
    ];
    assert_eq!(typed, expected.map(str::to_owned).into());
}

#[test]
fn what_is_queued_is_exported_and_what_is_erased_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data);
    let rows = |item: &str| {
        let row = |user: usize| json!({"user": format!("u{user}"), "item": item});
        json!({"interactions": (0..200).map(row).collect::<Vec<_>>()})
    };
    for item in ["kept", "gone"] {
        assert_eq!(server.post("/interactions", &rows(item)).status, 202);
    }
    assert_eq!(server.delete("/interactions?item=gone").status, 202);
    assert_eq!(server.delete("/interactions?user=u7").status, 202);
    assert_eq!(server.post("/interactions", &rows("late")).status, 202);
    // However far the worker has come: what was answered counts.
    server.kill();
    export(&data, folder.path());
    let lines = lines(&folder.path().join("interactions.jsonl"));
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let count = |item: &str| rows.iter().filter(|row| row["item"] == item).count();
    assert_eq!([count("kept"), count("gone"), count("late")], [199, 0, 200]);
    assert_eq!(lines.len(), rows.len());
}

#[test]
fn lines_go_to_standard_output_and_nothing_is_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::start(&data);
    assert_eq!(server.post("/items", &items()).status, 200);
    drop(server);
    let export = || {
        let mut command = recant();
        command.arg("export-catalogue").arg("--data-dir").arg(&data);
        command
    };
    let text = run(&mut export());
    assert_eq!(text.lines().count(), 4);
    assert_eq!(run(export().args(["--output", "-"])), text);
    let path = folder.path().join("there");
    std::fs::write(&path, "before").expect("written");
    let output = export().arg("-o").arg(&path).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "before");
}
