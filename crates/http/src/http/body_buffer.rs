//! Bodies of requests, read to their end before anything is done about them.
//!
//! Only then does a request take one of the places of those that are worked on: somebody who sends
//! half a body keeps nobody from working. What is read at the same time shares one budget. A body in
//! gzip is unpacked as it comes; the limits are of what it unpacks to.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::write::MultiGzDecoder;
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

    /// Reads `body`, unpacked when it is in `coding`, and returns its place in the budget with it.
    async fn read(&self, body: Body, coding: Coding) -> Result<Admitted, Problem> {
        let mut chunks = body.into_data_stream();
        let mut reader = Reader::new(self, coding);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(&MALFORMED_BODY, "the body ended too early: send it again")
            })?;
            reader.take(&chunk)?;
        }
        reader.finish()
    }
}

/// How the bytes of a body are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    /// What `Content-Encoding` says; `None` when it is something that is not taken here.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let codings = headers.get_all(CONTENT_ENCODING).iter();
        let mut named = codings.filter(|coding| !is(coding, b"identity"));
        match (named.next(), named.next()) {
            (None, _) => Some(Self::Identity),
            (Some(coding), None) if is(coding, b"gzip") || is(coding, b"x-gzip") => {
                Some(Self::Gzip)
            }
            _ => None,
        }
    }
}

fn is(coding: &HeaderValue, name: &[u8]) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(name)
}

/// The bytes of a body that have come, unpacked, with their place in the budget.
struct Admitted {
    bytes: Vec<u8>,
    place: Option<OwnedSemaphorePermit>,
    budget: BodyBudget,
    /// Why no more was taken.
    refused: Option<Problem>,
}

impl Admitted {
    fn admit(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        if chunk.len() > self.budget.most - self.bytes.len() {
            return Err(too_large());
        }
        let wanted = u32::try_from(chunk.len()).map_err(|_| too_large())?;
        let more = Arc::clone(&self.budget.free).try_acquire_many_owned(wanted);
        let more = more.map_err(|_| Problem::overloaded())?;
        match &mut self.place {
            Some(place) => place.merge(more),
            None => self.place = Some(more),
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// What is unpacked is written here, a buffer of the decoder at a time: however small a body was
/// packed, no more than its limit is ever held.
impl Write for Admitted {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        match self.admit(chunk) {
            Ok(()) => Ok(chunk.len()),
            Err(problem) => {
                self.refused = Some(problem);
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes a body as it comes.
enum Reader {
    Identity(Admitted),
    Gzip(Box<MultiGzDecoder<Admitted>>),
}

impl Reader {
    fn new(budget: &BodyBudget, coding: Coding) -> Self {
        let admitted = Admitted {
            bytes: Vec::new(),
            place: None,
            budget: budget.clone(),
            refused: None,
        };
        match coding {
            Coding::Identity => Self::Identity(admitted),
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(admitted))),
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Identity(admitted) => admitted.admit(chunk),
            Self::Gzip(decoder) => {
                let taken = decoder.write_all(chunk);
                taken.map_err(|_| decoder.get_mut().refused.take().unwrap_or_else(not_gzip))
            }
        }
    }

    fn finish(self) -> Result<Admitted, Problem> {
        match self {
            Self::Identity(admitted) => Ok(admitted),
            Self::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => decoder.finish().map_err(|_| not_gzip()),
                Err(_) => Err(decoder.get_mut().refused.take().unwrap_or_else(not_gzip)),
            },
        }
    }
}

fn too_large() -> Problem {
    Problem::new(&BODY_TOO_LARGE, "send it in several requests")
}

fn not_gzip() -> Problem {
    let detail = "the body is not whole gzip data, as Content-Encoding says it is: send it again";
    Problem::new(&MALFORMED_BODY, detail)
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
    let (mut parts, body) = request.into_parts();
    let coding = match check_head(&parts.headers, budget.most) {
        Ok(coding) => coding,
        Err(problem) => return problem.into_response(),
    };
    match budget.read(body, coding).await {
        Ok(Admitted { bytes, place, .. }) => {
            parts.headers.remove(CONTENT_ENCODING);
            let request = Request::from_parts(parts, Body::from(bytes));
            let response = next.run(request).await;
            drop(place);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// How the body is sent; refuses one whose head says that it cannot be taken.
fn check_head(headers: &HeaderMap, most: usize) -> Result<Coding, Problem> {
    let coding = Coding::of(headers).ok_or_else(|| {
        let detail = "send the body as it is or by gzip, and say which in Content-Encoding";
        let known = HeaderValue::from_static("gzip, identity");
        Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail).header(ACCEPT_ENCODING, known)
    })?;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > most as u64 => Err(too_large()),
        _ => Ok(coding),
    }
}
