//! Errors as the protocol has them: a status, and JSON that says it again.

use std::borrow::Cow;
use std::fmt;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::problem::{Detail, InPlainText, Problem};
use recant_service::ServiceError;

/// Why a call is not answered with what it asks for. Repeats nothing of the request.
pub(super) enum Refusal {
    /// This message with this status, and whether the same request will end so again.
    Told(StatusCode, &'static str, bool),
    /// Forbidden, without a word.
    Silent,
    /// A problem that other routes have, too.
    Problem(Problem),
}

/// The body of an error.
#[derive(Serialize)]
struct ErrorState<'a> {
    code: &'a str,
    message: &'a str,
    fatal: bool,
}

impl Refusal {
    /// The request is wrong, and stays so.
    pub(super) fn wrong(message: &'static str) -> Self {
        Self::Told(StatusCode::BAD_REQUEST, message, true)
    }

    /// Whoever sent it may not.
    pub(super) fn forbidden(message: &'static str) -> Self {
        Self::Told(StatusCode::FORBIDDEN, message, true)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (response, message, fatal) = match self {
            Self::Told(status, message, fatal) => {
                (status.into_response(), Cow::Borrowed(message), fatal)
            }
            Self::Silent => {
                let mut response = StatusCode::FORBIDDEN.into_response();
                response.extensions_mut().insert(InPlainText);
                return response;
            }
            Self::Problem(problem) => {
                let mut response = problem.into_response();
                let detail = response.extensions_mut().remove::<Detail>();
                let message = detail.map_or(Cow::Borrowed("see the log"), |Detail(text)| text);
                let fatal = response.status().is_client_error();
                (response, message, fatal)
            }
        };
        told(response, &message, fatal)
    }
}

fn told(mut response: Response, message: &str, fatal: bool) -> Response {
    let status = response.status();
    let state = ErrorState {
        code: status.as_str(),
        message,
        fatal,
    };
    let body = serde_json::to_vec(&state).expect("plain texts");
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(InPlainText);
    *response.body_mut() = Body::from(body);
    response
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        Self::Problem(error.into())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(status, message, _) => write!(f, "Refusal({status}, {message})"),
            Self::Silent => f.write_str("Refusal(forbidden)"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}
