//! The settings of the HTTP server and the limits around it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::REQUESTS_PER_SECOND_MAX;
use super::invalid::{InvalidSetting, check_range};

/// Longest time limit that can be set, in seconds: a day.
const SECONDS_MAX: u64 = 86_400;

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port. Without API keys only a loopback address is accepted; port 0 takes a
    /// free one.
    pub listen: String,
    /// File with the certificate for TLS and those that lead from it to a root, in PEM; empty for no TLS.
    pub tls_certificate: PathBuf,
    /// File with its private key, in PEM and not encrypted. Both files are read again when they change and
    /// on SIGHUP.
    pub tls_key: PathBuf,
    /// Longest time for a request, its body included. A wait asked for with `Prefer: wait` comes
    /// on top.
    pub request_timeout_seconds: u64,
    /// Longest time for the head of a request, from its first byte; on a new connection from the
    /// start, the handshake of TLS included.
    pub header_timeout_seconds: u64,
    /// Longest silence between two requests on one connection.
    pub keep_alive_seconds: u64,
    /// A connection is closed when its peer takes nothing of an answer for so long.
    pub write_timeout_seconds: u64,
    /// Largest request body.
    pub body_bytes_max: u64,
    /// Most requests worked on at the same time; more are answered 503.
    pub concurrency_max: u64,
    /// Most bytes of bodies in memory, of all requests together; more are answered 503.
    pub body_bytes_total_max: u64,
    /// Most open connections; more are closed at once.
    pub connections_max: u64,
    /// Most open connections of one address (of one /64 with IPv6); more are closed at once.
    /// Whoever serves behind a proxy, which is one address, may want [`Self::connections_max`] here.
    pub connections_per_address_max: u64,
    /// Requests a second of one API key, and without a key of one address (of one /64 with IPv6); more
    /// are answered 429. 0 for as many as come. Requests of erasures are counted by themselves.
    pub requests_per_second_max: u64,
    /// Most requests at once of whoever sent none for a while; 0 for those of a second.
    pub requests_burst_max: u64,
    /// How long requests under way may take to finish after a signal to stop.
    pub shutdown_grace_seconds: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: String::from("127.0.0.1:8080"),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            request_timeout_seconds: 30,
            header_timeout_seconds: 15,
            keep_alive_seconds: 75,
            write_timeout_seconds: 30,
            body_bytes_max: 8 * 1024 * 1024,
            concurrency_max: 512,
            body_bytes_total_max: 256 * 1024 * 1024,
            connections_max: 4096,
            connections_per_address_max: 1024,
            requests_per_second_max: 0,
            requests_burst_max: 0,
            shutdown_grace_seconds: 20,
        }
    }
}

impl ServerSettings {
    /// [`Self::request_timeout_seconds`] as a duration.
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    /// [`Self::header_timeout_seconds`] as a duration.
    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds)
    }

    /// [`Self::keep_alive_seconds`] as a duration.
    pub(crate) fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive_seconds)
    }

    /// [`Self::write_timeout_seconds`] as a duration.
    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds)
    }

    /// [`Self::shutdown_grace_seconds`] as a duration.
    pub(crate) fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }

    /// The files of the certificate and of its key, if there is to be TLS.
    pub(crate) fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.has_tls()
            .then_some((&self.tls_certificate, &self.tls_key))
    }

    /// Whether connections are behind TLS.
    pub fn has_tls(&self) -> bool {
        !self.tls_certificate.as_os_str().is_empty()
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let port = self.listen.rsplit_once(':').map(|(_, port)| port.parse());
        if !matches!(port, Some(Ok::<u16, _>(_))) {
            let problem = "needs an address and a port, as in 127.0.0.1:8080 or [::1]:8080";
            return Err(InvalidSetting::new("server.listen", problem));
        }
        let (certificate, key) = (&self.tls_certificate, &self.tls_key);
        if certificate.as_os_str().is_empty() != key.as_os_str().is_empty() {
            let problem = "and server.tls_key belong together: set both or neither";
            return Err(InvalidSetting::new("server.tls_certificate", problem));
        }
        for (key, value, most) in [
            (
                "request_timeout_seconds",
                self.request_timeout_seconds,
                SECONDS_MAX,
            ),
            (
                "header_timeout_seconds",
                self.header_timeout_seconds,
                SECONDS_MAX,
            ),
            ("keep_alive_seconds", self.keep_alive_seconds, SECONDS_MAX),
            (
                "write_timeout_seconds",
                self.write_timeout_seconds,
                SECONDS_MAX,
            ),
            (
                "shutdown_grace_seconds",
                self.shutdown_grace_seconds,
                SECONDS_MAX,
            ),
            ("body_bytes_max", self.body_bytes_max, 1024 * 1024 * 1024),
            ("concurrency_max", self.concurrency_max, 1_000_000),
            (
                "body_bytes_total_max",
                self.body_bytes_total_max,
                1024 * 1024 * 1024 * 1024,
            ),
            ("connections_max", self.connections_max, 1_000_000),
            (
                "connections_per_address_max",
                self.connections_per_address_max,
                1_000_000,
            ),
        ] {
            check_range(&format!("server.{key}"), value, 1..=most)?;
        }
        for (key, value) in [
            ("requests_per_second_max", self.requests_per_second_max),
            ("requests_burst_max", self.requests_burst_max),
        ] {
            check_range(&format!("server.{key}"), value, 0..=REQUESTS_PER_SECOND_MAX)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_port() {
        for (listen, good) in [
            ("127.0.0.1:0", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("localhost", false),
            ("127.0.0.1:99999", false),
            ("8080", false),
        ] {
            let settings = ServerSettings {
                listen: String::from(listen),
                ..ServerSettings::default()
            };
            assert_eq!(settings.check().is_ok(), good, "{listen}");
        }
    }

    #[test]
    fn a_certificate_has_a_key() {
        let mut settings = ServerSettings::default();
        assert!(settings.tls_files().is_none());
        settings.tls_key = PathBuf::from("key.pem");
        let error = settings.check().expect_err("no certificate");
        assert!(error.to_string().contains("server.tls_key"), "{error}");
        settings.tls_certificate = PathBuf::from("chain.pem");
        assert_eq!(settings.check(), Ok(()));
        assert!(settings.tls_files().is_some());
        settings.tls_key = PathBuf::new();
        assert!(settings.check().is_err());
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let settings = ServerSettings {
            concurrency_max: 0,
            ..ServerSettings::default()
        };
        let error = settings.check().expect_err("nobody could call");
        assert_eq!(error.key, "server.concurrency_max");
    }
}
