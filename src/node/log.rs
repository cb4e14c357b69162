//! The shared log, as the settings name it.

use std::time::Duration;

use recant_http::ClusterSettings;
use recant_jetstream::{
    Access, AccessError, JetStreamLog, LogError, LogName, LogSettings, SetUpError, Unfit,
    UnfitServer, connect,
};
use recant_replication::{PeerIdentity, PeerIdentityFiles};
use tokio::time::{Instant, sleep};

use super::error::NodeError;

/// How long a command waits for servers that cannot be reached.
const PATIENCE: Duration = Duration::from_secs(30);

/// Before servers that cannot be reached are tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Seconds of a day.
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Where the log is among the streams.
pub(super) fn log_name(cluster: &ClusterSettings) -> Result<LogName, NodeError> {
    Ok(LogName::new(&cluster.name)?)
}

/// How the stream has to be set.
pub(super) fn log_settings(cluster: &ClusterSettings) -> Result<LogSettings, NodeError> {
    let name = log_name(cluster)?;
    let replicas = usize::try_from(cluster.log_replicas).unwrap_or(usize::MAX);
    let age = Duration::from_secs(cluster.log_days * DAY_SECONDS);
    Ok(LogSettings::new(
        name,
        replicas,
        cluster.log_bytes_max,
        age,
    )?)
}

/// How the servers let this program in. Certificates of the connections between nodes are shown to servers
/// by TLS as well.
pub(super) fn access(cluster: &ClusterSettings) -> Access {
    let urls: Vec<_> = cluster.nats_url.expose().collect();
    let credentials = &cluster.nats_credentials;
    let files = cluster.tls_files().filter(|_| has_tls(&urls));
    Access {
        urls: urls.join(","),
        credentials: (!credentials.as_os_str().is_empty()).then(|| credentials.clone()),
        authority: files.map(|[_, _, authority]| authority.to_owned()),
        certificate: files.map(|[chain, key, _]| (chain.to_owned(), key.to_owned())),
    }
}

fn has_tls(urls: &[&str]) -> bool {
    urls.iter().any(|url| url.starts_with("tls://"))
}

/// Who this node is to others, if it has certificates.
pub(crate) fn identity(cluster: &ClusterSettings) -> Result<Option<PeerIdentity>, NodeError> {
    let files = cluster.tls_files().map(|[certificate, key, authority]| {
        PeerIdentity::read(PeerIdentityFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            authority: authority.to_owned(),
        })
    });
    Ok(files.transpose()?)
}

/// Tries something for a while, for as long as it fails of what time may mend.
pub(super) async fn patiently<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, NodeError>,
) -> Result<T, NodeError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error) if is_passing(&error) && Instant::now() < until => sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// Opens the log; servers that cannot be reached, or do not agree on who leads them, are waited for.
pub(super) async fn open(cluster: &ClusterSettings) -> Result<JetStreamLog, NodeError> {
    let settings = log_settings(cluster)?;
    let mut said = false;
    loop {
        let error = match try_to_open(cluster, &settings).await {
            Ok(log) => return Ok(log),
            Err(error) if is_passing(&error) => error,
            Err(error) => return Err(error),
        };
        if !said {
            tracing::warn!(%error, "the log cannot be opened yet; it is tried again");
            said = true;
        }
        sleep(PAUSE).await;
    }
}

async fn try_to_open(
    cluster: &ClusterSettings,
    settings: &LogSettings,
) -> Result<JetStreamLog, NodeError> {
    let client = connect(&access(cluster)).await?;
    Ok(JetStreamLog::open(client, settings).await?)
}

/// Whether time may mend it. While its servers agree on nobody, a stream may look as if it were not there.
fn is_passing(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Access(AccessError::Refused(_))
            | NodeError::Log(SetUpError::Log(
                LogError::Unreachable(_) | LogError::Silent(_)
            ))
            | NodeError::Log(SetUpError::Log(LogError::Failed(_)))
            | NodeError::Unfit(UnfitServer {
                why: Unfit::Silent(_),
                ..
            })
    )
}
