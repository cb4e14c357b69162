//! New certificates for TLS while the server runs: on SIGHUP, and when their files change.

use std::time::Duration;

use recant_http::TlsIdentity;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the files are looked at, for renewals that send no signal, as in Kubernetes.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How often it is said that a certificate expires soon.
const REMINDER_INTERVAL: Duration = Duration::from_secs(86_400);

/// Keeps the certificate of `identity` as new as its files, for ever. Without TLS a SIGHUP changes
/// nothing, and does not end the process either.
pub(super) async fn follow(mut hangup: Signal, identity: Option<TlsIdentity>) {
    let Some(identity) = identity else {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: there is no TLS certificate to read again");
        }
        return;
    };
    let mut look = every(LOOK_INTERVAL);
    let mut reminder = every(REMINDER_INTERVAL);
    loop {
        let identity = identity.clone();
        let done = tokio::select! {
            Some(()) = hangup.recv() => {
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

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
