//! `recant doctor` with real stores: in order, broken, open to others, and in use.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{Server, import, recant};

const ROWS: &str = "user_id,item_id\nada,boat\nada,tree\nbob,boat\n";

/// The master key of these stores: elsewhere than on their disk.
const KEY_VARIABLE: &str = "RECANT_DOCTOR_TEST_KEY";

/// A folder on a disk, where the one for temporary files may be memory.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn doctor(data: &Path, more: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = recant();
    command
        .arg("doctor")
        .arg("--data-dir")
        .arg(data)
        .args(more)
        .env("RECANT__SERVER__LISTEN", "127.0.0.1:0");
    for (name, value) in environment {
        command.env(name, value);
    }
    command.output().expect("the binary starts")
}

/// The findings, and the exit code.
fn findings(data: &Path, environment: &[(&str, &str)]) -> (Value, Option<i32>) {
    let output = doctor(data, &["--json"], environment);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "{error}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (report, output.status.code())
}

fn severity<'a>(report: &'a Value, check: &str) -> &'a str {
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.expect(check)["severity"]
        .as_str()
        .expect("a severity")
}

/// Names and bytes of every file.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            let bytes = fs::read(&path).expect("readable");
            all.push((path, bytes));
        }
    }
    all.sort();
    all
}

fn store() -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let data = folder.path().join("data");
    import(&data, ROWS);
    (folder, data)
}

#[test]
fn a_store_in_order_is_well_and_stays_as_it_was() {
    let folder = folder();
    let data = folder.path().join("data");
    let csv = folder.path().join("rows.csv");
    fs::write(&csv, ROWS).expect("written");
    let key = "0123456789abcdef".repeat(4);
    let environment = [
        ("RECANT__KEYS__MASTER_ENVIRONMENT", KEY_VARIABLE),
        (KEY_VARIABLE, &key),
    ];
    let mut import = recant();
    import.arg("import").arg(&csv).arg("--data-dir").arg(&data);
    let imported = import
        .envs(environment)
        .output()
        .expect("the binary starts");
    assert!(imported.status.success());
    let before = files(&data);
    let (report, code) = findings(&data, &environment);
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["well"], true);
    for check in [
        "directory.current",
        "directory.leftovers",
        "directory.rights",
    ] {
        assert_eq!(severity(&report, check), "ok", "{report:#}");
    }
    for check in [
        "store.opens",
        "store.schema",
        "store.receipts",
        "store.erasures",
    ] {
        assert_eq!(severity(&report, check), "ok", "{report:#}");
    }
    assert_eq!(severity(&report, "configuration.master_key"), "ok");
    assert!(before == files(&data), "a file was changed");
    let text = doctor(&data, &[], &environment);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("2 users, 2 items, 3 interactions"), "{text}");
}

#[test]
fn what_is_broken_is_a_problem_and_named() {
    let (_folder, data) = store();
    let current = data.join("CURRENT");
    let whole = fs::read(&current).expect("there");
    fs::write(&current, "000001 00000000\n").expect("written");
    let (report, code) = findings(&data, &[]);
    assert_eq!(
        (code, severity(&report, "directory.current")),
        (Some(1), "problem")
    );
    fs::write(&current, whole).expect("written");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).expect("ours");
    let (report, _) = findings(&data, &[]);
    assert_eq!(severity(&report, "directory.rights"), "warning");
    assert_eq!(severity(&report, "directory.current"), "ok");
    let ring = data.join("keys/ring");
    fs::set_permissions(&ring, Permissions::from_mode(0o644)).expect("ours");
    let (report, code) = findings(&data, &[]);
    assert_eq!(
        (code, severity(&report, "directory.rights")),
        (Some(1), "problem")
    );
    // The lack of the master key keeps the store closed.
    fs::remove_file(data.join("keys/master")).expect("there");
    let (report, code) = findings(&data, &[]);
    assert_eq!(
        (code, severity(&report, "store.opens")),
        (Some(1), "problem")
    );
}

#[test]
fn beside_a_server_the_store_is_let_alone() {
    let (_folder, data) = store();
    let server = Server::start(&data);
    let (report, _) = findings(&data, &[]);
    assert_eq!(severity(&report, "store.opens"), "unseen");
    assert_eq!(severity(&report, "directory.leftovers"), "ok");
    assert_eq!(server.get("/readyz").status, 200);
    let erased = server.send("DELETE", "/interactions?user=ada", None, &[]);
    assert_eq!(erased.status, 202, "{erased:?}");
    let path = erased.header("location").expect("where it is").to_owned();
    server.until("forgotten", |server| {
        let status = server.get(&path).json()["status"].clone();
        status == "forgotten" || status == "certified"
    });
    drop(server);
    // Killed, as a power cut would.
    let (report, _) = findings(&data, &[]);
    assert_eq!(severity(&report, "directory.closed"), "warning");
    assert_eq!(severity(&report, "store.opens"), "ok", "{report:#}");
    assert_eq!(severity(&report, "store.receipts"), "ok", "{report:#}");
    assert_eq!(severity(&report, "store.compaction"), "warning");
}

#[test]
fn a_configuration_that_is_refused_is_named_and_the_rest_is_looked_at() {
    let (folder, data) = store();
    let file = folder.path().join("recant.toml");
    fs::write(&file, "[stor]\ndata_dir = \"x\"\n").expect("written");
    let config = file.to_str().expect("UTF-8");
    let output = doctor(&data, &["--config", config, "--json"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(severity(&report, "configuration.settings"), "problem");
    assert_eq!(severity(&report, "store.opens"), "ok", "{report:#}");
    let missing = doctor(&data, &["--config", "no/such/file"], &[]);
    assert_eq!(missing.status.code(), Some(2));
    let (report, code) = findings(&folder.path().join("nowhere"), &[]);
    assert_eq!(
        (code, severity(&report, "directory.there")),
        (Some(1), "problem")
    );
}
