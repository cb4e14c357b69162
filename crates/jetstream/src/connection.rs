//! The connection to the servers.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};

/// Until a server greets; one that hangs is left for the next.
const GREETING: Duration = Duration::from_secs(2);

/// A server that leaves three pings unanswered is left for another.
const PING: Duration = Duration::from_secs(1);

/// Longest pause before a server is tried again.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Where the servers are and how one is let in. Its URLs may hold a password: it is never shown.
#[derive(Clone, Default)]
pub struct Access {
    /// `nats://` or `tls://` URLs, with commas between them.
    pub urls: String,
    /// A file with a JWT and a seed.
    pub credentials: Option<PathBuf>,
    /// A PEM file: certificates of servers have to lead to it, in place of what the machine trusts.
    pub authority: Option<PathBuf>,
    /// PEM files of the certificate and the key that are shown to the servers.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A URL cannot be read. It is not repeated: it may hold a password.
    #[error("URL {0} of the servers is none of NATS, like tls://nats1:4222")]
    Url(usize),
    /// The file with credentials is of no use.
    #[error("{}: {reason}: name a file of credentials of NATS", path.display())]
    Credentials {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// None of the servers lets one in.
    #[error("no server of NATS lets this program in: {0}")]
    Refused(String),
}

/// Connects to one of the servers. The connection looks for another when that is lost, for ever.
pub async fn connect(access: &Access) -> Result<Client, AccessError> {
    let mut options = ConnectOptions::new()
        .name(concat!("recant/", env!("CARGO_PKG_VERSION")))
        .connection_timeout(GREETING)
        .ping_interval(PING)
        .reconnect_delay_callback(pause);
    if let Some(path) = &access.credentials {
        let failed = |error: std::io::Error| AccessError::Credentials {
            path: path.clone(),
            reason: error.to_string(),
        };
        options = options.credentials_file(path).await.map_err(failed)?;
    }
    if let Some(path) = &access.authority {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &access.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let connected = options.connect(addresses(&access.urls)?).await;
    connected.map_err(|error| AccessError::Refused(error.to_string()))
}

fn pause(attempts: usize) -> Duration {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    Duration::from_millis(20)
        .saturating_mul(attempts)
        .min(PAUSE_MAX)
}

fn addresses(urls: &str) -> Result<Vec<ServerAddr>, AccessError> {
    let parsed = urls.split(',').enumerate().map(|(at, url)| {
        let address = url.trim().parse::<ServerAddr>();
        address.map_err(|_| AccessError::Url(at + 1))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_by_their_place_and_never_repeated() {
        let two = addresses("tls://a:4222, nats://user:secret@b:4222").expect("two URLs");
        assert_eq!(two.len(), 2);
        let error = addresses("nats://a:4222,http://user:secret@b:4222").expect_err("no NATS");
        assert!(matches!(error, AccessError::Url(2)));
        assert!(!error.to_string().contains("secret"));
    }
}
