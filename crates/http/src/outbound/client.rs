//! Posts messages to one endpoint, signed.

use jiff::Timestamp;
use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_TYPE, RETRY_AFTER};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;

use super::body::body;
use super::resolver::{InternalAddress, PublicResolver};
use super::retry_after::retry_after;
use super::trust::{TrustError, TrustedRoots};
use crate::config::WebhookSettings;
use crate::http::callback_body;
use recant_receipt::WebhookKey;
use recant_service::{Deliver, Delivery, StateMessage};

/// Longest head of an answer. Its body is not read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What requests say who they are from.
const USER_AGENT: &str = concat!("recant/", env!("CARGO_PKG_VERSION"));

/// Posts messages to one endpoint.
pub struct WebhookClient {
    agent: Agent,
    url: String,
    key: WebhookKey,
    /// What is posted.
    body: fn(&StateMessage) -> Vec<u8>,
}

impl WebhookClient {
    /// A client of the endpoint of these settings, whose messages are signed with `key`.
    pub fn new(settings: &WebhookSettings, key: WebhookKey) -> Result<Self, TrustError> {
        let url = settings.url.expose().to_owned();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(!settings.may_be_plain())
            .max_redirects(0)
            .proxy(None)
            .user_agent(USER_AGENT)
            .max_response_header_size(HEAD_BYTES_MAX)
            .timeout_global(Some(settings.timeout()));
        if !settings.url.is_plain() {
            let roots = if settings.ca_file.as_os_str().is_empty() {
                TrustedRoots::of_machine()?
            } else {
                TrustedRoots::in_file(&settings.ca_file)?
            };
            config = config.tls_config(roots.tls());
        }
        let (config, connector) = (config.build(), DefaultConnector::default());
        let agent = if settings.allow_internal {
            Agent::with_parts(config, connector, DefaultResolver::default())
        } else {
            Agent::with_parts(config, connector, PublicResolver::default())
        };
        let body = if settings.is_callback() {
            callback_body
        } else {
            body
        };
        Ok(Self {
            agent,
            url,
            key,
            body,
        })
    }

    /// The text form of the key that its messages are checked with.
    pub fn public_key(&self) -> String {
        self.key.public().to_string()
    }

    fn post(
        &self,
        message: &StateMessage,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let (id, body) = (message.id(), (self.body)(message));
        let timestamp = Timestamp::now().as_second();
        self.agent
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", self.key.sign(&id, timestamp, &body))
            .send(&body)
    }
}

impl Deliver for WebhookClient {
    fn deliver(&self, message: &StateMessage) -> Delivery {
        let answer = match self.post(message) {
            Ok(answer) => answer,
            Err(error) => {
                return Delivery::Failed {
                    reason: reason(&error).to_owned(),
                    retry_after: None,
                };
            }
        };
        let status = answer.status();
        if status.is_success() {
            return Delivery::Acknowledged;
        }
        if status == StatusCode::GONE {
            return Delivery::Gone;
        }
        let said = answer.headers().get(RETRY_AFTER);
        let said = said.and_then(|value| value.to_str().ok());
        Delivery::Failed {
            reason: format!("it answered {}", status.as_u16()),
            retry_after: said.and_then(|text| retry_after(text, Timestamp::now())),
        }
    }
}

/// Why there is no answer, without the address: that may hold a secret.
fn reason(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Other(other) if other.is::<InternalAddress>() => {
            "its address is internal, and allow_internal is not set"
        }
        ureq::Error::Timeout(_) => "it did not answer in time",
        ureq::Error::HostNotFound => "there is no address for its host",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            "its certificate is not believed, or TLS failed"
        }
        ureq::Error::Io(error) if is_tls(error) => "its certificate is not believed, or TLS failed",
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => "there is no connection to it",
        _ => "it does not speak HTTP as expected",
    }
}

/// TLS says what it does not like where it reads and writes.
fn is_tls(error: &std::io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use recant_types::{
        ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, UnixMillis, UserId,
    };
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::config::WebhookUrl;

    fn message() -> StateMessage {
        let target = ErasureTarget::User(UserId::new("ada").expect("an id"));
        let accepted_at = UnixMillis(1_700_000_000_000);
        StateMessage {
            state: ErasureStatus::Accepted,
            record: ErasureRecord::accepted(ErasureId::generate(), 1, &target, accepted_at),
        }
    }

    fn client(url: &str, change: impl FnOnce(&mut WebhookSettings)) -> WebhookClient {
        let mut settings = WebhookSettings {
            name: String::from("shop"),
            url: WebhookUrl::new(url),
            allow_internal: true,
            timeout_seconds: 5,
            ..WebhookSettings::default()
        };
        change(&mut settings);
        WebhookClient::new(&settings, WebhookKey::from_seed(&[1; 32])).expect("a client")
    }

    /// Reads a request to its end and answers it.
    fn answer(stream: &mut (impl Read + Write), reply: &str) {
        let mut reader = BufReader::new(&mut *stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        let _ = reader.read_exact(&mut body);
        // Whoever does not believe the certificate is gone by now.
        let _ = stream.write_all(reply.as_bytes());
        let _ = stream.flush();
    }

    /// Answers every connection with `reply`, and counts them.
    fn receiver(
        reply: String,
        wrap: impl Fn(TcpStream, &str) + Send + 'static,
    ) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Ordering::SeqCst);
                wrap(stream, &reply);
            }
        });
        (port, count)
    }

    fn plain(reply: &str) -> (u16, Arc<AtomicUsize>) {
        let reply = format!("HTTP/1.1 {reply}content-length: 0\r\nconnection: close\r\n\r\n");
        receiver(reply, |mut stream, reply| answer(&mut stream, reply))
    }

    fn failed(reason: &str, seconds: Option<u64>) -> Delivery {
        Delivery::Failed {
            reason: reason.to_owned(),
            retry_after: seconds.map(std::time::Duration::from_secs),
        }
    }

    #[test]
    fn answers_are_told_apart() {
        for (reply, expected) in [
            ("200 OK\r\n", Delivery::Acknowledged),
            ("204 No Content\r\n", Delivery::Acknowledged),
            ("299 Fine\r\n", Delivery::Acknowledged),
            ("410 Gone\r\n", Delivery::Gone),
            ("400 Bad\r\n", failed("it answered 400", None)),
            ("304 Not Modified\r\n", failed("it answered 304", None)),
            ("500 No\r\n", failed("it answered 500", None)),
            (
                "429 Slow\r\nRetry-After: 7\r\n",
                failed("it answered 429", Some(7)),
            ),
            (
                "503 No\r\nRetry-After: never\r\n",
                failed("it answered 503", None),
            ),
        ] {
            let (port, _) = plain(reply);
            let client = client(&format!("http://127.0.0.1:{port}/"), |_| {});
            assert_eq!(client.deliver(&message()), expected, "{reply}");
        }
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let (target, reached) = plain("200 OK\r\n");
        for status in ["301 Moved", "302 Found", "307 Elsewhere", "308 Elsewhere"] {
            let location = format!("{status}\r\nlocation: http://127.0.0.1:{target}/\r\n");
            let (port, asked) = plain(&location);
            let client = client(&format!("http://127.0.0.1:{port}/"), |_| {});
            let expected = failed(&format!("it answered {}", &status[..3]), None);
            assert_eq!(client.deliver(&message()), expected);
            assert_eq!(asked.load(Ordering::SeqCst), 1);
        }
        assert_eq!(reached.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_is_internal_is_not_called_unless_allowed() {
        let (port, reached) = plain("200 OK\r\n");
        let hosts = [
            "127.0.0.1",
            "localhost",
            "127.1",
            "2130706433",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ];
        for host in hosts {
            let client = client(&format!("http://{host}:{port}/"), |settings| {
                (settings.allow_internal, settings.allow_http) = (false, true);
            });
            let refused = client.deliver(&message());
            assert!(
                matches!(refused, Delivery::Failed { .. }),
                "{host}: {refused:?}"
            );
        }
        assert_eq!(reached.load(Ordering::SeqCst), 0);
        let client = client(&format!("http://localhost:{port}/"), |_| {});
        assert_eq!(client.deliver(&message()), Delivery::Acknowledged);
    }

    #[test]
    fn a_name_that_resolves_inside_is_said_to_be_internal() {
        let client = client("http://localhost:9/", |settings| {
            settings.allow_internal = false
        });
        let expected = failed(
            "its address is internal, and allow_internal is not set",
            None,
        );
        assert_eq!(client.deliver(&message()), expected);
    }

    #[test]
    fn nobody_there_and_somebody_silent_are_failures() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").port()
        };
        let gone = client(&format!("http://127.0.0.1:{port}/"), |_| {});
        assert_eq!(
            gone.deliver(&message()),
            failed("there is no connection to it", None)
        );
        let (port, _) = receiver(String::new(), |stream, _| {
            let mut stream = stream;
            // Held until the other side gives up.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let silent = client(&format!("http://127.0.0.1:{port}/"), |settings| {
            settings.timeout_seconds = 1;
        });
        assert_eq!(
            silent.deliver(&message()),
            failed("it did not answer in time", None)
        );
    }

    /// A server behind TLS, with its certificate in a file.
    fn behind_tls(folder: &Path, name: &str) -> (u16, std::path::PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec![String::from("localhost")]);
        let rcgen::CertifiedKey { cert, signing_key } = made.expect("a certificate");
        let file = folder.join(name);
        std::fs::write(&file, cert.pem()).expect("written");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a pair");
        let config = Arc::new(config);
        let reply = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let (port, _) = receiver(reply.to_owned(), move |stream, reply| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            answer(&mut StreamOwned::new(connection, stream), reply);
        });
        (port, file)
    }

    #[test]
    fn an_endpoint_by_https_is_believed_by_its_certificate() {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, own) = behind_tls(folder.path(), "own.pem");
        let (_, other) = behind_tls(folder.path(), "other.pem");
        let url = format!("https://localhost:{port}/");
        let believing = |file: &Path| {
            let file = file.to_owned();
            client(&url, move |settings| settings.ca_file = file)
        };
        assert_eq!(believing(&own).deliver(&message()), Delivery::Acknowledged);
        let expected = failed("its certificate is not believed, or TLS failed", None);
        assert_eq!(believing(&other).deliver(&message()), expected);
        let by_address = client(&format!("https://127.0.0.1:{port}/"), |settings| {
            settings.ca_file.clone_from(&own);
        });
        assert_eq!(by_address.deliver(&message()), expected);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let settings = WebhookSettings {
            url: WebhookUrl::new("https://shop.example/secret"),
            ca_file: file.path().to_owned(),
            ..WebhookSettings::default()
        };
        for text in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n"] {
            std::fs::write(file.path(), text).expect("written");
            let refused = WebhookClient::new(&settings, WebhookKey::from_seed(&[1; 32]));
            let error = refused.err().expect("no certificate").to_string();
            assert!(
                error.contains("PEM") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
