//! Binds the address, serves the router, and ends without losing an answer.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::pin::Pin;

use axum::Router;
use axum_server::Handle;

use super::acceptor::LimitedAcceptor;
use super::tls_acceptor::TlsAcceptor;
use super::tls_identity::TlsIdentity;
use super::tls_pair::TlsError;
use crate::api_keys::ApiKeys;
use crate::config::{ServerSettings, Settings};

/// Largest head of a request: line and headers. The longest sensible one names a thousand items to
/// exclude.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Most headers of a request.
const HEADERS_MAX: usize = 64;

/// Why the server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address does not exist.
    #[error("cannot resolve the address {listen}: {source}; give one like 127.0.0.1:8080")]
    Resolve {
        /// The address as configured.
        listen: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The address is reachable from elsewhere and nothing guards it.
    #[error(
        "refusing to listen on {listen}: it can be reached from other machines and there is no API key \
         that opens it; listen on 127.0.0.1, make one with `recant keys api create`, or add \
         [[access.keys]] to the configuration"
    )]
    Unguarded {
        /// The address as configured.
        listen: String,
    },
    /// Another process has the port.
    #[error("the address {listen} is in use: stop the other process or choose another port")]
    InUse {
        /// The address as configured.
        listen: String,
    },
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {listen}: {source}")]
    Bind {
        /// The address as configured.
        listen: String,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no TLS with what the settings name.
    #[error("no TLS: {0}")]
    Tls(#[from] TlsError),
    /// The server ended with an error.
    #[error("the server stopped: {0}")]
    Serve(#[source] io::Error),
}

/// A bound address, not served yet. Callers that connect already wait in the backlog.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    identity: Option<TlsIdentity>,
    settings: ServerSettings,
}

impl Server {
    /// Reads the certificate for TLS, if there is to be one, and binds `server.listen`. Without API keys
    /// every address it stands for must be loopback, with TLS too.
    pub fn bind(settings: &Settings, keys: &ApiKeys) -> Result<Self, ServeError> {
        let listen = settings.server.listen.clone();
        let addresses: Vec<SocketAddr> = match listen.to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(source) => return Err(ServeError::Resolve { listen, source }),
        };
        let all_loopback = addresses.iter().all(|one| one.ip().is_loopback());
        if !keys.has_usable() && !all_loopback {
            return Err(ServeError::Unguarded { listen });
        }
        let identity = TlsIdentity::of(&settings.server)?;
        let bound = TcpListener::bind(addresses.as_slice())
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => ServeError::InUse { listen },
            _ => ServeError::Bind { listen, source },
        })?;
        Ok(Self {
            listener,
            address,
            identity,
            settings: settings.server.clone(),
        })
    }

    /// Where requests go, without a path: `https://127.0.0.1:8443`.
    pub fn url(&self) -> String {
        let scheme = self.identity.as_ref().map_or("http", |_| "https");
        format!("{scheme}://{}", self.address)
    }

    /// The certificate that is served with, to exchange it while the server runs; `None` without TLS.
    pub fn tls_identity(&self) -> Option<TlsIdentity> {
        self.identity.clone()
    }

    /// The address that was bound, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `shutdown` completes; then takes no new connection, lets the requests
    /// under way finish within the grace period, closes what is left, and returns.
    pub async fn run(
        self,
        router: Router,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(self.listener)
            .map_err(ServeError::Serve)?
            .http1_only()
            .handle(handle.clone());
        server
            .http_builder()
            .http1()
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX);
        let limited = LimitedAcceptor::new(&self.settings);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut serving: Pin<Box<dyn Future<Output = io::Result<()>> + Send>> = match self.identity
        {
            None => Box::pin(server.acceptor(limited).serve(service)),
            Some(identity) => {
                let acceptor = TlsAcceptor::new(limited, identity);
                Box::pin(server.acceptor(acceptor).serve(service))
            }
        };
        tokio::select! {
            ended = &mut serving => return ended.map_err(ServeError::Serve),
            () = shutdown => {}
        }
        tracing::info!(connections = handle.connection_count(), "stopping");
        handle.graceful_shutdown(Some(self.settings.shutdown_grace()));
        serving.await.map_err(ServeError::Serve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_keys::{KeyFile, NewKey};
    use crate::config::{AccessSettings, KeySettings, Role};

    fn bind(settings: &Settings) -> Result<Server, ServeError> {
        Server::bind(settings, &ApiKeys::open(settings).expect("a good file"))
    }

    fn listening_on(listen: &str) -> Settings {
        let mut settings = Settings::default();
        settings.server.listen = listen.to_owned();
        settings
    }

    #[test]
    fn without_keys_only_loopback_is_bound() {
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let error = bind(&listening_on(listen)).expect_err(listen);
            assert!(matches!(error, ServeError::Unguarded { .. }), "{error}");
            assert!(error.to_string().contains("[[access.keys]]"), "{error}");
        }
        for listen in ["127.0.0.1:0", "localhost:0"] {
            let server = bind(&listening_on(listen)).expect(listen);
            assert!(server.address().ip().is_loopback() && server.address().port() != 0);
        }
        let mut settings = listening_on("0.0.0.0:0");
        settings.access.keys.push(KeySettings {
            name: String::from("any"),
            sha256: "0".repeat(64),
            roles: vec![Role::Read],
            requests_per_second_max: None,
        });
        assert!(bind(&settings).is_ok(), "a key guards it");
    }

    #[test]
    fn a_key_that_was_made_guards_an_address_until_it_is_revoked() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = listening_on("0.0.0.0:0");
        settings.store.data_dir = folder.path().to_owned();
        let file = KeyFile::of_store(folder.path());
        let key = NewKey {
            name: String::from("any"),
            roles: vec![Role::Read],
            lifetime: None,
            requests_per_second_max: None,
        };
        file.create(&key, &AccessSettings::default()).expect("made");
        assert!(bind(&settings).is_ok(), "a key guards it");
        file.revoke("any").expect("there");
        let error = bind(&settings).expect_err("nobody could be let in");
        assert!(matches!(error, ServeError::Unguarded { .. }), "{error}");
    }

    #[test]
    fn a_port_in_use_is_said_to_be() {
        let first = bind(&listening_on("127.0.0.1:0")).expect("a free port");
        let taken = first.address().to_string();
        let error = bind(&listening_on(&taken)).expect_err("taken");
        assert!(matches!(error, ServeError::InUse { .. }), "{error}");
    }
}
