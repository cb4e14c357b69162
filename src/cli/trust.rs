//! Whom commands that call a server by https believe.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::crypto::ring::default_provider;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsConfigBuilder, parse_pem};

use super::error::CliError;

/// Whose certificates a server may have.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TrustArgs {
    /// File of the certificates, in PEM, that a server's certificate for https has to lead to [default:
    /// those that this machine trusts]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl TrustArgs {
    /// What a client of `url` needs for TLS. A server that is called without is not asked for a certificate,
    /// and one that sends elsewhere by https is not believed.
    pub(super) fn tls(&self, url: &str) -> Result<TlsConfig, CliError> {
        let roots = match &self.ca {
            Some(file) => certificates(file)?,
            None if is_https(url) => machine_roots()?,
            None => Vec::new(),
        };
        Ok(base().root_certs(RootCerts::from(roots)).build())
    }
}

/// TLS that takes whatever certificate a server has. Nothing secret may be sent so.
pub(super) fn tls_with_anybody() -> TlsConfig {
    let nobody: [Certificate<'static>; 0] = [];
    let roots = RootCerts::from(nobody);
    base().root_certs(roots).disable_verification(true).build()
}

fn base() -> TlsConfigBuilder {
    TlsConfig::builder().unversioned_rustls_crypto_provider(Arc::new(default_provider()))
}

fn is_https(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https")
}

/// The certificates in a PEM file.
fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, CliError> {
    let unusable = |reason: String| {
        let file = file.display();
        CliError::Usage(format!(
            "--ca {file}: {reason}: name a PEM file of certificates"
        ))
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

/// The certificates that the machine trusts.
fn machine_roots() -> Result<Vec<Certificate<'static>>, CliError> {
    let loaded = rustls_native_certs::load_native_certs();
    let roots = loaded.certs.iter();
    let roots: Vec<_> = roots
        .map(|one| Certificate::from_der(one).to_owned())
        .collect();
    if roots.is_empty() {
        let problem = "this machine trusts no certificates (Debian: ca-certificates): install some, or \
                       name those of the server with --ca";
        return Err(CliError::Failed(problem.to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_misused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let trust = TrustArgs {
            ca: Some(file.path().to_owned()),
        };
        for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n"] {
            std::fs::write(file.path(), text).expect("written");
            let error = trust.tls("https://localhost").expect_err("no certificate");
            assert!(matches!(error, CliError::Usage(_)), "{text}: {error}");
        }
    }

    #[test]
    fn the_scheme_decides() {
        for (url, expected) in [
            ("https://a", true),
            ("HTTPS://a", true),
            ("http://https", false),
            ("localhost", false),
        ] {
            assert_eq!(is_https(url), expected, "{url}");
        }
    }
}
