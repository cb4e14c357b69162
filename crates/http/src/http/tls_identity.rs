//! What the server shows in a handshake, and its exchange for newer files while connections go on.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use metrics::gauge;
use rustls::ServerConfig;

use super::metric_names::TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS;
use super::tls_pair::{Pair, PairFiles, Stamp, TlsError};
use crate::config::ServerSettings;

/// So long before the end of a certificate it is warned of.
const EXPIRY_NOTICE: Duration = Duration::from_secs(30 * 86_400);

/// The certificate and key of a server. Cloning shares them.
#[derive(Clone)]
pub struct TlsIdentity(Arc<Shared>);

struct Shared {
    files: PairFiles,
    config: ArcSwap<ServerConfig>,
    known: Mutex<Known>,
}

/// What is known of the files. A std mutex: it is never held across an await.
struct Known {
    /// As they were when they were last read, whatever came of it.
    stamp: Stamp,
    /// The end of the certificate that is served.
    expires: SystemTime,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = &self.0.files;
        formatter.debug_tuple("TlsIdentity").field(files).finish()
    }
}

impl TlsIdentity {
    /// What `server.tls_certificate` and `server.tls_key` name; `None` where they name nothing.
    pub(super) fn of(settings: &ServerSettings) -> Result<Option<Self>, TlsError> {
        let Some((certificate, key)) = settings.tls_files() else {
            return Ok(None);
        };
        let files = PairFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let stamp = files.stamp();
        let pair = files.read()?;
        let identity = Self(Arc::new(Shared {
            files,
            config: ArcSwap::new(Arc::clone(&pair.config)),
            known: Mutex::new(Known {
                stamp,
                expires: pair.expires,
            }),
        }));
        identity.announce(&pair);
        Ok(Some(identity))
    }

    /// What the next handshake is made with.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.0.config.load_full()
    }

    /// Reads the files again. When they are good new connections get what they hold, and those that are
    /// open keep what they have; otherwise the reason is logged, and everything stays as it is. Whether
    /// they were good. It reads files, so it wants a thread that may wait.
    pub fn reload(&self) -> bool {
        let Shared {
            files,
            config,
            known,
        } = &*self.0;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken before they are read: what is written meanwhile is read next time.
        known.stamp = files.stamp();
        match files.read() {
            Ok(pair) => {
                config.store(Arc::clone(&pair.config));
                known.expires = pair.expires;
                tracing::info!("new connections get the TLS certificate as it is now in its file");
                self.announce(&pair);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the TLS certificate is not renewed: the one before stays");
                false
            }
        }
    }

    /// The same, if the files are not as they were when they were last read.
    pub fn reload_if_changed(&self) {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = known.stamp != self.0.files.stamp();
        drop(known);
        if changed {
            self.reload();
        }
    }

    /// Logs a warning when the certificate that is served ends soon, or has ended.
    pub fn warn_of_expiry(&self) {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        warn_of_expiry(known.expires);
    }

    /// Says what there is to say of a pair that is served from now on.
    fn announce(&self, pair: &Pair) {
        let end = pair.expires.duration_since(SystemTime::UNIX_EPOCH);
        gauge!(TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS).set(end.unwrap_or_default().as_secs_f64());
        if pair.key_is_readable_by_all {
            let key = self.0.files.key.display();
            tracing::warn!(%key, "everybody on this machine may read the TLS key: take that right away");
        }
        warn_of_expiry(pair.expires);
    }
}

fn warn_of_expiry(expires: SystemTime) {
    match expires.duration_since(SystemTime::now()) {
        Ok(left) if left > EXPIRY_NOTICE => {}
        Ok(left) => {
            let days = left.as_secs() / 86_400;
            tracing::warn!(days, "the TLS certificate expires soon: renew it");
        }
        Err(_) => tracing::warn!("the TLS certificate has expired: clients refuse it; renew it"),
    }
}
