//! Traces as a collector gets them: requests within their callers' traces, erasures linked to whoever
//! asked for them, nobody's id in any byte; and collectors that are not there or take nothing.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use prost::Message;

use crate::support::{Answer, PATIENCE, Server, import_and_train};

/// In every id that is sent; nothing else contains it.
const NEEDLE: &str = "n33dle";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

type Bodies = Arc<Mutex<Vec<Bytes>>>;

/// What takes spans, in this process.
struct Collector {
    endpoint: String,
    bodies: Bodies,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let bodies = Bodies::default();
        let taken = Arc::clone(&bodies);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                listener.set_nonblocking(true).expect("a socket");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                let routes = Router::new()
                    .route("/v1/traces", post(take))
                    .with_state(taken);
                axum::serve(listener, routes).await.expect("served");
            });
        });
        Self { endpoint, bodies }
    }

    fn messages(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.bodies.lock().expect("not poisoned");
        let read = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
        bodies.iter().map(read).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self
            .messages()
            .into_iter()
            .flat_map(|one| one.resource_spans);
        let scopes = resources.flat_map(|one| one.scope_spans);
        scopes.flat_map(|one| one.spans).collect()
    }

    /// Waits for a span.
    fn span(&self, what: &str, is_meant: impl Fn(&Span) -> bool) -> Span {
        let started = Instant::now();
        loop {
            if let Some(span) = self.spans().into_iter().find(|span| is_meant(span)) {
                return span;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no span {what}: {:#?}",
                self.spans()
            );
            std::thread::yield_now();
        }
    }

    fn shows(&self, text: &str) -> bool {
        let bodies = self.bodies.lock().expect("not poisoned");
        let text = text.as_bytes();
        bodies
            .iter()
            .any(|body| body.windows(text.len()).any(|part| part == text))
    }
}

async fn take(State(bodies): State<Bodies>, body: Bytes) {
    bodies.lock().expect("not poisoned").push(body);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("neither a text nor a number: {other:?}"),
    }
}

/// The ids of the trace and of the span that an answer names.
fn traced(answer: &Answer) -> (String, String) {
    let header = answer.header("traceresponse").expect("a trace");
    let parts: Vec<&str> = header.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{header}");
    (parts[1].to_owned(), parts[2].to_owned())
}

fn is(span: &Span, (trace, id): &(String, String)) -> bool {
    hex(&span.trace_id) == *trace && hex(&span.span_id) == *id
}

fn leads_to(links: &[Link], span: &Span) -> bool {
    let mut links = links.iter();
    links.any(|link| link.trace_id == span.trace_id && link.span_id == span.span_id)
}

fn catalogue() -> String {
    let pairs = (0..12).flat_map(|user| (0..10).map(move |item| (user, item)));
    let pairs = pairs.filter(|(user, item)| (user + 2 * item) % 3 != 0);
    let rows = pairs.map(|(user, item)| format!("{NEEDLE}-u{user},{NEEDLE}-i{item}\n"));
    format!("user_id,item_id\n{}", rows.collect::<String>())
}

/// A server that sends its spans to `endpoint`.
fn tracing_server(data: &Path, endpoint: &str, more: &[(&str, &str)]) -> Server {
    Server::start_with(data, |command| {
        command.env("RECANT__TELEMETRY__OTLP_ENDPOINT", endpoint);
        command.env("RECANT__TELEMETRY__SERVICE_NAME", "shop");
        command.env("RECANT_LOG", "recant=debug,info");
        command.envs(more.iter().copied());
    })
}

fn asked_within(server: &Server, path: &str, traceparent: &str) -> Answer {
    server.send("GET", path, None, &[("traceparent", traceparent)])
}

#[test]
fn a_request_is_a_span_of_its_callers_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let collector = Collector::start();
    let server = tracing_server(&data, &collector.endpoint, &[]);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let path = format!("/recommend?user={NEEDLE}-u1");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "vendor=1")];
    let answer = server.send("GET", &path, None, &headers);
    assert_eq!(answer.status, 200);
    let ids = traced(&answer);
    assert_eq!(ids.0, TRACE);

    let span = collector.span("of the list", |span| is(span, &ids));
    assert_eq!(span.name, "GET /recommend");
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(span.trace_state, "vendor=1");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    let of = |key| attribute(&span, key);
    assert_eq!(of("http.request.method").as_deref(), Some("GET"));
    assert_eq!(of("http.route").as_deref(), Some("/recommend"));
    assert_eq!(of("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(of("request_id").as_deref(), answer.header("x-request-id"));
    let messages = collector.messages();
    let resource = messages[0].resource_spans[0].resource.as_ref();
    let attributes = &resource.expect("a resource").attributes;
    let name = attributes.iter().find(|one| one.key == "service.name");
    let name = name.and_then(|one| one.value.as_ref()?.value.clone());
    assert_eq!(name, Some(Value::StringValue(String::from("shop"))));
    assert!(
        server.logged().contains(&format!("trace_id={TRACE}")),
        "{}",
        server.logged()
    );

    // What waits when a server stops is sent first.
    let last = traced(&server.get(&format!("/{NEEDLE}")));
    assert_ne!(last.0, TRACE, "a trace of its own");
    assert_eq!(server.stop(), Some(0));
    let last = collector.spans().into_iter().find(|span| is(span, &last));
    let last = last.expect("the last request");
    assert_eq!(last.name, "GET other");
    assert!(last.parent_span_id.is_empty());
    assert!(!collector.shows(NEEDLE));
}

#[test]
fn an_erasure_is_a_trace_that_is_linked_to_its_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &catalogue(), &["--dim", "4"]);
    let collector = Collector::start();
    let server = tracing_server(&data, &collector.endpoint, &[]);
    let path = format!("/interactions?user={NEEDLE}-u1&item={NEEDLE}-i1");
    let answer = server.delete(&path);
    let asked = traced(&answer);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    server.until_erasure(&id, &["certified"]);

    let whole = collector.span("of the erasure", |span| {
        span.name == "erasure" && attribute(span, "erasure").as_ref() == Some(&id)
    });
    let request = collector.span("of the request", |span| is(span, &asked));
    assert_eq!(request.name, "DELETE /interactions");
    assert!(leads_to(&whole.links, &request) && whole.parent_span_id.is_empty());
    for part in ["accepting", "erasing", "forgetting", "certifying"] {
        let part = collector.span(part, |span| {
            span.name == part && span.parent_span_id == whole.span_id
        });
        assert_eq!(part.trace_id, whole.trace_id);
    }
    let update = collector.span("of the update", |span| {
        span.name == "update" && leads_to(&span.links, &whole)
    });
    for part in ["local_update", "commit", "publish"] {
        collector.span(part, |span| {
            span.name == part && span.parent_span_id == update.span_id
        });
    }
    for work in ["refine", "certify"] {
        collector.span(work, |span| {
            span.name == work && leads_to(&span.links, &whole)
        });
    }
    // Repeated with its key it is the same erasure, with no trace of its own.
    let headers = [("idempotency-key", "once")];
    let path = format!("/interactions?user={NEEDLE}-u2");
    let first = server.send("DELETE", &path, None, &headers).json();
    assert_eq!(
        server.send("DELETE", &path, None, &headers).json()["id"],
        first["id"]
    );
    server.until_erasure(first["id"].as_str().expect("an id"), &["certified"]);
    assert_eq!(server.stop(), Some(0));
    let erasures = collector
        .spans()
        .into_iter()
        .filter(|span| span.name == "erasure");
    let full = erasures.filter(|span| {
        let spans = collector.spans();
        let mut parts = spans
            .iter()
            .filter(|part| part.parent_span_id == span.span_id);
        parts.any(|part| part.name == "certifying")
    });
    assert_eq!(full.count(), 2);
    assert!(!collector.shows(NEEDLE));
}

#[test]
fn what_is_no_traceparent_begins_a_new_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let collector = Collector::start();
    let server = tracing_server(&folder.path().join("data"), &collector.endpoint, &[]);
    for wrong in [
        String::from(NEEDLE),
        format!("00-{TRACE}-{PARENT}"),
        format!("ff-{TRACE}-{PARENT}-01"),
        format!("00-{}-{PARENT}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
    ] {
        let ids = traced(&asked_within(&server, "/healthz", &wrong));
        assert_ne!(ids.0, TRACE, "{wrong}");
        let span = collector.span("of its own", |span| is(span, &ids));
        assert!(span.parent_span_id.is_empty(), "{wrong}");
    }
    assert!(!collector.shows(NEEDLE));
}

#[test]
fn the_caller_decides_about_its_trace_and_the_share_about_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let collector = Collector::start();
    let none = [("RECANT__TELEMETRY__SAMPLE_RATIO", "0")];
    let server = tracing_server(&folder.path().join("data"), &collector.endpoint, &none);
    let kept = traced(&asked_within(
        &server,
        "/healthz",
        &format!("00-{TRACE}-{PARENT}-01"),
    ));
    let left_out = asked_within(&server, "/healthz", &format!("00-{TRACE}-{PARENT}-00"));
    let header = left_out.header("traceresponse").expect("a trace");
    assert!(header.ends_with("-00"), "{header}");
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.stop(), Some(0));
    let spans = collector.spans();
    assert!(spans.len() == 1 && is(&spans[0], &kept), "{spans:#?}");
}

#[test]
fn without_a_collector_nothing_is_traced() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder.path().join("data"));
    let answer = asked_within(&server, "/healthz", &format!("00-{TRACE}-{PARENT}-01"));
    assert_eq!((answer.status, answer.header("traceresponse")), (200, None));
}

/// How many spans had this outcome.
fn spans_that_were(server: &Server, outcome: &str) -> f64 {
    let metrics = server.get("/metrics").text;
    let name = format!("recant_trace_spans_total{{outcome=\"{outcome}\"}} ");
    let value = metrics
        .split(&name)
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let value = value.unwrap_or_else(|| panic!("no {name}: {metrics}"));
    value.parse().expect("a number")
}

#[test]
fn a_collector_that_is_gone_or_answers_nobody_holds_up_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let gone = format!("http://{address}");
    let server = tracing_server(&folder.path().join("gone"), &gone, &[]);
    server.until("told so", |server| {
        server.get("/healthz").status == 200 && spans_that_were(server, "failed") > 0.0
    });
    let warnings = server.logged().matches("takes no traces").count();
    assert_eq!(warnings, 1, "once, however many are lost");
    assert_eq!(server.stop(), Some(0));

    // Connections are made and wait for ever.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
    let server = tracing_server(&folder.path().join("silent"), &endpoint, &[]);
    server.until("dropping spans", |server| {
        let all_answered = (0..200).all(|_| server.get("/healthz").status == 200);
        all_answered && spans_that_were(server, "dropped") > 0.0
    });
    assert_eq!(server.stop(), Some(0));
}
