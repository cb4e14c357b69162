//! Connections behind TLS: the same places and limits, and a handshake that has to be done in time.

use std::io::{self, ErrorKind};
use std::pin::Pin;

use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::server::TlsStream;

use super::acceptor::{Counted, LimitedAcceptor};
use super::connection::TimedStream;
use super::tls_identity::TlsIdentity;

/// Takes connections as a [`LimitedAcceptor`] does, and speaks TLS on them. A handshake has a place from
/// its first byte on, and shares the time of the first head.
#[derive(Clone)]
pub(super) struct TlsAcceptor {
    limited: LimitedAcceptor,
    identity: TlsIdentity,
}

impl TlsAcceptor {
    pub(super) fn new(limited: LimitedAcceptor, identity: TlsIdentity) -> Self {
        Self { limited, identity }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for TlsAcceptor {
    type Stream = TimedStream<TlsStream<TcpStream>>;
    type Service = Counted<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = self.limited.admit(&stream, service);
        let acceptor = tokio_rustls::TlsAcceptor::from(self.identity.config());
        Box::pin(async move {
            let admitted = admitted?;
            let handshake = timeout_at(admitted.first_head_by(), acceptor.accept(stream)).await;
            let stream = handshake
                .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
                // What it says is about the protocol, never what the peer sent.
                .inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed"))?;
            Ok(admitted.over(stream))
        })
    }
}
