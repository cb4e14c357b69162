//! Keys open what their roles allow; without keys only this machine is served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::TestServer;
use recant_http::{AccessSettings, KeyFile, KeySettings, NewKey, Role, Settings};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub fn with_keys(settings: &mut Settings) {
    for role in Role::ALL {
        let key = format!("key-{}", role.as_str());
        settings.access.keys.push(KeySettings {
            name: key.clone(),
            sha256: format!("{:x}", Sha256::digest(&key)),
            roles: vec![role],
            requests_per_second_max: None,
        });
    }
}

/// A call as the table of routes has it.
pub type Call = (String, String);

/// Every call there is, those of gorse's clients included: before the first request each has a series
/// in the metrics, which are made from the table that requests are held against. The metrics are those of all
/// servers of this process: some have agents, whose calls no key opens.
pub fn calls(server: &TestServer) -> BTreeSet<Call> {
    let headers = ["Authorization: Bearer key-read"];
    let text = server.call("GET", "/metrics", &headers, b"");
    let series = text.text().lines().filter_map(|line| {
        let labels = line.strip_prefix("recant_http_requests_total{")?;
        let value = |label: &str| {
            let (_, rest) = labels.split_once(&format!("{label}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let call = (value("method")?, value("route")?);
        let is_agents = call.1.starts_with("/v1/");
        (value("status")? == "200" && call.0 != "HEAD" && !is_agents).then_some(call)
    });
    series.collect()
}

/// A target that a template matches.
pub fn target(template: &str) -> String {
    let mut target = template.replace("{id}", "00000000-0000-0000-0000-000000000000");
    while let Some((before, rest)) = target.clone().split_once('{') {
        let (_, after) = rest.split_once('}').expect("a whole placeholder");
        target = format!("{before}a{after}");
    }
    target
}

/// Makes a key for each role in the data directory, and one that has expired and one that was revoked,
/// each with all roles; returns the keys by their names.
fn made_keys(data: &Path) -> BTreeMap<String, String> {
    let file = KeyFile::of_store(data);
    let mut keys = BTreeMap::new();
    let mut make = |name: &str, roles: &[Role]| {
        let new = NewKey {
            name: name.to_owned(),
            roles: roles.to_vec(),
            lifetime: None,
            requests_per_second_max: None,
        };
        let (_, key) = file.create(&new, &AccessSettings::default()).expect("made");
        keys.insert(name.to_owned(), key.expose().to_owned());
    };
    for role in Role::ALL {
        make(role.as_str(), &[role]);
    }
    make("expired", &Role::ALL);
    make("revoked", &Role::ALL);
    file.revoke("revoked").expect("there");
    let path = data.join("api-keys.json");
    let text = std::fs::read(&path).expect("there");
    let mut contents: Value = serde_json::from_slice(&text).expect("JSON");
    let all = contents["keys"].as_array_mut().expect("keys");
    let expired = all.iter_mut().find(|key| key["name"] == "expired");
    expired.expect("made above")["expires_at"] = "2001-01-01T00:00:00Z".into();
    std::fs::write(&path, contents.to_string()).expect("written");
    keys
}

/// Who may make a call: nobody in particular, or which roles. A key of the configuration and one that
/// was made while running open the same, and one that is over opens no more than none.
fn who_may(
    server: &TestServer,
    (method, template): &Call,
    made: &BTreeMap<String, String>,
) -> Vec<bool> {
    let body = if method == "POST" { "{}" } else { "" };
    let target = target(template);
    let let_in = |method: &str, headers: &[&str], lacks: u16| {
        let answer = server.call(method, &target, headers, body.as_bytes());
        let is_refused = [401, 403].contains(&answer.status);
        if is_refused {
            assert_eq!(answer.status, lacks, "{method} {target} {headers:?}");
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
        !is_refused
    };
    let anonymous = let_in(method, &[], 401);
    if method == "GET" {
        assert_eq!(let_in("HEAD", &[], 401), anonymous, "{target}");
    }
    for over in [&made["expired"], &made["revoked"], "key-of-nobody"] {
        for header in ["Authorization: Bearer", "X-API-Key:"] {
            let by_it = let_in(method, &[&format!("{header} {over}")], 401);
            assert_eq!(by_it, anonymous, "{method} {target}");
        }
    }
    let mut may = vec![anonymous];
    for role in Role::ALL.map(Role::as_str) {
        let configured = let_in(method, &[&format!("Authorization: Bearer key-{role}")], 403);
        let by_made = let_in(method, &[&format!("X-API-Key: {}", made[role])], 403);
        assert_eq!(configured, by_made, "{role} {method} {target}");
        may.push(by_made);
    }
    may
}

/// The table in docs/access.md is what a server does: every call it has, tried with every role, without
/// a key, and with one that is wrong, expired or revoked.
#[test]
fn the_table_of_calls_and_roles_is_what_the_server_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = made_keys(folder.path());
    let server = TestServer::with(|settings| {
        with_keys(settings);
        settings.gorse.enabled = true;
        settings.store.data_dir = folder.path().to_owned();
    });
    let mut table = BTreeSet::new();
    for call in calls(&server) {
        let may = who_may(&server, &call, &made);
        let roles = may[1..].iter().filter(|may| **may).count();
        let is_open = may.iter().all(|may| *may);
        let is_of_one_role = !may[0] && may[4] && (roles == 2 || roles == 1);
        assert!(is_open || is_of_one_role, "{call:?}: {may:?}");
        let cells = may.iter().map(|may| if *may { " yes |" } else { " |" });
        let cells: String = cells.collect();
        table.insert(format!("| `{} {}` |{cells}", call.0, call.1));
    }
    assert!(table.len() > 80, "{table:#?}");
    let text = include_str!("../../../../docs/access.md");
    let (_, table_of_calls) = text.split_once("## Every call").expect("the section");
    let rows = table_of_calls.lines();
    let rows = rows.filter(|line| line.starts_with("| `") && line.contains('/'));
    // The last column is of crates/http/tests/http/nodes.rs.
    let rows = rows.filter_map(|row| Some(row.strip_suffix(" |")?.rsplit_once(" |")?.0));
    let rows: BTreeSet<String> = rows.map(|row| format!("{row} |")).collect();
    let whole: Vec<&str> = table.iter().map(String::as_str).collect();
    assert_eq!(rows, table, "the rows should be\n{}", whole.join("\n"));
}

#[test]
fn a_refusal_is_a_problem_that_names_the_role() {
    let server = TestServer::with(with_keys);
    let anonymous = server.get("/export?user=needle");
    assert_eq!(anonymous.problem_code(), "unauthenticated");
    let headers = ["Authorization: Bearer key-read"];
    let refused = server.call("GET", "/export?user=needle", &headers, b"");
    assert_eq!(refused.problem_code(), "forbidden");
    assert!(refused.text().contains("admin") && !refused.text().contains("needle"));
    let scope = refused.header("www-authenticate").expect("a challenge");
    assert!(scope.contains("scope=\"admin\""), "{scope}");
}

#[test]
fn health_and_documentation_are_open() {
    let server = TestServer::with(with_keys);
    for target in [
        "/healthz",
        "/openapi.json",
        "/docs/",
        "/",
        "/console/main.js",
    ] {
        assert_eq!(server.get(target).status, 200, "{target}");
    }
    assert_eq!(server.get("/readyz").status, 503);
    let wrong = ["Authorization: Bearer wrong"];
    assert_eq!(server.call("GET", "/model", &wrong, b"").status, 401);
}

#[test]
fn with_keys_the_name_of_the_host_does_not_matter() {
    let server = TestServer::with(with_keys);
    let headers = ["Host: recant.example", "Authorization: Bearer key-read"];
    assert_eq!(server.call("GET", "/metrics", &headers, b"").status, 200);
}

#[test]
fn without_keys_pages_of_other_sites_are_refused() {
    let server = TestServer::start();
    for headers in [
        ["Host: evil.example"].as_slice(),
        &["Origin: https://evil.example"],
        &["Origin: null"],
    ] {
        for target in ["/healthz", "/export?user=a", "/nowhere"] {
            let answer = server.call("GET", target, headers, b"");
            assert_eq!(answer.status, 403, "{headers:?} {target}");
            assert_eq!(answer.problem_code(), "origin_not_allowed");
        }
    }
    let own = ["Host: 127.0.0.1:8080", "Origin: http://127.0.0.1:8080"];
    assert_eq!(server.call("GET", "/healthz", &own, b"").status, 200);
    // A page of another program on this machine, sent without a question before it.
    let pair = br#"{"interactions":[{"user":"a","item":"b"}]}"#;
    for headers in [
        ["Host: localhost:8080", "Origin: http://localhost:3000"],
        ["Host: localhost:8080", "Sec-Fetch-Site: same-site"],
    ] {
        let answer = server.call("POST", "/erasures", &headers, pair);
        assert_eq!(answer.status, 403, "{headers:?}");
        assert_eq!(answer.problem_code(), "origin_not_allowed");
    }
}
