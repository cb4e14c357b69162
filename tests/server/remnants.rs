//! After an erasure and a compaction no form of an id or of a key is left in any file: not in the
//! data directory, not in what was logged, answered or backed up. The same scanner finds every one
//! of them in files that are not sealed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{Server, import_and_train, recant, run};
use aho_corasick::AhoCorasick;
use serde_json::{Value, json};

/// Where the first slot of the key ring begins, and how long one is.
const SLOTS_AT: usize = 16_384;
const SLOT_BYTES: usize = 64;

/// Of so many people something is said; the last of them have nothing else.
const SAID: usize = 14;

/// Ids of people; some are numbers, so that their binary forms are searched, too.
fn user(number: usize) -> String {
    match number % 2 {
        0 => format!("usr-n33dle-{number}-kq7"),
        _ => format!("{}", 7_300_123_000 + number),
    }
}

fn item(number: usize) -> String {
    format!("itm-n33dle-{number}-zv4")
}

fn csv() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for of in 0..12 {
        for with in (0..9).filter(|with| (of + 2 * with) % 3 != 0) {
            csv.push_str(&format!("{},{}\n", user(of), item(with)));
        }
    }
    csv
}

/// What is said about a person: a value for each, and names that are as telling.
fn properties(number: usize) -> Value {
    json!({"properties": {
        "diet_n33dle_jx5": format!("said-n33dle-{number}-wb8"),
        "case": 9_400_511_000_u64 + number as u64,
    }})
}

/// Every id there is, and all that is said about people, one a line.
fn needles(folder: &Path) -> PathBuf {
    let mut lines: Vec<String> = (0..SAID).map(user).collect();
    lines.extend((0..9).map(item));
    lines.push(String::from("usr-n33dle-late"));
    lines.push(String::from("diet_n33dle_jx5"));
    for number in 0..SAID {
        lines.push(format!("said-n33dle-{number}-wb8"));
        lines.push((9_400_511_000_u64 + number as u64).to_string());
    }
    let path = folder.join("needles");
    fs::write(&path, lines.join("\n")).expect("written");
    path
}

fn scan(directory: &Path, needles: &Path) -> Output {
    let mut command = recant();
    command.arg("scan").arg("--data-dir").arg(directory);
    command.arg("--needle-file").arg(needles).arg("--json");
    command.output().expect("the binary starts")
}

fn assert_clean(directory: &Path, needles: &Path) {
    let output = scan(directory, needles);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert!(report["files"].as_u64() > Some(0), "{report}");
}

/// Whoever copies or searches the directory of a running server meets nothing that cannot be read.
fn assert_nothing_but_files(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_nothing_but_files(&path)
        } else {
            drop(fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        }
    }
}

/// Files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// The wrapped keys of a ring, by slot; empty slots are left out.
fn slots(ring: &[u8]) -> BTreeSet<(usize, &[u8])> {
    let slots = ring[SLOTS_AT..].chunks_exact(SLOT_BYTES).enumerate();
    slots
        .filter(|(_, slot)| slot.iter().any(|byte| *byte != 0))
        .collect()
}

/// Everything the server says about what happened, kept in files of `said`.
fn write_down(server: &Server, ids: &[String], said: &Path) {
    for id in ids {
        server.until_erasure(id, &["certified"]);
        for path in [format!("/erasures/{id}"), format!("/erasures/{id}/receipt")] {
            let name = path.replace('/', "_");
            fs::write(said.join(name), server.get(&path).text).expect("written");
        }
    }
    for path in ["/metrics", "/erasures", "/model", "/.well-known/jwks.json"] {
        let name = path.replace('/', "_");
        fs::write(said.join(name), server.get(path).text).expect("written");
    }
}

fn command(name: &str, data: &Path, more: &[&str]) {
    run(recant().arg(name).arg("--data-dir").arg(data).args(more));
}

/// Has rows fitted to what everybody liked, which are kept in no file.
fn list_by_content(server: &Server) {
    let others = (0..6).map(|number| format!("other-{number}"));
    let liked = others
        .clone()
        .map(|item| json!({"user": user(0), "item": item}));
    let liked = json!({"interactions": liked.collect::<Vec<_>>()});
    assert_eq!(server.post("/interactions", &liked).status, 202);
    let described = (0..9).map(item).chain(others).chain([String::from("new")]);
    let said = described.map(|id| json!({"id": id, "tags": ["told"]}));
    let said = json!({"items": said.collect::<Vec<_>>()});
    assert_eq!(server.post("/items", &said).status, 200);
    server.until("listed by content", |server| {
        let listed = server.get(&format!("/recommend?user={}&k=100", user(2)));
        listed.text.contains("\"source\":\"content\"")
    });
}

#[test]
fn after_erasure_and_compaction_no_form_of_anything_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, said) = (folder.path().join("data"), folder.path().join("said"));
    let unsealed = folder.path().join("unsealed");
    fs::create_dir_all(&said).expect("made");
    fs::create_dir_all(&unsealed).expect("made");
    let needles = needles(folder.path());
    import_and_train(&data, &csv(), &["--dim", "32"]);
    let server = Server::start_with(&data, |command| {
        command.env("RECANT__CONTENT__ENABLED", "true");
    });
    list_by_content(&server);
    let late = json!({"interactions": [{"user": "usr-n33dle-late", "item": item(1)}]});
    assert_eq!(server.post("/interactions", &late).json()["accepted"], 1);
    // The control: what was put in, in files that are not sealed.
    fs::write(unsealed.join("in.csv"), csv()).expect("written");
    fs::write(unsealed.join("late.json"), late.to_string()).expect("written");
    for number in 0..SAID {
        let (path, text) = (
            format!("/users/{}", user(number)),
            properties(number).to_string(),
        );
        assert_eq!(server.send("PUT", &path, Some(&text), &[]).status, 200);
        let put_in = path + &text;
        fs::write(unsealed.join(format!("said-{number}")), put_in).expect("written");
    }
    let control = scan(&unsealed, &needles);
    let report: Value = serde_json::from_slice(&control.stdout).expect("JSON");
    let found = report["found"].as_array().expect("a list").iter();
    let found: BTreeSet<u64> = found.filter_map(|found| found["needle"].as_u64()).collect();
    assert_eq!(
        found,
        (1..=11 + 3 * SAID as u64).collect(),
        "the scanner finds every needle"
    );

    let ring = data.join("keys/ring");
    let before = fs::read(&ring).expect("a ring");
    let batch = json!({"interactions": [
        {"user": user(4), "item": item(3)},
        {"user": user(5), "item": item(3)},
    ]});
    let ids = [
        server.delete(&format!("/interactions?user={}", user(0))),
        server.delete(&format!("/interactions?user={}", user(1))),
        server.delete("/interactions?user=usr-n33dle-late"),
        server.delete(&format!("/interactions?user={}", user(12))),
        server.delete(&format!("/interactions?user={}&item={}", user(2), item(3))),
        server.delete(&format!("/interactions?user={}&item={}", user(3), item(1))),
        server.delete(&format!("/interactions?item={}", item(4))),
        server.post("/erasures", &batch),
    ]
    .map(|answer| {
        let id = answer.json()["id"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("{}", answer.text))
    });
    // Replaced, and taken back.
    for (number, text) in [(4, r#"{"properties":{"city":"Turin"}}"#), (5, "{}")] {
        let path = format!("/users/{}", user(number));
        assert_eq!(server.send("PUT", &path, Some(text), &[]).status, 200);
    }
    write_down(&server, &ids, &said);
    let backup = said.join("backup");
    command("backup", &data, &["--to", backup.to_str().expect("UTF-8")]);
    command("compact", &data, &[]);
    fs::write(said.join("log"), server.logged()).expect("written");
    assert_clean(&data, &needles);
    assert_nothing_but_files(&data);
    assert_eq!(server.stop(), Some(0));
    assert_clean(&data, &needles);
    assert_clean(&said, &needles);

    // Keys that were destroyed are nowhere, and no key at all is in a backup.
    let after = fs::read(&ring).expect("a ring");
    let (held, still_held) = (slots(&before), slots(&after));
    let destroyed: Vec<&[u8]> = held
        .difference(&still_held)
        .map(|(_, slot)| &slot[4..])
        .collect();
    assert!(
        destroyed.len() >= 6,
        "{} keys were destroyed",
        destroyed.len()
    );
    let destroyed = AhoCorasick::new(&destroyed).expect("few patterns");
    for file in files(&data).iter().chain(&files(&said)) {
        let bytes = fs::read(file).expect("readable");
        assert!(
            !destroyed.is_match(&bytes),
            "a destroyed key in {}",
            file.display()
        );
    }
    let keys: Vec<&[u8]> = held
        .iter()
        .chain(&still_held)
        .map(|(_, slot)| &slot[4..])
        .collect();
    let keys = AhoCorasick::new(keys).expect("patterns");
    assert!(keys.is_match(&after), "the search finds a key where one is");
    let bytes = fs::read(&backup).expect("readable");
    assert!(!keys.is_match(&bytes), "a key in the backup");
}
