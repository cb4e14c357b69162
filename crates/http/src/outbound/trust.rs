//! Whom requests that go out by https believe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsConfigBuilder, parse_pem};

/// Why nobody could be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file is of no use.
    #[error("{}: {reason}: name a PEM file of certificates", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is none.
    #[error(
        "this machine trusts no certificates (Debian: ca-certificates): install some, or name those of the \
         endpoint with ca_file"
    )]
    Nobody,
}

/// The certificates that one of a server that is called has to lead to.
#[derive(Debug)]
pub struct TrustedRoots(Vec<Certificate<'static>>);

impl TrustedRoots {
    /// None: no server is believed.
    pub fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Those in a PEM file, of which there must be one.
    pub fn in_file(file: &Path) -> Result<Self, TrustError> {
        let unusable = |reason: String| TrustError::File {
            path: file.to_owned(),
            reason,
        };
        let text = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
        let mut found = Vec::new();
        for item in parse_pem(&text) {
            if let PemItem::Certificate(one) = item.map_err(|error| unusable(error.to_string()))? {
                found.push(one);
            }
        }
        if found.is_empty() {
            return Err(unusable(String::from("it holds none")));
        }
        Ok(Self(found))
    }

    /// Those that the machine trusts, of which there must be one.
    pub fn of_machine() -> Result<Self, TrustError> {
        let loaded = rustls_native_certs::load_native_certs();
        let roots = loaded.certs.iter();
        let roots: Vec<_> = roots
            .map(|one| Certificate::from_der(one).to_owned())
            .collect();
        if roots.is_empty() {
            return Err(TrustError::Nobody);
        }
        Ok(Self(roots))
    }

    /// TLS that believes them.
    pub fn tls(self) -> TlsConfig {
        base().root_certs(RootCerts::from(self.0)).build()
    }
}

/// TLS that takes whatever certificate a server has. Nothing secret may be sent so.
pub fn tls_with_anybody() -> TlsConfig {
    let nobody = RootCerts::from(TrustedRoots::nobody().0);
    base().root_certs(nobody).disable_verification(true).build()
}

fn base() -> TlsConfigBuilder {
    TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(default_provider()))
}
