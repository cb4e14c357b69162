//! The console comes whole from this server, under a policy that lets nothing else in.

use std::collections::BTreeSet;

use crate::support::{Answer, TestServer};

/// What files of the console may weigh together, in bytes as they are sent.
const WEIGHT_MAX: usize = 200_000;

fn assert_guarded(answer: &Answer, content_type: &str) {
    let header = |name| answer.header(name).unwrap_or_default();
    assert_eq!(header("content-type"), content_type);
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "no-cache");
}

/// The parts that a text refers to, between `start` and a quotation mark.
fn parts(text: &str, start: &str) -> BTreeSet<String> {
    let rest = text.split(start).skip(1);
    let names = rest.filter_map(|rest| rest.split('"').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_page_and_all_it_loads_are_served_under_a_strict_policy() {
    let server = TestServer::start();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_guarded(&page, "text/html; charset=utf-8");
    let mut weight = page.body.len();
    let mut open: Vec<String> = parts(page.text(), "\"console/").into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let part = server.get(&format!("/console/{name}"));
        assert_eq!(part.status, 200, "{name}");
        let kind = if name.ends_with(".css") {
            "text/css; charset=utf-8"
        } else {
            "text/javascript; charset=utf-8"
        };
        assert_guarded(&part, kind);
        weight += part.body.len();
        open.extend(parts(part.text(), "from \"./"));
    }
    assert!(seen.len() > 10, "{seen:?}");
    assert!(weight <= WEIGHT_MAX, "{weight} bytes");
}

#[test]
fn the_page_leads_to_the_calls_and_to_operations() {
    let page = TestServer::start().get("/");
    for link in ["docs/", "openapi.json", "model", "metrics", "readyz"] {
        assert!(page.text().contains(&format!("href=\"{link}\"")), "{link}");
    }
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let server = TestServer::start();
    for target in ["/", "/console/main.js"] {
        let first = server.get(target);
        let tag = first.header("etag").expect("a name of the content");
        let known = format!("If-None-Match: {tag}");
        let again = server.call("GET", target, &[&known], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{target}");
        let other = server.call("GET", target, &["If-None-Match: \"other\""], b"");
        assert_eq!((other.status, &other.body), (200, &first.body), "{target}");
    }
}

#[test]
fn parts_that_there_are_not_end_as_problems_and_all_are_one_route() {
    let server = TestServer::start();
    for target in [
        "/console/needle.js",
        "/console/index.html",
        "/console/..%2Fdocs.rs",
    ] {
        let answer = server.get(target);
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(answer.json()["code"], "route_not_found", "{target}");
        assert!(!answer.text().contains("needle"));
    }
    let metrics = server.get("/metrics");
    let series = r#"recant_http_requests_total{method="GET",route="/console/{file}",status="404"}"#;
    assert!(metrics.text().contains(series));
}
