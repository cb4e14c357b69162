//! New certificates for TLS while the server runs: on SIGHUP, and when their files change.

use std::time::Duration;

use recant_http::TlsIdentity;
use recant_replication::PeerIdentity;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the files are looked at, for renewals that send no signal, as in Kubernetes.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How often it is said that a certificate expires soon.
const REMINDER_INTERVAL: Duration = Duration::from_secs(86_400);

/// Keeps the certificate of `identity` as new as its files, for ever, and at a SIGHUP that of a node for
/// others. Without either a SIGHUP changes nothing, and does not end the process either.
pub(super) async fn follow(
    mut hangup: Signal,
    identity: Option<TlsIdentity>,
    node: Option<PeerIdentity>,
) {
    let Some(identity) = identity else {
        while hangup.recv().await.is_some() {
            if node.is_none() {
                tracing::info!("SIGHUP: there is no TLS certificate to read again");
            }
            renew(node.clone()).await;
        }
        return;
    };
    let mut look = every(LOOK_INTERVAL);
    let mut reminder = every(REMINDER_INTERVAL);
    loop {
        let identity = identity.clone();
        let done = tokio::select! {
            Some(()) = hangup.recv() => {
                renew(node.clone()).await;
                tokio::task::spawn_blocking(move || {
                    identity.reload();
                })
            }
            _ = look.tick() => tokio::task::spawn_blocking(move || identity.reload_if_changed()),
            _ = reminder.tick() => tokio::task::spawn_blocking(move || identity.warn_of_expiry()),
        };
        // One after the other. A panic is logged where it happens, and the next turn comes all the same.
        let _ = done.await;
    }
}

/// Reads again what this node shows to others.
async fn renew(node: Option<PeerIdentity>) {
    let Some(node) = node else { return };
    let renewed = tokio::task::spawn_blocking(move || node.renew()).await;
    match renewed {
        Ok(Ok(())) => tracing::info!("the certificate for other nodes was read again"),
        Ok(Err(error)) => {
            tracing::error!(%error, "the certificate for other nodes stays as it was")
        }
        // It was logged where it happened.
        Err(_) => {}
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
