//! Which connections are taken, and the service that answers on one.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::Service;

use super::connection::{Exchange, Limits, TimedStream};
use super::shares::{Share, Shares};
use crate::config::ServerSettings;

/// Takes connections up to a number, and up to another from one address, and closes those beyond it
/// at once, so that nobody can use up the file descriptors that the store needs.
#[derive(Clone)]
pub(super) struct LimitedAcceptor {
    free: Arc<Semaphore>,
    shares: Shares,
    limits: Limits,
}

impl LimitedAcceptor {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let most = usize::try_from(settings.connections_max).unwrap_or(usize::MAX);
        Self {
            free: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            shares: Shares::new(settings.connections_per_address_max),
            limits: Limits::new(settings),
        }
    }

    /// Gives the connection `stream` a place, and its service what counts its requests; an error when
    /// there is no place.
    pub(super) fn admit<S>(&self, stream: &TcpStream, service: S) -> io::Result<Admitted<S>> {
        let Some(place) = self.place(stream) else {
            tracing::debug!("too many connections: closed a new one");
            return Err(io::Error::other("too many connections"));
        };
        // An answer is small and complete: holding it back to fill a packet only delays it.
        stream.set_nodelay(true)?;
        let exchange = Arc::new(Exchange::default());
        Ok(Admitted {
            service: Counted {
                service,
                exchange: Arc::clone(&exchange),
                _place: Arc::new(place),
            },
            exchange,
            limits: self.limits,
            since: Instant::now(),
        })
    }

    /// A place for a connection from `stream`'s other end, if there is one.
    fn place(&self, stream: &TcpStream) -> Option<Place> {
        let share = self.shares.take(stream.peer_addr().ok()?.ip())?;
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Place {
            _permit: permit,
            _share: share,
        })
    }
}

/// A connection that has a place, before its first request.
pub(super) struct Admitted<S> {
    service: Counted<S>,
    exchange: Arc<Exchange>,
    limits: Limits,
    since: Instant,
}

impl<S> Admitted<S> {
    /// When the head of the first request must be complete, and whatever comes before it.
    pub(super) fn first_head_by(&self) -> Instant {
        self.since + self.limits.head()
    }

    /// `stream` under the limits, and what answers on it.
    pub(super) fn over<T>(self, stream: T) -> (TimedStream<T>, Counted<S>) {
        let stream = TimedStream::new(stream, self.exchange, self.limits, self.since);
        (stream, self.service)
    }
}

/// One connection's place among those that are open.
struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl<S> Accept<TcpStream, S> for LimitedAcceptor {
    type Stream = TimedStream<TcpStream>;
    type Service = Counted<S>;
    type Future = Ready<io::Result<(TimedStream<TcpStream>, Counted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = self.admit(&stream, service);
        ready(admitted.map(|admitted| admitted.over(stream)))
    }
}

/// The service of one connection; when the last clone is dropped the connection is over and its
/// place is free.
#[derive(Clone)]
pub(super) struct Counted<S> {
    service: S,
    exchange: Arc<Exchange>,
    _place: Arc<Place>,
}

impl<R, S> Service<R> for Counted<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let under_way = self.exchange.begin();
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(under_way);
            answer
        })
    }
}
