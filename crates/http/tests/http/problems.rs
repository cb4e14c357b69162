//! Whatever is wrong with a request is answered with a problem that says how to mend it, and that
//! repeats nothing of the request.

use std::io::Write;

use crate::support::TestServer;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Stands where an id would stand, and must come back in no error.
const NEEDLE: &str = "needle";

#[test]
fn a_bad_query_is_a_problem() {
    let server = TestServer::start();
    let long = "x".repeat(5000);
    for (target, status, code) in [
        ("/recommend", 400, "invalid_query"),
        ("/recommend?user=", 400, "invalid_query"),
        ("/recommend?user=needle&k=0", 400, "invalid_query"),
        ("/recommend?user=needle&k=-3", 400, "invalid_query"),
        ("/recommend?user=needle&k=1000000000", 400, "invalid_query"),
        ("/recommend?user=needle&k=ten", 400, "invalid_query"),
        ("/recommend?user=needle&user=needle", 400, "invalid_query"),
        ("/recommend?user=tom&needle", 400, "invalid_query"),
        ("/recommend?user=needle%00", 400, "invalid_query"),
        ("/recommend?user=%ff%fe", 400, "invalid_query"),
        ("/recommend?user=%zz", 400, "invalid_query"),
        ("/recommend?user=a&exclude_seen=yes", 400, "invalid_query"),
        (&format!("/recommend?user={long}"), 400, "invalid_query"),
        ("/similar", 400, "invalid_query"),
        ("/popular?window=needle", 400, "invalid_query"),
        ("/trending?half_life=needle", 400, "invalid_query"),
        ("/latest?k=0", 400, "invalid_query"),
        ("/export", 400, "invalid_query"),
        ("/export?user=a&format=csv", 400, "invalid_query"),
        ("/users?limit=0", 400, "invalid_query"),
        ("/users?limit=1001", 400, "invalid_query"),
        ("/users?cursor=", 400, "invalid_query"),
        ("/users?cursor=needle%00", 400, "invalid_query"),
        ("/users?cursor=needle+needle", 400, "invalid_query"),
        ("/users?verbose=1", 400, "invalid_query"),
        ("/users/needle%00", 400, "invalid_user_id"),
        ("/users/%ff", 400, "invalid_user_id"),
        ("/users/needle?verbose=1", 400, "invalid_query"),
        ("/erasures?status=done", 400, "invalid_query"),
        ("/erasures?limit=0", 400, "invalid_query"),
        ("/erasures?cursor=needle", 400, "invalid_query"),
        ("/erasures/needle", 400, "invalid_erasure_id"),
        ("/erasures/%ff", 400, "invalid_erasure_id"),
        ("/model?verbose=1", 400, "invalid_query"),
        ("/nowhere/needle", 404, "route_not_found"),
        ("/recommend/", 404, "route_not_found"),
        ("/docs/needle", 404, "route_not_found"),
    ] {
        let answer = server.get(target);
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.problem_code(), code, "{target}");
        assert!(!answer.text().contains(NEEDLE), "{}", answer.text());
    }
}

#[test]
fn an_unknown_parameter_is_named() {
    let answer = TestServer::start().get("/recommend?user=a&kk=3");
    let body = answer.json();
    let detail = body["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("`kk`") && detail.contains("exclude_seen"),
        "{detail}"
    );
}

#[test]
fn a_bad_body_is_a_problem() {
    let server = TestServer::start();
    let many = vec![r#"{"user":"needle","item":"i"}"#; 10_001].join(",");
    let many = format!("{{\"interactions\":[{many}]}}");
    let deep = "[".repeat(200_000);
    let deep_objects = "{\"needle\":".repeat(100_000);
    for (method, target, body, status) in [
        ("POST", "/erasures", "{", 400),
        ("POST", "/erasures", "", 400),
        ("POST", "/erasures", r#"{"interactions":[]}"#, 422),
        (
            "POST",
            "/erasures",
            r#"{"interactions":[{"user":"needle"}]}"#,
            422,
        ),
        ("POST", "/erasures", r#"{"needle":1}"#, 422),
        ("POST", "/erasures", many.as_str(), 413),
        ("DELETE", "/interactions", many.as_str(), 413),
        ("DELETE", "/interactions", "", 400),
        (
            "DELETE",
            "/interactions?user=needle",
            r#"{"interactions":[]}"#,
            400,
        ),
        ("POST", "/interactions", "needle", 400),
        ("POST", "/interactions", "[1,2]", 422),
        ("POST", "/interactions", many.as_str(), 413),
        ("POST", "/interactions", deep.as_str(), 422),
        ("POST", "/interactions", deep_objects.as_str(), 422),
        ("POST", "/interactions?user=needle", "{}", 422),
        ("POST", "/recommend", r#"{"history":"needle"}"#, 422),
        (
            "POST",
            "/recommend",
            r#"{"user":"needle","history":[]}"#,
            422,
        ),
        ("POST", "/recommend", r#"{"user":"needle","user":"b"}"#, 422),
    ] {
        let answer = server.json(method, target, body);
        let shown = &body[..body.len().min(60)];
        assert_eq!(
            answer.status, status,
            "{method} {target} {shown}: {answer:?}"
        );
        answer.problem_code();
        assert!(!answer.text().contains(NEEDLE), "{}", answer.text());
    }
}

#[test]
fn rows_without_use_are_reported_one_by_one() {
    let server = TestServer::start();
    for row in [
        r#"{"user":"needle","item":"b","weight":"NaN"}"#,
        r#"{"user":"needle","item":"b","weight":-1}"#,
        r#"{"user":"","item":"needle"}"#,
        r#"{"user":"needle","item":"b","colour":"red"}"#,
    ] {
        let body = format!("{{\"interactions\":[{row}]}}");
        let answer = server.json("POST", "/interactions", &body);
        assert_eq!(answer.status, 202, "{answer:?}");
        let json = answer.json();
        assert_eq!(json["accepted"], 0);
        assert_eq!(json["rejected"][0]["index"], 0);
        assert!(!answer.text().contains(NEEDLE), "{json}");
    }
    let headers = ["Content-Type: application/x-ndjson"];
    let lines = b"{oops\n\n{\"user\":\"a\",\"item\":\"b\",\"weight\":1e999}\n";
    let answer = server.call("POST", "/interactions", &headers, lines);
    assert_eq!(answer.status, 202);
    let rejected = answer.json()["rejected"].as_array().map(Vec::len);
    assert_eq!(rejected, Some(2));
}

#[test]
fn other_media_types_are_refused() {
    let server = TestServer::start();
    for (method, target) in [
        ("POST", "/interactions"),
        ("POST", "/erasures"),
        ("POST", "/recommend"),
        ("DELETE", "/interactions"),
    ] {
        let headers = ["Content-Type: application/x-www-form-urlencoded"];
        let answer = server.call(method, target, &headers, b"user=needle");
        assert_eq!(answer.status, 415, "{method} {target}");
        assert_eq!(answer.problem_code(), "unsupported_media_type");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let server = TestServer::start();
    for (method, target, allowed) in [
        ("PATCH", "/recommend", ["GET", "POST"]),
        ("PUT", "/interactions", ["POST", "DELETE"]),
        ("DELETE", "/erasures", ["GET", "POST"]),
        ("POST", "/metrics", ["GET", "HEAD"]),
        ("BREW", "/healthz", ["GET", "HEAD"]),
    ] {
        let answer = server.call(method, target, &[], b"");
        assert_eq!(answer.status, 405, "{method} {target}");
        assert_eq!(answer.problem_code(), "method_not_allowed");
        let allow = answer.header("allow").expect("an Allow header");
        for method in allowed {
            assert!(allow.contains(method), "{target}: {allow}");
        }
    }
}

#[test]
fn a_bad_idempotency_key_is_refused() {
    let key = format!("Idempotency-Key: {}", "x".repeat(256));
    let server = TestServer::start();
    let answer = server.call("DELETE", "/interactions?user=a", &[&key], b"");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.problem_code(), "invalid_header");
}

#[test]
fn good_requests_hear_that_the_service_is_starting() {
    let server = TestServer::start();
    assert_eq!(server.get("/healthz").status, 200);
    let pair = r#"{"interactions":[{"user":"a","item":"b"}]}"#;
    for (method, target, body) in [
        ("GET", "/readyz", ""),
        ("GET", "/recommend?user=a%20b&k=3&exclude=x,y", ""),
        ("POST", "/recommend", r#"{"history":["a"],"k":3}"#),
        ("GET", "/similar?item=a", ""),
        ("GET", "/export?user=a", ""),
        ("GET", "/users", ""),
        ("GET", "/users/a", ""),
        ("PUT", "/users/a", r#"{"properties":{"city":"Turin"}}"#),
        ("GET", "/model", ""),
        ("POST", "/interactions", pair),
        ("DELETE", "/interactions?user=a", ""),
        ("DELETE", "/interactions", pair),
        ("POST", "/erasures", pair),
        ("GET", "/erasures?status=accepted&limit=3", ""),
        ("GET", "/erasures/00000000-0000-0000-0000-000000000000", ""),
    ] {
        let answer = server.json(method, target, body);
        assert_eq!(answer.status, 503, "{method} {target}: {answer:?}");
        assert_eq!(answer.problem_code(), "starting");
        assert!(answer.header("retry-after").is_some(), "{target}");
    }
}

#[test]
fn every_answer_carries_an_id_and_the_standing_headers() {
    let server = TestServer::start();
    let own = ["X-Request-Id: needle"];
    for target in ["/healthz", "/nowhere", "/recommend", "/docs"] {
        let answer = server.call("GET", target, &own, b"");
        let id = answer.header("x-request-id").expect("an id");
        assert!(id.len() == 32 && id != NEEDLE, "{id}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("content-security-policy").is_some());
    }
}

#[test]
fn what_the_library_refuses_is_a_problem_too() {
    let server = TestServer::start();
    let long = "x".repeat(70_000);
    let many = "X: y\r\n".repeat(2_000);
    // The library looks at the limit between reads, so a head may be a few of them longer.
    let large = format!("X: {}\r\n", "y".repeat(1_000_000));
    for (head, status, code) in [
        (String::from("GARBAGE\r\n\r\n"), 400, "bad_request"),
        (
            String::from("GET / HTTP/1.1\r\nHost\r\n\r\n"),
            400,
            "bad_request",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            414,
            "uri_too_long",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
            431,
            "head_too_large",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{large}\r\n"),
            431,
            "head_too_large",
        ),
    ] {
        // On a connection that was good before, too.
        let mut connection = server.connect();
        connection.send("GET", "/healthz", &[], b"");
        assert_eq!(connection.answer().status, 200);
        connection.write(head.as_bytes());
        let answer = connection.answer();
        assert_eq!(answer.status, status, "{} bytes: {answer:?}", head.len());
        assert_eq!(answer.problem_code(), code);
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[test]
fn a_request_says_once_which_host_it_is_for() {
    let server = TestServer::start();
    for hosts in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        let mut connection = server.connect();
        connection.write(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n").as_bytes());
        let answer = connection.answer();
        assert_eq!(answer.status, 400, "{hosts:?}");
        assert_eq!(answer.problem_code(), "invalid_header");
    }
    let mut old = server.connect();
    old.write(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert!(old.read_to_end().starts_with(b"HTTP/1.0 200"));
}

/// The calls that take a body.
const WITH_BODY: [(&str, &str); 6] = [
    ("POST", "/interactions"),
    ("POST", "/erasures"),
    ("DELETE", "/interactions"),
    ("POST", "/recommend"),
    ("POST", "/export"),
    ("PUT", "/users/a"),
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn a_body_in_gzip_is_the_body_that_it_unpacks_to() {
    let server = TestServer::start();
    let half = br#"{"k": 5, "user"#;
    let members = [gzip(half), gzip(br#"": 7}"#)].concat();
    for (method, target) in WITH_BODY {
        let plain = server.call(
            method,
            target,
            &[],
            &[half.as_slice(), br#"": 7}"#].concat(),
        );
        for coding in ["gzip", "GZIP", "x-gzip"] {
            let header = format!("Content-Encoding: {coding}");
            let answer = server.call(method, target, &[&header], &members);
            assert_eq!(answer.status, plain.status, "{method} {target} {coding}");
            assert_eq!(answer.text(), plain.text(), "{method} {target} {coding}");
        }
    }
}

#[test]
fn damaged_gzip_is_told_from_a_damaged_body() {
    let server = TestServer::start();
    let packed = gzip(br#"{"user": "needle"}"#);
    let cut = &packed[..packed.len() - 5];
    let mut flipped = packed.clone();
    *flipped.last_mut().expect("a trailer") ^= 1;
    let trailing = [packed.as_slice(), b"more"].concat();
    for bytes in [cut, &flipped, &trailing, b"{}", &packed[..3]] {
        let answer = server.call("POST", "/erasures", &["Content-Encoding: gzip"], bytes);
        assert_eq!(answer.status, 400, "{bytes:?}");
        assert_eq!(answer.problem_code(), "malformed_body");
        assert!(answer.text().contains("gzip") && !answer.text().contains("needle"));
    }
}

#[test]
fn a_body_is_as_large_as_what_it_unpacks_to() {
    let server = TestServer::with(|settings| settings.server.body_bytes_max = 1 << 20);
    let bomb = gzip(&vec![b' '; (1 << 20) + 1]);
    assert!(bomb.len() < 4096);
    let headers = ["Content-Encoding: gzip"];
    let answer = server.call("POST", "/erasures", &headers, &bomb);
    assert_eq!(
        (answer.status, answer.problem_code().as_str()),
        (413, "body_too_large")
    );
    let fits = gzip(&vec![b' '; 1 << 20]);
    assert_eq!(
        server
            .call("POST", "/erasures", &headers, &fits)
            .problem_code(),
        "malformed_body"
    );
    // What bodies hold together is counted unpacked, too.
    let server = TestServer::with(|settings| settings.server.body_bytes_total_max = 1 << 10);
    let answer = server.call("POST", "/erasures", &headers, &gzip(&[b' '; 2 << 10]));
    assert_eq!(answer.problem_code(), "overloaded");
}

#[test]
fn another_coding_is_refused_and_not_taken_for_json() {
    let server = TestServer::start();
    for (method, target) in WITH_BODY {
        for codings in ["br", "zstd", "gzip, gzip", "gzip\r\nContent-Encoding: gzip"] {
            let header = format!("Content-Encoding: {codings}");
            let answer = server.call(method, target, &[&header], b"{}");
            assert_eq!(answer.status, 415, "{method} {target} {codings}");
            assert_eq!(answer.problem_code(), "unsupported_media_type");
            assert_eq!(answer.header("accept-encoding"), Some("gzip, identity"));
        }
    }
}

#[test]
fn a_plus_sign_in_an_id_is_not_guessed_at() {
    let server = TestServer::start();
    for (method, target) in [
        ("DELETE", "/interactions?user=ada+lovelace"),
        ("DELETE", "/interactions?item=c++"),
        ("GET", "/export?user=ada+lovelace"),
    ] {
        let answer = server.call(method, target, &[], b"");
        assert_eq!(answer.status, 400, "{method} {target}");
        assert_eq!(answer.problem_code(), "invalid_query");
        assert!(answer.text().contains("%2B") && answer.text().contains("%20"));
    }
    for written in ["ada%2Blovelace", "ada%20lovelace"] {
        let answer = server.get(&format!("/export?user={written}"));
        assert_eq!(answer.problem_code(), "starting", "{written}");
    }
}
