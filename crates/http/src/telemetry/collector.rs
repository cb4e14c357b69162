//! The way to the collector: HTTP, without anything that a call on a thread of its own could not do.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// Longest time for one batch of spans to be taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer read: a few words.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Sends batches of spans. It blocks, so it is for the thread that collects them.
#[derive(Debug)]
pub(super) struct Collector(ureq::Agent);

impl Collector {
    pub(super) fn new() -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // Spans go where the configuration says, and nowhere else.
            .max_redirects(0)
            .proxy(None)
            .build();
        Self(agent.into())
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        let (head, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
