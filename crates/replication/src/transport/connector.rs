//! Connections to other nodes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Uri;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::duplex::Duplex;
use super::identity::PeerIdentity;

/// How long a connection may take, and then its handshake.
const CONNECT: Duration = Duration::from_secs(2);

/// Connects by TCP, and shows a certificate where nodes have them.
#[derive(Clone)]
pub(super) struct PeerConnector {
    identity: Option<PeerIdentity>,
}

impl PeerConnector {
    pub(super) fn new(identity: Option<PeerIdentity>) -> Self {
        Self { identity }
    }
}

impl Service<Uri> for PeerConnector {
    type Response = TokioIo<PeerStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let identity = self.identity.clone();
        Box::pin(async move { Ok(TokioIo::new(connect(&to, identity).await?)) })
    }
}

async fn connect(to: &Uri, identity: Option<PeerIdentity>) -> io::Result<PeerStream> {
    let is_secure = to.scheme_str() == Some("https");
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = to.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let tcp = timeout(CONNECT, TcpStream::connect((host, port))).await??;
    tcp.set_nodelay(true)?;
    match identity {
        Some(identity) if is_secure => {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            let connector = TlsConnector::from(identity.client());
            let tls = timeout(CONNECT, connector.connect(name, tcp)).await??;
            Ok(PeerStream(Box::new(tls)))
        }
        // A node with certificates speaks to nobody without.
        Some(_) => Err(io::Error::other("the address of the node is not https")),
        None if is_secure => Err(io::Error::other(
            "the address of the node is https: set cluster.tls_certificate, cluster.tls_key and cluster.tls_authority",
        )),
        None => Ok(PeerStream(Box::new(tcp))),
    }
}

/// A connection to a node.
pub(super) struct PeerStream(Box<dyn Duplex>);

impl Connection for PeerStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
