//! Whom webhooks by https believe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Why no endpoint could be believed.
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

/// TLS for an endpoint whose certificate leads to one of those in `file`, or without a file of those that the
/// machine trusts.
pub(super) fn tls(file: &Path) -> Result<TlsConfig, TrustError> {
    let roots = if file.as_os_str().is_empty() {
        machine_roots()?
    } else {
        certificates(file)?
    };
    let config = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(default_provider()));
    Ok(config.build())
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, TrustError> {
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
    Ok(found)
}

fn machine_roots() -> Result<Vec<Certificate<'static>>, TrustError> {
    let loaded = rustls_native_certs::load_native_certs();
    let roots = loaded.certs.iter();
    let roots: Vec<_> = roots
        .map(|one| Certificate::from_der(one).to_owned())
        .collect();
    if roots.is_empty() {
        return Err(TrustError::Nobody);
    }
    Ok(roots)
}
