//! A certificate for TLS with its key: read from two PEM files, and checked before anybody is served
//! with it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use zeroize::Zeroizing;

/// Largest file read: chains have a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the server speaks once the handshake is done.
const PROTOCOL: &[u8] = b"http/1.1";

/// The right of everybody on the machine to read a file.
const READABLE_BY_ALL: u32 = 0o004;

/// Why there is no TLS with two files. Nothing of what a key file holds is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate's file has none, or one that is broken.
    #[error("{} does not hold a certificate for TLS in PEM: {reason}", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key's file has none that can be used.
    #[error(
        "{} does not hold a private key in PEM that can be used: RSA, ECDSA or Ed25519, not encrypted",
        path.display()
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("the key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
}

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub(super) struct PairFiles {
    /// The server's certificate, then those that lead from it to a root.
    pub(super) certificate: PathBuf,
    /// Its private key.
    pub(super) key: PathBuf,
}

/// What tells that a file is another one, or was written again, without reading it.
pub(super) type Stamp = [Option<(u64, u64, i64, i64)>; 2];

/// A certificate and its key, ready to be served with.
pub(super) struct Pair {
    /// Everything a handshake takes.
    pub(super) config: Arc<ServerConfig>,
    /// The end of the certificate's validity.
    pub(super) expires: SystemTime,
    /// Whether everybody on the machine may read the key.
    pub(super) key_is_readable_by_all: bool,
}

impl PairFiles {
    /// Reads and checks both files.
    pub(super) fn read(&self) -> Result<Pair, TlsError> {
        let (text, _) = read_limited(&self.certificate)?;
        let chain = chain(&text).map_err(|reason| self.no_certificate(reason))?;
        let expires = expiry(&chain).map_err(|reason| self.no_certificate(reason))?;
        let (text, key_file) = read_limited(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| self.no_key())?;
        Ok(Pair {
            config: Arc::new(self.config(chain, key)?),
            expires,
            key_is_readable_by_all: key_file.permissions().mode() & READABLE_BY_ALL != 0,
        })
    }

    /// What tells whether the files have changed.
    pub(super) fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        })
    }

    /// TLS 1.2 and 1.3 with the suites of the provider, all of them with forward secrecy and authenticated
    /// encryption; no certificates of clients, no early data.
    fn config(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites for both versions");
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| self.refusal(&error))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }

    /// Why the library refuses the pair.
    fn refusal(&self, error: &Error) -> TlsError {
        match error {
            Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
            Error::InvalidCertificate(reason) => self.no_certificate(format!("{reason:?}")),
            _ => self.no_key(),
        }
    }

    fn no_certificate(&self, reason: String) -> TlsError {
        TlsError::NoCertificate {
            path: self.certificate.clone(),
            reason,
        }
    }

    fn no_key(&self) -> TlsError {
        TlsError::NoKey {
            path: self.key.clone(),
        }
    }
}

/// The content of a file, wiped when it is dropped, and what the system knows of the file.
fn read_limited(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), TlsError> {
    let read = || {
        let file = File::open(path)?;
        let known = file.metadata()?;
        if known.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(
                "it is larger than any chain of certificates",
            ));
        }
        // With room for all of it from the start: a buffer that grows leaves copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize));
        file.take(FILE_BYTES_MAX).read_to_end(&mut content)?;
        Ok((content, known))
    };
    read().map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// All certificates of a PEM text, the server's own first.
fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|_| String::from("a section of it is damaged"))?;
    if chain.is_empty() {
        return Err(String::from("it has no section BEGIN CERTIFICATE"));
    }
    Ok(chain)
}

/// When the first certificate's validity ends.
fn expiry(chain: &[CertificateDer<'_>]) -> Result<SystemTime, String> {
    let own = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let own = Certificate::from_der(own).map_err(|error| error.to_string())?;
    let end: Duration = own.tbs_certificate.validity.not_after.to_unix_duration();
    Ok(SystemTime::UNIX_EPOCH + end)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// Something that stands in a key file and must be told nobody.
    const SECRET: &str = "bm90IGEga2V5";

    struct Folder {
        _folder: tempfile::TempDir,
        files: PairFiles,
    }

    impl Folder {
        /// A good pair.
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let files = PairFiles {
                certificate: folder.path().join("chain.pem"),
                key: folder.path().join("key.pem"),
            };
            let made = Self {
                _folder: folder,
                files,
            };
            let (certificate, key) = pair();
            made.write(&certificate, &key);
            made
        }

        fn write(&self, certificate: &str, key: &str) {
            write(&self.files.certificate, certificate).expect("written");
            write(&self.files.key, key).expect("written");
        }

        fn refusal(&self) -> TlsError {
            match self.files.read() {
                Ok(_) => panic!("it was taken"),
                Err(error) => error,
            }
        }
    }

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut parameters =
            CertificateParams::new(vec![String::from("localhost")]).expect("a name");
        parameters.not_after = rcgen::date_time_ymd(2100, 2, 3);
        let certificate = parameters.self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_good_pair_says_when_it_ends() {
        let folder = Folder::new();
        let pair = folder.files.read().expect("a good pair");
        let end = Duration::from_secs(4_105_296_000);
        assert_eq!(pair.expires, SystemTime::UNIX_EPOCH + end);
        assert_eq!(pair.config.alpn_protocols, [PROTOCOL]);
        assert_eq!(pair.config.max_early_data_size, 0);
    }

    #[test]
    fn a_key_that_everybody_may_read_is_noticed() {
        let folder = Folder::new();
        for (mode, readable) in [(0o600, false), (0o640, false), (0o644, true)] {
            set_permissions(&folder.files.key, Permissions::from_mode(mode)).expect("changed");
            let pair = folder.files.read().expect("a good pair");
            assert_eq!(pair.key_is_readable_by_all, readable, "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_is_written_again_is_noticed() {
        let folder = Folder::new();
        let before = folder.files.stamp();
        assert_eq!(before, folder.files.stamp());
        let longer = format!("{}\n", pair().1);
        write(&folder.files.key, longer).expect("written");
        assert_ne!(before, folder.files.stamp());
    }

    #[test]
    fn what_cannot_be_served_with_is_refused_without_a_word_of_it() {
        let folder = Folder::new();
        let (certificate, key) = pair();
        let section =
            |name: &str| format!("-----BEGIN {name}-----\n{SECRET}\n-----END {name}-----\n");
        folder.write(&certificate, &pair().1);
        assert!(matches!(folder.refusal(), TlsError::Mismatch { .. }));
        for broken in ["", "nonsense", &certificate, &section("CERTIFICATE")] {
            folder.write(&certificate, broken);
            let refusal = folder.refusal();
            assert!(matches!(refusal, TlsError::NoKey { .. }), "{refusal}");
        }
        for name in [
            "PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "SECRET",
        ] {
            for text in [section(name), section(name).replace('\n', "")] {
                folder.write(&certificate, &text);
                let refusal = format!("{0} {0:?}", folder.refusal());
                assert!(refusal.contains("key.pem"), "{refusal}");
                assert!(!refusal.contains(SECRET), "{refusal}");
            }
        }
        for broken in ["", "nonsense", &key, &section("CERTIFICATE")] {
            folder.write(broken, &key);
            let refusal = folder.refusal();
            assert!(
                matches!(refusal, TlsError::NoCertificate { .. }),
                "{refusal}"
            );
        }
        std::fs::remove_file(&folder.files.key).expect("removed");
        folder.write(&certificate, &key);
        std::fs::remove_file(&folder.files.certificate).expect("removed");
        assert!(matches!(folder.refusal(), TlsError::Unreadable { .. }));
    }
}
