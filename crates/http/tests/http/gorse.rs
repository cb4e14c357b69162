//! The calls under `/api`: whom each takes, and how its errors look; nothing of it unless it is enabled.

use crate::support::{Answer, TestServer};
use recant_http::{KeySettings, Role, Settings};
use sha2::{Digest, Sha256};

/// Every call, with the role it takes, and a body that it reads where it reads one.
const CALLS: [(&str, &str, &str, &str); 38] = [
    ("POST", "/api/item", "write", r#"{"ItemId":"a"}"#),
    ("GET", "/api/item/a", "read", ""),
    ("PATCH", "/api/item/a", "write", "{}"),
    ("DELETE", "/api/item/a", "erase", ""),
    ("PUT", "/api/item/a/category/b", "write", ""),
    ("DELETE", "/api/item/a/category/b", "write", ""),
    ("POST", "/api/items", "write", "[]"),
    ("GET", "/api/items", "read", ""),
    ("POST", "/api/user", "write", r#"{"UserId":"a"}"#),
    ("GET", "/api/user/a", "admin", ""),
    ("PATCH", "/api/user/a", "write", "{}"),
    ("DELETE", "/api/user/a", "erase", ""),
    ("POST", "/api/users", "write", "[]"),
    ("GET", "/api/users", "admin", ""),
    ("POST", "/api/feedback", "write", "[]"),
    ("PUT", "/api/feedback", "write", "[]"),
    ("GET", "/api/feedback", "admin", ""),
    ("GET", "/api/feedback/interaction", "admin", ""),
    ("GET", "/api/feedback/a/b", "admin", ""),
    ("DELETE", "/api/feedback/a/b", "erase", ""),
    ("GET", "/api/feedback/interaction/a/b", "admin", ""),
    ("DELETE", "/api/feedback/interaction/a/b", "erase", ""),
    ("GET", "/api/user/a/feedback", "admin", ""),
    ("GET", "/api/user/a/feedback/interaction", "admin", ""),
    ("GET", "/api/item/a/feedback", "admin", ""),
    ("GET", "/api/item/a/feedback/interaction", "admin", ""),
    ("GET", "/api/recommend/a", "read", ""),
    ("GET", "/api/recommend/a/b", "read", ""),
    ("POST", "/api/session/recommend", "read", "[]"),
    ("POST", "/api/session/recommend/b", "read", "[]"),
    ("GET", "/api/item/a/neighbors", "read", ""),
    ("GET", "/api/item/a/neighbors/b", "read", ""),
    ("GET", "/api/item-to-item/neighbors/a", "read", ""),
    ("GET", "/api/non-personalized/popular", "read", ""),
    ("GET", "/api/latest", "read", ""),
    ("GET", "/api/latest/b", "read", ""),
    ("GET", "/api/popular", "read", ""),
    ("GET", "/api/popular/b", "read", ""),
];

fn enabled(settings: &mut Settings) {
    settings.gorse.enabled = true;
}

fn with_keys(settings: &mut Settings) {
    enabled(settings);
    let mut add = |name: &str, roles: &[Role]| {
        settings.access.keys.push(KeySettings {
            name: name.to_owned(),
            sha256: format!("{:x}", Sha256::digest(name)),
            roles: roles.to_vec(),
            requests_per_second_max: None,
        });
    };
    for role in [Role::Read, Role::Write, Role::Erase, Role::Admin] {
        add(role.as_str(), &[role]);
    }
    add("program", &[Role::Read, Role::Write, Role::Erase]);
}

/// The text of an error, after checking that it is one in gorse's form.
fn told(answer: &Answer) -> &str {
    assert!(answer.status >= 400, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"), "{answer:?}");
    let text = answer.text();
    assert!(!text.is_empty() && !text.contains('{'), "{text}");
    text
}

#[test]
fn each_call_takes_its_role_or_admin() {
    let server = TestServer::with(with_keys);
    for (method, target, role, body) in CALLS {
        let call = |header: &str| server.call(method, target, &[header], body.as_bytes());
        assert_eq!(told(&call("X-API-Key: nobody")), told(&call("X-None: x")));
        assert_eq!(call("X-None: x").status, 401, "{method} {target}");
        for holder in ["read", "write", "erase", "admin", "program"] {
            let is_program = holder == "program" && role != "admin";
            let may = holder == role || holder == "admin" || is_program;
            // There is no service yet: whoever is let in is told so.
            let expected = if may { 503 } else { 403 };
            let by_header = call(&format!("X-API-Key: {holder}"));
            assert_eq!(by_header.status, expected, "{holder} {method} {target}");
            told(&by_header);
            let bearer = call(&format!("Authorization: Bearer {holder}"));
            assert_eq!(bearer.status, expected, "{holder} {method} {target}");
        }
    }
}

#[test]
fn users_near_a_user_are_not_enabled() {
    let server = TestServer::with(with_keys);
    for target in ["/api/user/a/neighbors/", "/api/user-to-user/neighbors/a"] {
        let call = |key: &str| server.call("GET", target, &[key], b"");
        let answer = call("X-API-Key: admin");
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(told(&answer), "user-to-user recommendation is not enabled");
        assert_eq!(call("X-API-Key: program").status, 403, "{target}");
    }
}

#[test]
fn health_is_for_everybody_and_never_shed() {
    let server = TestServer::with(with_keys);
    let live = server.get("/api/health/live");
    assert_eq!(live.status, 200);
    assert_eq!(live.json()["Ready"], false);
    let ready = server.get("/api/health/ready");
    assert_eq!(ready.status, 503);
    told(&ready);
    assert!(ready.header("retry-after").is_some(), "{ready:?}");
}

#[test]
fn slashes_at_the_end_and_bodies_that_nobody_reads_do_not_matter() {
    let server = TestServer::with(enabled);
    for (method, target, _, body) in CALLS {
        for target in [
            format!("{target}/"),
            format!("{target}/?n=3&n=4&Cursor=&x="),
        ] {
            let answer = server.json(method, &target, body);
            assert_eq!(answer.status, 503, "{method} {target}: {}", answer.text());
            let reads = ["POST", "PUT", "PATCH"].contains(&method) && !body.is_empty();
            if !reads {
                let null = server.json(method, &target, "null");
                assert_eq!(null.status, 503, "{method} {target}: {}", null.text());
            }
        }
    }
}

#[test]
fn errors_are_plain_text_and_those_of_other_routes_stay_problems() {
    let server = TestServer::with(enabled);
    for (method, target, body, status, part) in [
        ("GET", "/api/nowhere", "", 404, "calls there are"),
        ("GET", "/api", "", 404, "calls there are"),
        ("PUT", "/api/user", "{}", 405, "Allow"),
        ("GET", "/api/recommend/%ff", "", 400, ""),
        (
            "GET",
            "/api/recommend/a?n=ten",
            "",
            400,
            "invalid n parameter",
        ),
        ("GET", "/api/latest?offset=10001", "", 400, "invalid offset"),
        ("GET", "/api/users?cursor=needle", "", 400, "invalid cursor"),
        (
            "GET",
            "/api/recommend/a?write-back-type=needle",
            "",
            400,
            "feedback.types",
        ),
        (
            "GET",
            "/api/user/a/feedback/needle",
            "",
            400,
            "feedback.types",
        ),
        ("POST", "/api/feedback", "needle", 400, "line 1, column"),
        ("POST", "/api/feedback", "null", 400, "line 1, column"),
        (
            "POST",
            "/api/item",
            r#"{"ItemId":["needle"]}"#,
            400,
            "ItemId must",
        ),
        (
            "POST",
            "/api/users",
            r#"[{"UserId":"a"},{}]"#,
            400,
            "number 1: UserId is missing",
        ),
    ] {
        let answer = server.json(method, target, body);
        assert_eq!(
            answer.status,
            status,
            "{method} {target}: {}",
            answer.text()
        );
        let text = told(&answer);
        assert!(text.contains(part) && !text.contains("needle"), "{text}");
    }
    assert_eq!(server.get("/recommend").problem_code(), "invalid_query");
    assert_eq!(server.get("/apiary").problem_code(), "route_not_found");
    assert_eq!(server.get("/recommend/").problem_code(), "route_not_found");
}

#[test]
fn a_list_is_written_back_only_for_those_who_may_write() {
    let server = TestServer::with(with_keys);
    let target = "/api/recommend/a?write-back-type=interaction&write-back-delay=10m";
    let status = |holder: &str| {
        let header = format!("X-API-Key: {holder}");
        server.call("GET", target, &[&header], b"").status
    };
    assert_eq!(status("read"), 403);
    assert_eq!(status("write"), 403, "it asks for recommendations, too");
    assert_eq!(["program", "admin"].map(status), [503, 503]);
}

#[test]
fn labels_of_metrics_are_templates() {
    let server = TestServer::with(enabled);
    for target in [
        "/api/recommend/needle/",
        "/api/feedback/needle/needle",
        "/api/needle",
    ] {
        server.get(target);
    }
    let text = server.get("/metrics").text().to_owned();
    assert!(!text.contains("needle"), "{text}");
    for labels in [
        r#"method="GET",route="/api/recommend/{user}",status="503""#,
        r#"method="GET",route="/api/feedback/{first}/{second}",status="503""#,
        r#"method="DELETE",route="/api/user/{user}",status="200""#,
        r#"method="GET",route="other",status="404""#,
    ] {
        let series = format!("recant_http_requests_total{{{labels}}} ");
        assert!(text.contains(&series), "{series} in {text}");
    }
}

#[test]
fn nothing_of_it_is_there_unless_it_is_enabled() {
    let server = TestServer::start();
    for (method, target, _, body) in CALLS {
        let answer = server.json(method, target, body);
        assert_eq!(
            answer.problem_code(),
            "route_not_found",
            "{method} {target}"
        );
    }
    let enabled = TestServer::with(enabled);
    let description = |server: &TestServer| server.get("/openapi.json").json();
    assert_eq!(description(&server), description(&enabled));
}
