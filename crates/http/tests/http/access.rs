//! Keys open what their roles allow; without keys only this machine is served.

use crate::support::TestServer;
use recant_http::{KeySettings, Role, Settings};
use sha2::{Digest, Sha256};

fn with_keys(settings: &mut Settings) {
    for role in [Role::Read, Role::Write, Role::Erase, Role::Admin] {
        let key = format!("key-{}", role.as_str());
        settings.access.keys.push(KeySettings {
            name: key.clone(),
            sha256: format!("{:x}", Sha256::digest(&key)),
            roles: vec![role],
        });
    }
}

#[test]
fn each_call_takes_its_role_or_admin() {
    let server = TestServer::with(with_keys);
    let pair = r#"{"interactions":[{"user":"a","item":"b"}]}"#;
    for (method, target, role) in [
        ("GET", "/recommend?user=a", "read"),
        ("POST", "/recommend", "read"),
        ("GET", "/similar?item=a", "read"),
        ("GET", "/popular", "read"),
        ("POST", "/trending", "read"),
        ("GET", "/latest", "read"),
        ("GET", "/model", "read"),
        ("GET", "/metrics", "read"),
        ("HEAD", "/metrics", "read"),
        ("POST", "/interactions", "write"),
        ("DELETE", "/interactions?user=a", "erase"),
        ("POST", "/erasures", "erase"),
        ("GET", "/erasures", "erase"),
        (
            "GET",
            "/erasures/00000000-0000-0000-0000-000000000000",
            "erase",
        ),
        (
            "GET",
            "/erasures/00000000-0000-0000-0000-000000000000/inclusion",
            "erase",
        ),
        ("GET", "/receipts/checkpoint", "read"),
        ("GET", "/receipts/consistency?from=1", "read"),
        ("PUT", "/users/a", "write"),
        ("GET", "/users/a", "admin"),
        ("GET", "/users", "admin"),
        ("GET", "/webhooks", "admin"),
        ("GET", "/export?user=a", "admin"),
        ("POST", "/export", "admin"),
    ] {
        let body = if method == "POST" { pair } else { "" };
        let call = |headers: &[&str]| server.call(method, target, headers, body.as_bytes());
        let anonymous = call(&[]);
        assert_eq!(anonymous.status, 401, "{method} {target}");
        let challenge = anonymous.header("www-authenticate");
        assert!(challenge.is_some_and(|text| text.starts_with("Bearer")));
        for holder in ["read", "write", "erase", "admin"] {
            let header = format!("Authorization: Bearer key-{holder}");
            let status = call(&[&header]).status;
            if holder == role || holder == "admin" {
                assert!(![401, 403].contains(&status), "{holder} {method} {target}");
            } else {
                assert_eq!(status, 403, "{holder} {method} {target}");
            }
        }
    }
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
