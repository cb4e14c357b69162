//! Ids from before the rule for ids: told in one line of the log, listed on request, and a way out.

use std::path::Path;
use std::process::Output;

use recant_store::{ImportSession, StoreOptions};
use serde_json::Value;

use crate::support::{Server, recant, run};

/// A store as an earlier version may have made it.
fn store(data: &Path) {
    let session = ImportSession::begin(data, &StoreOptions::default()).expect("a store");
    let mut writer = session.writer().expect("a writer");
    for user in ["zoe", " zoe", "null", "7.0", "bob", "cyd"] {
        for item in ["dune", "solaris ", "eden"] {
            writer.push(user, item, 2.0, None).expect("a row");
        }
    }
    writer.finish().expect("stored");
}

fn ids(data: &Path, more: &[&str]) -> Output {
    let mut command = recant();
    command.arg("ids").arg("--data-dir").arg(data).args(more);
    command.output().expect("the binary starts")
}

fn counts(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn exported(server: &Server, user: &str) -> Vec<String> {
    let text = server.get(&format!("/export?user={user}")).text;
    let item = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["item"].as_str().expect("an id").to_owned()
    };
    let mut items: Vec<String> = text.lines().map(item).collect();
    items.sort();
    items
}

#[test]
fn ids_that_nobody_can_ask_for_are_counted_listed_and_led_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    store(&data);
    let server = Server::start(&data);
    let warned = |log: &str| {
        let lines = log.lines().filter(|line| line.contains("recant ids"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    server.until("warned", |server| !warned(&server.logged()).is_empty());
    assert_eq!(
        exported(&server, "%20zoe"),
        ["dune", "eden", "solaris "],
        "zoe's"
    );
    let log = server.log.clone();
    assert_eq!(server.stop(), Some(0));
    let log = std::fs::read_to_string(log).expect("a log");
    let lines = warned(&log);
    assert_eq!(lines.len(), 1, "{log}");
    assert!(
        lines[0].contains("users=3") && lines[0].contains("items=1"),
        "{log}"
    );
    assert!(!log.contains("zoe") && !log.contains("solaris"), "{log}");

    let (list, mended) = (
        folder.path().join("list"),
        folder.path().join("mended.jsonl"),
    );
    let counted = ids(&data, &["--json"]);
    assert_eq!(counted.status.code(), Some(1));
    let flaws = |counts: &Value| {
        ["blanks", "null_words", "like_floats"].map(|flaw| counts[flaw].as_u64().expect("a count"))
    };
    assert_eq!(flaws(&counts(&counted)["users"]), [1, 1, 1]);
    assert_eq!(flaws(&counts(&counted)["items"]), [1, 0, 0]);
    let said = String::from_utf8_lossy(&counted.stderr).into_owned();
    assert!(!said.contains("zoe"), "{said}");
    let files = [
        "--list",
        list.to_str().expect("UTF-8"),
        "--interactions",
        mended.to_str().expect("UTF-8"),
    ];
    ids(&data, &files);
    let listed = std::fs::read_to_string(&list).expect("a list");
    assert!(
        listed.contains(r#""user":" zoe""#) && listed.contains(r#""mended":"zoe""#),
        "{listed}"
    );
    assert_eq!(listed.lines().count(), 4);
    assert_eq!(
        ids(&data, &files).status.code(),
        Some(1),
        "what is there is not written over"
    );

    let erased = ids(&data, &["--erase", "--json"]);
    assert_eq!(erased.status.code(), Some(0), "{erased:?}");
    let erasures = counts(&erased)["erasures"].clone();
    run(recant()
        .arg("import")
        .arg(&mended)
        .arg("--data-dir")
        .arg(&data));
    let server = Server::start(&data);
    for erasure in erasures.as_array().expect("a list") {
        server.until_erasure(erasure["id"].as_str().expect("an id"), &["certified"]);
    }
    assert_eq!(exported(&server, "zoe"), ["dune", "eden", "solaris"]);
    assert_eq!(exported(&server, "7"), ["dune", "eden", "solaris"]);
    assert_eq!(exported(&server, "bob"), ["dune", "eden", "solaris"]);
    assert_eq!(exported(&server, "null"), Vec::<String>::new());
    assert_eq!(server.model()["users"], 4);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(ids(&data, &[]).status.code(), Some(0), "none is left");
}

#[test]
fn a_store_of_the_first_release_with_good_ids_warns_of_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/release-1/store");
    crate::support::unpack(&store, &data);
    let output = ids(&data, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
