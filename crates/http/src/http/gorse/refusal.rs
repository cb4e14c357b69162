//! Errors as clients of gorse read them: a status, and a line of plain text.

use std::fmt;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::http::problem::{InPlainText, Problem};
use recant_service::{DescribeError, PatchError, ServiceError};

/// The media type of every refusal.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// Why a call of the face is not answered with what it asks for. `Debug` shows the kind alone: gorse's
/// texts have the caller's own ids in them.
pub(super) enum Refusal {
    /// A text of the face.
    Told(StatusCode, String),
    /// A problem that other routes have, too; its detail is the text.
    Problem(Problem),
}

impl Refusal {
    /// The request cannot be taken, for this reason, which repeats nothing of it.
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Told(StatusCode::BAD_REQUEST, reason.into())
    }

    /// There is none; in gorse's words.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self::Told(StatusCode::NOT_FOUND, text.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Told(status, text) => {
                let mut response = (status, [(CONTENT_TYPE, TEXT)], text).into_response();
                response.extensions_mut().insert(InPlainText);
                response
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
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

impl From<PatchError> for Refusal {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::Invalid(reason) => Self::invalid(reason.to_string()),
            PatchError::Service(error) => error.into(),
        }
    }
}

/// What the description of an item came to, in the words for `item`.
pub(super) fn of_item(item: &str, error: DescribeError) -> Refusal {
    match error {
        DescribeError::NotFound => Refusal::not_found(format!("item {item} not found")),
        DescribeError::Invalid(reason) => Refusal::invalid(reason.to_string()),
        DescribeError::Service(error) => error.into(),
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(status, _) => write!(f, "Refusal({status})"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

/// Refuses a request of more rows than one may have.
pub(super) fn refuse_beyond(most: usize, rows: usize) -> Result<(), Refusal> {
    if rows <= most {
        return Ok(());
    }
    let text = format!("at most {most} rows a request: send the rest in another one");
    Err(Refusal::Told(StatusCode::PAYLOAD_TOO_LARGE, text))
}
