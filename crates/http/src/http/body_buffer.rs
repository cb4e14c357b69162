//! Bodies of requests, read to their end before anything is done about them.
//!
//! Only then does a request take one of the places of those that are worked on: somebody who sends
//! half a body keeps nobody from working. What is read at the same time shares one budget.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{BODY_TOO_LARGE, MALFORMED_BODY, Problem, UNSUPPORTED_MEDIA_TYPE};
use crate::config::ServerSettings;

/// The limits of bodies. Cloning shares the budget.
#[derive(Debug, Clone)]
pub(super) struct BodyBudget {
    /// Bytes that are free, of all requests together.
    free: Arc<Semaphore>,
    /// Most bytes of one body.
    most: usize,
}

impl BodyBudget {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let bytes = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
        let all = bytes(settings.body_bytes_total_max).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(all)),
            most: bytes(settings.body_bytes_max),
        }
    }

    /// Reads `body`, and returns its place in the budget with it.
    async fn read(&self, body: Body) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
        let mut chunks = body.into_data_stream();
        let mut bytes = Vec::new();
        let mut place: Option<OwnedSemaphorePermit> = None;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(&MALFORMED_BODY, "the body ended too early: send it again")
            })?;
            if chunk.len() > self.most - bytes.len() {
                return Err(too_large());
            }
            let wanted = u32::try_from(chunk.len()).map_err(|_| too_large())?;
            let more = Arc::clone(&self.free).try_acquire_many_owned(wanted);
            let more = more.map_err(|_| Problem::overloaded())?;
            match &mut place {
                Some(place) => place.merge(more),
                None => place = Some(more),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((Bytes::from(bytes), place))
    }
}

fn too_large() -> Problem {
    Problem::new(&BODY_TOO_LARGE, "send it in several requests")
}

/// Middleware: reads the body and passes it on whole.
pub(super) async fn buffer_body(
    State(budget): State<BodyBudget>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    if let Err(problem) = check_head(&parts.headers, budget.most) {
        return problem.into_response();
    }
    match budget.read(body).await {
        Ok((bytes, place)) => {
            let request = Request::from_parts(parts, Body::from(bytes));
            let response = next.run(request).await;
            drop(place);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Refuses a body whose head says that it cannot be taken.
fn check_head(headers: &HeaderMap, most: usize) -> Result<(), Problem> {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !codings.into_iter().all(plain) {
        let detail = "send the body as it is, without Content-Encoding";
        let identity = HeaderValue::from_static("identity");
        return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail).header(ACCEPT_ENCODING, identity));
    }
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > most as u64 => Err(too_large()),
        _ => Ok(()),
    }
}
