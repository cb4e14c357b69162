//! Errors as callers see them: RFC 9457 problem details with a stable code.
//!
//! The kinds are the whole list. A detail says how to mend the request and never repeats what the
//! caller sent, for that may be somebody's id.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use recant_service::ServiceError;
use recant_types::InvalidId;

/// The media type of every problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds after which a caller who was turned away may try again.
const OVERLOADED_RETRY_SECONDS: u64 = 1;

/// Seconds after which to try again when the disk did not answer.
const STALLED_RETRY_SECONDS: u64 = 10;

/// Seconds after which to try again when no node leads: one that leads is found about that soon.
const NO_LEADER_RETRY_SECONDS: u64 = 2;

/// Seconds after which to try again at a node that may not answer.
const NOT_CURRENT_RETRY_SECONDS: u64 = 1;

/// When additions may be taken again: certificates come every few seconds.
const CERTIFICATES_RETRY_SECONDS: u64 = 5;

/// One kind of problem: what is common to all its occurrences.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProblemKind {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

const fn kind(status: StatusCode, code: &'static str, title: &'static str) -> ProblemKind {
    ProblemKind {
        status,
        code,
        title,
    }
}

pub(super) static INVALID_QUERY: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "invalid_query",
    "The query string is not what this call takes",
);
pub(super) static INVALID_HEADER: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "invalid_header",
    "A header is not what this call takes",
);
pub(super) static INVALID_ERASURE_ID: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "invalid_erasure_id",
    "This is not the id of an erasure",
);
pub(super) static INVALID_FILTER: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "invalid_filter",
    "The filter is not one",
);
pub(super) static INVALID_ITEM_ID: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "invalid_item_id",
    "This is not the id of an item",
);
pub(super) static INVALID_USER_ID: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "invalid_user_id",
    "This is not the id of a user",
);
pub(super) static MALFORMED_BODY: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "malformed_body",
    "The body could not be read",
);
pub(super) static BAD_REQUEST: ProblemKind = kind(
    StatusCode::BAD_REQUEST,
    "bad_request",
    "The request could not be understood",
);
pub(super) static URI_TOO_LONG: ProblemKind = kind(
    StatusCode::URI_TOO_LONG,
    "uri_too_long",
    "The URL of the request is too long",
);
pub(super) static HEAD_TOO_LARGE: ProblemKind = kind(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    "The head of the request is too large",
);
pub(super) static WORKER_STOPPED: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "worker_stopped",
    "The service neither learns nor forgets any more",
);
pub(super) static UNAUTHENTICATED: ProblemKind = kind(
    StatusCode::UNAUTHORIZED,
    "unauthenticated",
    "This call needs an API key",
);
pub(super) static FORBIDDEN: ProblemKind = kind(
    StatusCode::FORBIDDEN,
    "forbidden",
    "The API key lacks the role for this call",
);
pub(super) static ORIGIN_NOT_ALLOWED: ProblemKind = kind(
    StatusCode::FORBIDDEN,
    "origin_not_allowed",
    "Without API keys only callers on this machine are served",
);
pub(super) static ROUTE_NOT_FOUND: ProblemKind = kind(
    StatusCode::NOT_FOUND,
    "route_not_found",
    "There is no such call",
);
pub(super) static ITEM_NOT_FOUND: ProblemKind = kind(
    StatusCode::NOT_FOUND,
    "item_not_found",
    "This item is not known",
);
pub(super) static USER_NOT_FOUND: ProblemKind = kind(
    StatusCode::NOT_FOUND,
    "user_not_found",
    "Nothing is held of this user",
);
pub(super) static ERASURE_NOT_FOUND: ProblemKind = kind(
    StatusCode::NOT_FOUND,
    "erasure_not_found",
    "There is no such erasure",
);
pub(super) static RECEIPT_NOT_FOUND: ProblemKind = kind(
    StatusCode::NOT_FOUND,
    "receipt_not_found",
    "There is no receipt for this erasure",
);
pub(super) static RECEIPT_LOG_NOT_FOUND: ProblemKind = kind(
    StatusCode::NOT_FOUND,
    "receipt_log_not_found",
    "There is no transparency log of receipts",
);
pub(super) static RECEIPT_NOT_READY: ProblemKind = kind(
    StatusCode::CONFLICT,
    "receipt_not_ready",
    "The erasure is not certified yet",
);
pub(super) static METHOD_NOT_ALLOWED: ProblemKind = kind(
    StatusCode::METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "This path does not know the method",
);
pub(super) static BODY_TOO_LARGE: ProblemKind = kind(
    StatusCode::PAYLOAD_TOO_LARGE,
    "body_too_large",
    "The body is too large",
);
pub(super) static UNSUPPORTED_MEDIA_TYPE: ProblemKind = kind(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "The body is of a kind this call does not read",
);
pub(super) static INVALID_BODY: ProblemKind = kind(
    StatusCode::UNPROCESSABLE_ENTITY,
    "invalid_body",
    "The body is not what this call takes",
);
pub(super) static IDEMPOTENCY_KEY_REUSED: ProblemKind = kind(
    StatusCode::UNPROCESSABLE_ENTITY,
    "idempotency_key_reused",
    "The idempotency key belongs to another request",
);
pub(super) static RATE_LIMITED: ProblemKind = kind(
    StatusCode::TOO_MANY_REQUESTS,
    "rate_limited",
    "There were more requests than the caller may send",
);
pub(super) static INTERNAL: ProblemKind = kind(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "The service failed",
);
pub(super) static STARTING: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "starting",
    "The service is not ready yet",
);
pub(super) static STORE_STALLED: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "store_stalled",
    "The disk does not finish a write",
);
pub(super) static STOPPING: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "stopping",
    "The service is shutting down",
);
pub(super) static OVERLOADED: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "overloaded",
    "There is more to do than the service can hold",
);
pub(super) static TIMED_OUT: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "timed_out",
    "The request took too long",
);
pub(super) static NO_LEADER: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "no_leader",
    "No node leads at present",
);
pub(super) static LEADERSHIP_LOST: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "leadership_lost",
    "Another node leads since the request was taken on",
);
pub(super) static NOT_CURRENT: ProblemKind = kind(
    StatusCode::SERVICE_UNAVAILABLE,
    "not_current",
    "This node may not answer at present",
);
pub(super) static LOG_FULL: ProblemKind = kind(
    StatusCode::INSUFFICIENT_STORAGE,
    "log_full",
    "The log that the nodes share is full",
);
pub(super) static NO_SPACE: ProblemKind = kind(
    StatusCode::INSUFFICIENT_STORAGE,
    "no_space",
    "The disk is full",
);

/// One problem, on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem {
    kind: &'static ProblemKind,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Why a node takes no requests, for programs.
    why: Option<&'static str>,
}

/// What a problem says, beside the answer that was made of it: for those who are told in plain text.
#[derive(Clone)]
pub(super) struct Detail(pub(super) Cow<'static, str>);

/// Marks an answer of 400 and above that is no problem on purpose.
#[derive(Clone, Copy)]
pub(super) struct InPlainText;

/// The body of every answer of 400 and above (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:recant:problem:invalid_query",
    "title": "The query string is not what this call takes",
    "status": 400,
    "code": "invalid_query",
    "detail": "k must be a whole number from 1 to 1000",
}))]
pub(super) struct ProblemBody<'a> {
    /// A URN made of the code.
    #[serde(rename = "type")]
    type_: String,
    /// What kind of problem it is, in words.
    title: &'a str,
    /// The HTTP status, repeated.
    status: u16,
    /// What kind of problem it is, for programs; stable.
    code: &'a str,
    /// How to mend it.
    detail: &'a str,
    /// Of `/readyz`, where there are several nodes: why this one takes no requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl Problem {
    /// A problem of this `kind`; `detail` says how to mend it and holds nothing the caller sent.
    pub(super) fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            headers: Vec::new(),
            why: None,
        }
    }

    /// Adds a header to the answer.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when the caller may try again.
    pub(super) fn retry_after_seconds(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The answer to a caller who is one too many.
    pub(super) fn overloaded() -> Self {
        let detail = "too much is waiting: repeat the request a little later, with longer pauses";
        Self::new(&OVERLOADED, detail).retry_after_seconds(OVERLOADED_RETRY_SECONDS)
    }

    /// The answer while no node leads, of which nothing came.
    pub(super) fn no_leader(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&NO_LEADER, detail).retry_after_seconds(NO_LEADER_RETRY_SECONDS)
    }

    /// The answer of a node that has not heard of the leader for so long that it might tell what was
    /// forgotten.
    pub(super) fn not_current() -> Self {
        let detail = "repeat the request at another node, or a little later";
        Self::new(&NOT_CURRENT, detail).retry_after_seconds(NOT_CURRENT_RETRY_SECONDS)
    }

    /// Says in a member of its own why the node takes no requests.
    pub(super) fn because(mut self, why: &'static str) -> Self {
        self.why = Some(why);
        self
    }

    /// The answer to an id that is none; `place` names the parameter or field.
    pub(super) fn invalid_id(kind: &'static ProblemKind, place: &str, reason: InvalidId) -> Self {
        Self::new(kind, format!("{place}: {reason}"))
    }

    /// Code and detail, for tests.
    #[cfg(test)]
    pub(super) fn parts(&self) -> (&'static str, &str) {
        (self.kind.code, &self.detail)
    }
}

impl Problem {
    /// The JSON of the answer.
    fn text(&self) -> Vec<u8> {
        let body = ProblemBody {
            type_: format!("urn:recant:problem:{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status.as_u16(),
            code: self.kind.code,
            detail: &self.detail,
            why: self.why,
        };
        serde_json::to_vec(&body).expect("texts and a number")
    }
}

/// A whole answer on the wire to a request that never came as far as a handler, because its head
/// could not be read; the connection ends with it.
pub(super) fn refusal(status: StatusCode) -> Vec<u8> {
    let (kind, detail) = match status {
        StatusCode::URI_TOO_LONG => (
            &URI_TOO_LONG,
            "send what makes it long in the body of a POST, as /docs shows",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            (&HEAD_TOO_LARGE, "send fewer or shorter headers")
        }
        _ => (&BAD_REQUEST, "send a request of HTTP/1.1"),
    };
    let text = Problem::new(kind, detail).text();
    let (code, reason) = (
        kind.status.as_u16(),
        kind.status.canonical_reason().unwrap_or_default(),
    );
    let head = format!(
        "HTTP/1.1 {code} {reason}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        text.len()
    );
    [head.into_bytes(), text].concat()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = self.text();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.kind.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.extend(self.headers);
        response.extensions_mut().insert(Detail(self.detail));
        response
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::NoSpace => Self::new(&NO_SPACE, detail),
            ServiceError::Stalled => {
                Self::new(&STORE_STALLED, detail).retry_after_seconds(STALLED_RETRY_SECONDS)
            }
            ServiceError::Overloaded => Self::overloaded(),
            ServiceError::CertificatesBehind => {
                Self::new(&OVERLOADED, detail).retry_after_seconds(CERTIFICATES_RETRY_SECONDS)
            }
            ServiceError::NoLeader => Self::no_leader(detail),
            ServiceError::LeadershipLost => Self::new(&LEADERSHIP_LOST, detail),
            ServiceError::LogFull => Self::new(&LOG_FULL, detail),
            ServiceError::TooLong { .. } => Self::new(&BODY_TOO_LARGE, detail),
            ServiceError::FilterTooCostly => Self::new(&INVALID_FILTER, detail),
            ServiceError::IdempotencyKeyReused => Self::new(&IDEMPOTENCY_KEY_REUSED, detail),
            ServiceError::ShuttingDown => Self::new(
                &STOPPING,
                "repeat the request at another instance, or later",
            )
            .retry_after_seconds(OVERLOADED_RETRY_SECONDS),
            ServiceError::Store | ServiceError::Internal => Self::new(&INTERNAL, detail),
        }
    }
}

/// Turns an answer of 400 and above that is no problem yet, because a library gave it, into one of
/// the same status.
pub(super) fn as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE);
    let is_problem = kind.is_some_and(|value| value == PROBLEM_JSON)
        || response.extensions().get::<InPlainText>().is_some();
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (kind, detail) = match status {
        StatusCode::NOT_FOUND => (
            &ROUTE_NOT_FOUND,
            "see /openapi.json for the calls there are",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (&BODY_TOO_LARGE, "send it in several requests"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (&UNSUPPORTED_MEDIA_TYPE, "send JSON"),
        status if status.is_client_error() => (&BAD_REQUEST, "see /docs for what this call takes"),
        _ => (&INTERNAL, "repeat the request; the log says more"),
    };
    Problem::new(kind, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_error_becomes_a_problem_and_a_problem_stays() {
        let foreign = StatusCode::IM_A_TEAPOT.into_response();
        let response = as_problem(foreign);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let own = Problem::overloaded().into_response();
        let response = as_problem(own);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let fine = as_problem(StatusCode::NO_CONTENT.into_response());
        assert_eq!(fine.status(), StatusCode::NO_CONTENT);
    }

    #[test]
    fn every_service_error_has_a_code_of_its_own_kind() {
        for (error, code, status) in [
            (ServiceError::NoSpace, "no_space", 507),
            (ServiceError::Overloaded, "overloaded", 503),
            (ServiceError::CertificatesBehind, "overloaded", 503),
            (
                ServiceError::IdempotencyKeyReused,
                "idempotency_key_reused",
                422,
            ),
            (ServiceError::NoLeader, "no_leader", 503),
            (ServiceError::LeadershipLost, "leadership_lost", 503),
            (ServiceError::LogFull, "log_full", 507),
            (ServiceError::TooLong { bytes: 1 }, "body_too_large", 413),
            (ServiceError::ShuttingDown, "stopping", 503),
            (ServiceError::Store, "internal", 500),
        ] {
            let problem = Problem::from(error);
            assert_eq!(problem.kind.code, code);
            assert_eq!(problem.kind.status.as_u16(), status);
        }
    }
}
