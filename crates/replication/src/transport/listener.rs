//! Where other nodes connect, and nobody else gets in.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::duplex::Duplex;
use super::identity::PeerIdentity;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Connections that are ready and not served yet.
const READY: usize = 64;

/// After a failure to take a connection, as when the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// For [`axum::serve()`]. Handshakes go on side by side.
pub struct PeerListener {
    ready: mpsc::Receiver<Ready>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl PeerListener {
    /// Listens. With an identity whoever connects has to show a certificate of the same authority.
    pub async fn bind(
        address: impl ToSocketAddrs,
        identity: Option<PeerIdentity>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (connected, ready) = mpsc::channel(READY);
        let accepting = tokio::spawn(accept(listener, identity, connected));
        Ok(Self {
            ready,
            address,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

type Ready = (Box<dyn Duplex>, SocketAddr);

async fn accept(
    listener: TcpListener,
    identity: Option<PeerIdentity>,
    connected: mpsc::Sender<Ready>,
) {
    loop {
        let (tcp, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection of another node could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (identity, connected) = (identity.clone(), connected.clone());
        tokio::spawn(async move {
            match greet(tcp, identity).await {
                // Nobody serves any more.
                Ok(stream) => drop(connected.send((stream, from)).await),
                Err(error) => tracing::debug!(%error, %from, "no node came in"),
            }
        });
    }
}

async fn greet(tcp: TcpStream, identity: Option<PeerIdentity>) -> io::Result<Box<dyn Duplex>> {
    tcp.set_nodelay(true)?;
    let Some(identity) = identity else {
        return Ok(Box::new(tcp));
    };
    let acceptor = TlsAcceptor::from(identity.server());
    let tls = timeout(HANDSHAKE, acceptor.accept(tcp)).await??;
    Ok(Box::new(tls))
}

impl Listener for PeerListener {
    type Io = Box<dyn Duplex>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The accepting task ends with this listener alone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
