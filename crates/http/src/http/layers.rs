//! What every request passes through before its handler.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::Label;
use tower::BoxError;
use tracing::Instrument;
use uuid::Uuid;

use super::metric_names::{HTTP_REQUEST_DURATION_SECONDS, HTTP_REQUESTS_TOTAL};
use super::prefer;
use super::problem::{self, INTERNAL, Problem, TIMED_OUT};
use super::routes::{Routes, method_label};
use super::trace_context::{self, TRACERESPONSE};
use crate::telemetry::REQUEST;

/// The header that carries the id of a request to the caller.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Seconds after which a caller may repeat a request that took too long.
const TIMED_OUT_RETRY_SECONDS: u64 = 5;

/// Headers that every answer carries unless it set them itself. Answers are about people, so they
/// are stored nowhere; pages load nothing from elsewhere and run no script of their own.
const STANDING_HEADERS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'",
    ),
];

/// Gives the request an id and its place in a trace, logs it without anything personal, counts and times it, and makes sure
/// that an error leaves as a problem.
///
/// The id is always ours: one sent by the caller would carry their text into the log.
pub(super) async fn observe(State(table): State<Routes>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let request_id = Uuid::new_v4().simple().to_string();
    let method = method_label(request.method());
    let route = table.label(request.extensions());
    let (name, trace_id) = (&*route, tracing::field::Empty);
    let span = tracing::info_span!(REQUEST, request_id, method, route = name, trace_id);
    let trace = trace_context::join(&span, request.headers());
    if let Some(trace) = &trace {
        span.record("trace_id", tracing::field::display(trace.trace_id()));
    }
    let response = next.run(request).instrument(span.clone()).await;
    let mut response = problem::as_problem(response);
    let status = response.status().as_u16();
    let seconds = start.elapsed().as_secs_f64();
    span.in_scope(|| log_answer(status, seconds));
    trace_context::note_status(&span, status);
    let labels = [
        Label::new("method", method),
        Label::new("route", Arc::clone(&route)),
        Label::new("status", status.to_string()),
    ];
    metrics::counter!(HTTP_REQUESTS_TOTAL, labels.iter()).increment(1);
    metrics::histogram!(HTTP_REQUEST_DURATION_SECONDS, "route" => route).record(seconds);
    let headers = response.headers_mut();
    let id_value = HeaderValue::try_from(request_id).expect("hexadecimal digits");
    headers.insert(REQUEST_ID, id_value);
    if let Some(trace) = &trace {
        headers.insert(TRACERESPONSE, trace_context::response_header(trace));
    }
    add_standing_headers(headers);
    response
}

fn log_answer(status: u16, seconds: f64) {
    let latency_ms = seconds * 1e3;
    if status >= 500 {
        tracing::warn!(status, latency_ms, "answered");
    } else {
        tracing::debug!(status, latency_ms, "answered");
    }
}

fn add_standing_headers(headers: &mut HeaderMap) {
    for (name, value) in STANDING_HEADERS {
        let entry = headers.entry(name);
        entry.or_insert_with(|| HeaderValue::from_static(value));
    }
}

/// What a panic in a handler becomes. Its message stays out of the answer.
pub(super) fn answer_panic(_payload: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    let detail = "repeat the request; if it fails again, report it with the x-request-id";
    Problem::new(&INTERNAL, detail).into_response()
}

/// What a request becomes when there are too many at once.
pub(super) async fn answer_shed(_error: BoxError) -> Response {
    Problem::overloaded().into_response()
}

/// When the time of a request is up; for answers that go on after their head was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

/// Ends a request that takes longer than `limit`; a wait that the caller asked for comes on top.
/// Work that already runs on a blocking thread goes on to its end there.
pub(super) async fn limit_time(
    State(limit): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let limit = limit + prefer::wait(request.headers()).unwrap_or_default();
    let deadline = Deadline(Instant::now() + limit);
    request.extensions_mut().insert(deadline);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = limit.as_secs();
            let detail =
                format!("it was not done after {seconds} s: send less, or repeat it later");
            Problem::new(&TIMED_OUT, detail)
                .retry_after_seconds(TIMED_OUT_RETRY_SECONDS)
                .into_response()
        }
    }
}
