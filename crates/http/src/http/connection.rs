//! One connection's bytes, under time limits of their own: for the head of a request, for the
//! silence between two requests, and for a peer that takes nothing of what is sent to it. And what
//! the HTTP library refuses by itself, with an empty body, leaves as a problem.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::problem;
use crate::config::ServerSettings;

/// What the head of every answer begins with; its status follows.
const ANSWER_START: &[u8] = b"HTTP/1.1 ";

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    head: Duration,
    keep_alive: Duration,
    write: Duration,
}

impl Limits {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            head: settings.header_timeout(),
            keep_alive: settings.keep_alive(),
            write: settings.write_timeout(),
        }
    }

    /// Longest time for the head of a request.
    pub(super) fn head(&self) -> Duration {
        self.head
    }
}

/// How many requests of a connection have come to the service, and how many it has answered.
/// Shared by the stream and the service of one connection.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    started: AtomicUsize,
    answered: AtomicUsize,
}

impl Exchange {
    /// Notes that a request has come to the service; its answer is noted when the returned value
    /// is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.started.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(self))
    }

    fn is_under_way(&self) -> bool {
        self.started.load(Ordering::Acquire) != self.answered.load(Ordering::Acquire)
    }
}

/// A request that the service has not answered yet.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Exchange>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::AcqRel);
    }
}

/// The stream of one connection.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    exchange: Arc<Exchange>,
    limits: Limits,
    /// Requests whose heads were complete when the stream was last read.
    heads: usize,
    /// Whether part of a head has come.
    in_head: bool,
    /// When the head began, or the silence.
    since: Instant,
    read_timer: Pin<Box<Sleep>>,
    /// Runs while the peer takes nothing.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// Answers of the service whose heads were written.
    written: usize,
    /// What is left of a problem that takes the place of the library's own answer.
    substitute: Vec<u8>,
}

impl<S> TimedStream<S> {
    /// `stream`, of a connection that was taken at `since`, under `limits`. The time of the first head
    /// runs from there on.
    pub(super) fn new(stream: S, exchange: Arc<Exchange>, limits: Limits, since: Instant) -> Self {
        Self {
            stream,
            exchange,
            limits,
            heads: 0,
            in_head: true,
            since,
            read_timer: Box::pin(tokio::time::sleep_until(since + limits.head)),
            write_timer: None,
            written: 0,
            substitute: Vec::new(),
        }
    }

    /// Takes note of heads that were completed.
    fn follow(&mut self) {
        let heads = self.exchange.started.load(Ordering::Acquire);
        if heads != self.heads {
            self.heads = heads;
            self.in_head = false;
            self.since = Instant::now();
        }
    }

    /// Whether the peer has been silent for too long.
    fn is_silent_too_long(&mut self, context: &mut Context<'_>) -> bool {
        if self.exchange.is_under_way() {
            return false;
        }
        let limit = if self.in_head {
            self.limits.head
        } else {
            self.limits.keep_alive
        };
        let end = self.since + limit;
        if self.read_timer.deadline() != end {
            self.read_timer.as_mut().reset(end);
        }
        self.read_timer.as_mut().poll(context).is_ready()
    }

    /// Fails a write that has waited too long for the peer.
    fn limit_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_timer = None;
            return written;
        }
        let limit = self.limits.write;
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timer.as_mut().poll(context));
        tracing::debug!("nobody reads: closed a connection");
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// The problem to send in the place of `bytes`, when they are an answer that the service did
    /// not give. Their status is kept.
    fn substitute(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let status = bytes.strip_prefix(ANSWER_START)?.get(..3)?;
        let status = StatusCode::from_bytes(status).ok()?;
        if status.is_informational() {
            return None;
        }
        if self.written < self.exchange.started.load(Ordering::Acquire) {
            self.written += 1;
            return None;
        }
        // Nothing in a body of ours looks like this: texts in JSON hold no line breaks.
        let text = std::str::from_utf8(bytes).ok()?;
        let is_empty = text.ends_with("\r\n\r\n") && text.contains("\r\ncontent-length: 0\r\n");
        (is_empty && status.is_client_error()).then(|| problem::refusal(status))
    }
}

impl<S: AsyncWrite + Unpin> TimedStream<S> {
    /// Writes what is left of a substitute.
    fn write_substitute(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.substitute.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.substitute);
            let written = ready!(self.limit_write(written, context))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.substitute.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.follow();
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending if self.is_silent_too_long(context) => {
                // As if the peer had closed it: there is nobody to tell.
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                if !self.in_head && !self.exchange.is_under_way() {
                    self.in_head = true;
                    self.since = Instant::now();
                }
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_substitute(context))?;
        let first = slices.iter().find(|slice| !slice.is_empty());
        if let Some(problem) = first.and_then(|bytes| self.substitute(bytes)) {
            self.substitute = problem;
            // What is taken here is not sent: the substitute is, before anything that follows.
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if written.is_ready() && !self.in_head {
            self.since = Instant::now();
        }
        self.limit_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_substitute(context))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.limit_write(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_substitute(context))?;
        // The end of TLS is written too, and may wait for the peer.
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limit_write(closed, context)
    }
}
