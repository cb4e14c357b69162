//! Whom commands that call a server by https believe.

use std::path::PathBuf;

use clap::Args;
use ureq::tls::TlsConfig;

use super::error::CliError;
use recant_http::{TrustError, TrustedRoots};

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
            Some(file) => TrustedRoots::in_file(file),
            None if is_https(url) => TrustedRoots::of_machine(),
            None => Ok(TrustedRoots::nobody()),
        };
        roots.map(TrustedRoots::tls).map_err(told)
    }
}

/// What is wrong, by the names of the flags.
fn told(error: TrustError) -> CliError {
    match error {
        TrustError::File { .. } => CliError::Usage(format!("--ca {error}")),
        TrustError::Nobody => {
            let problem = "this machine trusts no certificates (Debian: ca-certificates): install some, or \
                           name those of the server with --ca";
            CliError::Failed(problem.to_owned())
        }
    }
}

fn is_https(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https")
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
