//! API keys that are made and revoked beside a running server, with the real binary.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{Answer, Server, import_and_train, recant, run};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn catalogue() -> String {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..12 {
        for item in 0..8 {
            if (user * 3 + item * 5) % 4 < 2 {
                csv.push_str(&format!("u{user},i{item}\n"));
            }
        }
    }
    csv
}

/// `recant keys api …` on the store in `data`.
fn keys(data: &Path, arguments: &[&str]) -> Command {
    let mut command = recant();
    command.args(["keys", "api"]).args(arguments);
    command.arg("--data-dir").arg(data);
    command
}

/// Makes a key with these flags and returns it.
fn create(data: &Path, name: &str, flags: &[&str]) -> String {
    let key = run(keys(data, &["create", "--name", name]).args(flags));
    let key = key.strip_suffix('\n').expect("one line");
    assert!(key.starts_with("recant_") && key.len() == 50, "{name}");
    key.to_owned()
}

/// What a command says that is refused.
fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("the binary starts");
    assert_eq!(status.code(), Some(1), "{command:?}");
    String::from_utf8(stderr).expect("UTF-8")
}

/// A request with a key.
fn call(server: &Server, key: &str, method: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    server.send(method, path, None, &[("authorization", &bearer)])
}

/// Asks for the model until the answer has this status.
fn until(server: &Server, key: &str, status: u16) {
    server.until(&format!("answering {status}"), |server| {
        call(server, key, "GET", "/model").status == status
    });
}

fn listed(data: &Path) -> Vec<(String, String)> {
    let text = run(&mut keys(data, &["list", "--json"]));
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let keys = list["keys"].as_array().expect("keys").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    keys.map(|key| (text(&key["name"]), text(&key["status"])))
        .collect()
}

fn pair(name: &str, status: &str) -> (String, String) {
    (name.to_owned(), status.to_owned())
}

#[test]
fn the_first_key_shuts_an_open_server_and_the_last_leaves_it_shut() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let server = Server::start(&data);
    assert_eq!(server.get("/model").status, 200, "open to this machine");
    let first = create(&data, "ops", &["--role", "admin"]);
    server.until("shut", |server| server.get("/model").status == 401);
    assert_eq!(call(&server, &first, "GET", "/model").status, 200);
    let reader = create(&data, "reader", &["--role", "read", "--role", "read"]);
    until(&server, &reader, 200);
    assert_eq!(call(&server, &reader, "GET", "/users").status, 403);
    for name in ["ops", "reader"] {
        run(&mut keys(&data, &["revoke", name]));
        run(&mut keys(&data, &["revoke", name]));
    }
    until(&server, &first, 401);
    until(&server, &reader, 401);
    assert_eq!(
        server.get("/model").status,
        401,
        "no key is left, and it is shut"
    );
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(
        listed(&data),
        [pair("ops", "revoked"), pair("reader", "revoked")]
    );
    assert_eq!(server.stop(), Some(0));
    // Nor does a new process open it.
    let server = Server::start(&data);
    assert_eq!(server.get("/model").status, 401);
    assert_eq!(call(&server, &first, "GET", "/model").status, 401);
    let again = create(&data, "ops-2", &["--role", "admin"]);
    until(&server, &again, 200);
    // Without the file, no key of it counts.
    fs::remove_file(data.join("api-keys.json")).expect("there");
    until(&server, &again, 401);
    assert_eq!(server.get("/model").status, 401);
}

#[test]
fn a_key_is_shown_once_and_kept_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let text = run(&mut keys(
        &data,
        &[
            "create",
            "--name",
            "shop",
            "--role",
            "write",
            "--expires",
            "90d",
            "--json",
        ],
    ));
    let made: Value = serde_json::from_str(&text).expect("JSON");
    let key = made["key"].as_str().expect("the key").to_owned();
    assert_eq!(made["roles"], serde_json::json!(["write"]));
    let server = Server::start(&data);
    let rows = r#"{"interactions":[{"user":"u","item":"i"}]}"#;
    let bearer = format!("Bearer {key}");
    let added = server.send(
        "POST",
        "/interactions",
        Some(rows),
        &[("authorization", &bearer)],
    );
    assert_eq!(added.status, 202, "{}", added.text);
    let text = fs::read_to_string(data.join("api-keys.json")).expect("text");
    assert!(
        text.contains(&format!("{:x}", Sha256::digest(&key))),
        "{text}"
    );
    let printed = [
        server.logged(),
        run(&mut keys(&data, &["list"])),
        run(&mut keys(&data, &["list", "--json"])),
    ];
    assert_eq!(server.stop(), Some(0));
    assert!(printed.iter().all(|text| !text.contains(&key)));
    let scan = recant()
        .args(["scan", "--data-dir"])
        .arg(&data)
        .args(["--needle", &key])
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&scan.stdout).into_owned();
    assert!(scan.status.success(), "the key is on the disk: {said}");
}

/// What a key requested is known by its name: nobody gets the name of another.
#[test]
fn no_key_gets_the_name_of_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let config = folder.path().join("recant.toml");
    let write = |name: &str| {
        let digest = Sha256::digest("officer");
        let text = format!(
            "[[access.keys]]\nname = \"{name}\"\nsha256 = \"{digest:x}\"\nroles = [\"admin\"]\n"
        );
        fs::write(&config, text).expect("written");
    };
    write("officer");
    let desk = create(&data, "desk", &["--role", "erase"]);
    let server = Server::start_with(&data, |command| {
        command.arg("--config").arg(&config);
    });
    let erased = call(&server, &desk, "DELETE", "/interactions?user=u1");
    assert_eq!(erased.status, 202, "{}", erased.text);
    let erasure = format!("/erasures/{}", erased.json()["id"].as_str().expect("an id"));
    assert_eq!(call(&server, &desk, "GET", &erasure).status, 200);
    run(&mut keys(&data, &["revoke", "desk"]));
    until(&server, &desk, 401);
    let with_config = |arguments: &[&str]| {
        let mut command = keys(&data, arguments);
        command.arg("--config").arg(&config);
        refused(&mut command)
    };
    for taken in ["desk", "officer"] {
        let said = with_config(&["create", "--name", taken, "--role", "erase"]);
        assert!(said.contains("take another"), "{said}");
    }
    let said = with_config(&["revoke", "officer"]);
    assert!(said.contains("in the configuration"), "{said}");
    let other = create(&data, "desk-2", &["--role", "erase"]);
    server.until("taking the new key", |server| {
        call(server, &other, "GET", "/erasures").status == 200
    });
    assert_eq!(call(&server, &other, "GET", &erasure).status, 404);
    assert_eq!(call(&server, "officer", "GET", &erasure).status, 200);
    assert_eq!(server.stop(), Some(0));
    // Nor by way of the configuration.
    write("desk");
    let said = refused(
        recant()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .arg("--config")
            .arg(&config),
    );
    assert!(
        said.contains("the name desk") && said.contains("configuration"),
        "{said}"
    );
}

#[test]
fn a_key_ends_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let brief = create(&data, "brief", &["--role", "read", "--expires", "1s"]);
    let lasting = create(&data, "lasting", &["--role", "read", "--expires", "1h"]);
    let server = Server::start(&data);
    until(&server, &brief, 401);
    assert_eq!(call(&server, &lasting, "GET", "/model").status, 200);
    assert_eq!(
        listed(&data),
        [pair("brief", "expired"), pair("lasting", "active")]
    );
    for bad in ["soon", "0s", "-1d"] {
        let mut command = keys(&data, &["create", "--name", "odd", "--role", "read"]);
        let output = command.arg(format!("--expires={bad}")).output();
        let code = output.expect("the binary starts").status.code();
        assert!(matches!(code, Some(1 | 2)), "{bad}: {code:?}");
    }
    assert_eq!(listed(&data).len(), 2);
}

/// The gauge that says that the file cannot be used.
fn is_stale(server: &Server, key: &str) -> bool {
    let metrics = call(server, key, "GET", "/metrics").text;
    metrics
        .lines()
        .any(|line| line == "recant_api_keys_stale 1")
}

#[test]
fn a_file_that_cannot_be_used_lets_nobody_in_and_shuts_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (key, other) = (
        create(&data, "ops", &["--role", "admin"]),
        create(&data, "other", &["--role", "read"]),
    );
    let file = data.join("api-keys.json");
    let whole = fs::read_to_string(&file).expect("text");
    let server = Server::start(&data);
    assert!(!is_stale(&server, &key));
    // Cut short in the middle; whole, but anybody may write it.
    let cut = || fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    let open = || fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("ours");
    let spoil: [(&dyn Fn(), &str); 2] = [(&cut, "is damaged"), (&open, "may write")];
    for (spoil, said) in spoil {
        spoil();
        server.until("noticed", |server| is_stale(server, &key));
        assert!(server.logged().contains(said), "{said}");
        assert_eq!(call(&server, &key, "GET", "/users").status, 200);
        assert_eq!(call(&server, &other, "GET", "/model").status, 200);
        assert_eq!(server.get("/model").status, 401, "nobody else");
        let create = &mut keys(&data, &["create", "--name", "new", "--role", "admin"]);
        for command in [create, &mut keys(&data, &["revoke", "other"])] {
            assert!(refused(command).contains(said));
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
        fs::write(&file, &whole).expect("written");
        server.until("whole again", |server| !is_stale(server, &key));
    }
    run(&mut keys(&data, &["revoke", "other"]));
    until(&server, &other, 401);
    assert_eq!(server.stop(), Some(0));
    cut();
    let mut serve = recant();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    let said = refused(serve.arg(&data));
    assert!(
        said.contains("api-keys.json is damaged") && said.contains("put back a copy"),
        "{said}"
    );
}

#[test]
fn an_address_that_others_reach_takes_a_key_that_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let serve = || {
        let mut command = recant();
        command
            .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
            .arg(&data);
        command
    };
    let said = refused(&mut serve());
    assert!(said.contains("recant keys api create"), "{said}");
    create(&data, "gone", &["--role", "read"]);
    run(&mut keys(&data, &["revoke", "gone"]));
    let said = refused(&mut serve());
    assert!(said.contains("no API key"), "{said}");
    let key = create(&data, "shop", &["--role", "read"]);
    let mut server = serve()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        server.stdout.take().expect("piped"),
    ));
    let line = lines.next().expect("a line").expect("text");
    let port = line.rsplit(':').next().expect("a port");
    let url = format!("http://127.0.0.1:{port}/metrics");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let status = |header: &str| {
        let request = agent.get(&url).header("authorization", header);
        request.call().expect("an answer").status().as_u16()
    };
    let answers = (status("Bearer nobody"), status(&format!("Bearer {key}")));
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    assert_eq!(answers, (401, 200));
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let names: Vec<String> = (0..12).map(|number| format!("key-{number}")).collect();
    let started: Vec<_> = names
        .iter()
        .map(|name| {
            let mut command = keys(&data, &["create", "--role", "read", "--name", name]);
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("the binary starts")
        })
        .collect();
    for mut child in started {
        assert!(child.wait().expect("it ends").success());
    }
    let mut made: Vec<_> = listed(&data);
    made.sort();
    let mut expected: Vec<_> = names.iter().map(|name| pair(name, "active")).collect();
    expected.sort();
    assert_eq!(made, expected);
}

/// The keys are access, and no data: what copies, rewrites or restores a store leaves them as they are.
#[test]
fn backups_compactions_and_restores_leave_the_keys_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let key = create(&data, "ops", &["--role", "admin"]);
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let before = state_of(&data);
    let server = Server::start(&data);
    let store = |name: &str, flags: &[&str]| {
        run(recant().arg(name).arg("--data-dir").arg(&data).args(flags));
    };
    store("backup", &["--to", backup.to_str().expect("text")]);
    store("compact", &[]);
    assert_eq!(call(&server, &key, "GET", "/model").status, 200);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(state_of(&data), before);
    // Restored is the data; what was revoked since the backup stays so.
    run(&mut keys(&data, &["revoke", "ops"]));
    let before = state_of(&data);
    store("restore", &[backup.to_str().expect("text")]);
    assert_eq!(state_of(&data), before);
    let server = Server::start(&data);
    assert_eq!(call(&server, &key, "GET", "/model").status, 401);
}

/// The file of keys: what it holds, and its rights.
fn state_of(data: &Path) -> (String, u32) {
    let path: PathBuf = data.join("api-keys.json");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    (fs::read_to_string(&path).expect("text"), mode)
}

/// A rate of its own, given when the key is made.
#[test]
fn a_key_that_was_made_may_have_a_rate_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let flags = [
        "--role",
        "read",
        "--role",
        "erase",
        "--requests-per-second",
        "1",
    ];
    let slow = create(&data, "slow", &flags);
    let quick = create(&data, "quick", &flags[..2]);
    let server = Server::start(&data);
    until(&server, &slow, 429);
    let refused = call(&server, &slow, "GET", "/model");
    if refused.status == 429 {
        assert_eq!(refused.json()["code"], "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    let erased = call(&server, &slow, "DELETE", "/interactions?user=u1");
    assert_eq!(erased.status, 202, "erasures are counted by themselves");
    for _ in 0..50 {
        assert_eq!(call(&server, &quick, "GET", "/model").status, 200);
    }
    until(&server, &slow, 200);
}
