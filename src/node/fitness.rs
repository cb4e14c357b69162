//! Whether the servers of the log keep what they acknowledge: asked at the start, and each minute.

use std::time::Duration;

use recant_http::ClusterSettings;
use recant_jetstream::{Unfit, UnfitServer, check_servers};
use recant_replication::metric_names::CLUSTER_LOG_SYNCED;
use tokio::sync::watch;
use tokio::time::sleep;
use ureq::Agent;

/// Between two questions.
const ASKED_EACH: Duration = Duration::from_secs(60);

/// After a server did not answer, or not as it has to.
const ASKED_AGAIN: Duration = Duration::from_secs(2);

/// Asks the servers once. Whoever trusts the log asks nobody.
pub(super) async fn check(cluster: &ClusterSettings) -> Result<(), UnfitServer> {
    if cluster.trust_log {
        return Ok(());
    }
    let mut silent = Ok(());
    for url in cluster.monitor_urls.expose() {
        let checked = check_servers(Agent::new_with_defaults(), vec![url.to_owned()]).await;
        match checked {
            // One that does not keep what it acknowledges is worse than one that says nothing.
            Err(error) if is_silent(&error) => silent = Err(error),
            checked => checked?,
        }
    }
    silent
}

fn is_silent(error: &UnfitServer) -> bool {
    matches!(error.why, Unfit::Silent(_))
}

/// Asks the servers again and again, and tells whether they are fit. One that was fit and does not answer is
/// away, and no worse for that.
pub(super) async fn watch(cluster: ClusterSettings, fit: watch::Sender<bool>) {
    loop {
        let checked = check(&cluster).await;
        let was_fit = *fit.borrow();
        let is_fit = match &checked {
            Ok(()) => true,
            Err(error) => was_fit && is_silent(error),
        };
        let has_changed = fit.send_if_modified(|was| std::mem::replace(was, is_fit) != is_fit);
        metrics::gauge!(CLUSTER_LOG_SYNCED).set(f64::from(u8::from(is_fit)));
        match &checked {
            Ok(()) if has_changed => {
                tracing::info!("the servers of the log sync what they acknowledge");
            }
            Err(error) if has_changed => {
                tracing::error!(%error, "this node does not lead, for the log cannot be trusted");
            }
            Ok(()) | Err(_) => {}
        }
        sleep(if checked.is_ok() {
            ASKED_EACH
        } else {
            ASKED_AGAIN
        })
        .await;
    }
}
