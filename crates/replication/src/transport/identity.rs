//! Who a node is to other nodes: its certificate, its key, and the authority that all of theirs lead to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

/// Largest file read: chains have a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where the PEM files are.
#[derive(Debug, Clone)]
pub struct PeerIdentityFiles {
    /// The node's certificate, then those that lead from it to the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificate of the authority, or several.
    pub authority: PathBuf,
}

/// Why a node has no identity. Nothing of a key is in it.
#[derive(Debug, thiserror::Error)]
pub enum PeerIdentityError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What a handshake takes, on either side.
#[derive(Clone)]
struct Configs {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

/// A node's identity. Copies are renewed together.
#[derive(Clone)]
pub struct PeerIdentity {
    files: Arc<PeerIdentityFiles>,
    configs: Arc<RwLock<Configs>>,
}

impl PeerIdentity {
    /// Reads the files.
    pub fn read(files: PeerIdentityFiles) -> Result<Self, PeerIdentityError> {
        let configs = files.configs()?;
        Ok(Self {
            files: Arc::new(files),
            configs: Arc::new(RwLock::new(configs)),
        })
    }

    /// Reads the files again: for connections that are made from now on. After an error everything stays.
    pub fn renew(&self) -> Result<(), PeerIdentityError> {
        let configs = self.files.configs()?;
        *self.configs.write().unwrap_or_else(PoisonError::into_inner) = configs;
        Ok(())
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&configs.client)
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        let configs = self.configs.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&configs.server)
    }
}

impl PeerIdentityFiles {
    /// TLS 1.3 alone: on both sides is this program.
    fn configs(&self) -> Result<Configs, PeerIdentityError> {
        let unfit = |path: &Path, reason: &dyn std::fmt::Display| PeerIdentityError::Unfit {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let chain = certificates(&self.certificate)?;
        let key = read(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
            let reason = "it holds no private key in PEM that can be used: RSA, ECDSA or Ed25519, not encrypted";
            unfit(&self.key, &reason)
        })?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authority)? {
            let added = roots.add(certificate);
            added.map_err(|error| unfit(&self.authority, &error))?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(default_provider()));
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let verifier = verifier
            .build()
            .map_err(|error| unfit(&self.authority, &error))?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has suites for TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has suites for TLS 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key);
        Ok(Configs {
            client: Arc::new(client.map_err(|error| unfit(&self.certificate, &error))?),
            server: Arc::new(server.map_err(|error| unfit(&self.certificate, &error))?),
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PeerIdentityError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(PeerIdentityError::Unfit {
            path: path.to_owned(),
            reason: String::from("it holds no whole certificate in PEM"),
        }),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PeerIdentityError> {
    let bytes = fs::metadata(path).and_then(|known| {
        if known.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(
                "it is larger than any chain of certificates",
            ));
        }
        fs::read(path)
    });
    bytes
        .map(Zeroizing::new)
        .map_err(|source| PeerIdentityError::Unreadable {
            path: path.to_owned(),
            source,
        })
}
