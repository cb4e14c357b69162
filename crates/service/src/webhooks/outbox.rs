//! What endpoints need to be told no more, made durable: by this store alone, or by every node.

use std::time::Duration;

use tokio::sync::watch;

use crate::sequencer::SequencerError;
use crate::service::Service;
use recant_store::{Fact, OutboxEndpoint, WriteBatch};
use recant_types::{ErasureId, ErasureStatus};

/// Pause before a commit that was refused is tried again.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);

/// Erasures that one commit changes at most.
const CHANGED_PER_COMMIT: usize = 1_000;

/// Erasures, each with the last state that an endpoint needs to be told no more; `None` when it is to be told
/// nothing more of it.
pub(super) type Done = Vec<(ErasureId, Option<ErasureStatus>)>;

/// Makes it durable, again and again while it is refused; false when it is to stop first. Of several nodes every
/// one writes it down, so that whoever leads next goes on where this one was.
pub(super) async fn write_down(
    service: &Service,
    endpoint: OutboxEndpoint,
    done: Done,
    mut stop: watch::Receiver<bool>,
) -> bool {
    for done in done.chunks(CHANGED_PER_COMMIT) {
        loop {
            let written = tokio::select! {
                written = commit(service, endpoint, done) => written,
                _ = stop.wait_for(|stop| *stop) => return false,
            };
            match written {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, "what was told is not written down; trying again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(COMMIT_PAUSE) => {}
                _ = stop.wait_for(|stop| *stop) => return false,
            }
        }
    }
    true
}

async fn commit(
    service: &Service,
    endpoint: OutboxEndpoint,
    done: &[(ErasureId, Option<ErasureStatus>)],
) -> Result<(), SequencerError> {
    if let Some(others) = &service.0.others {
        let done = done.to_vec();
        let fact = Fact::Told { endpoint, done };
        return others.replication.record(fact, None).await;
    }
    let mut batch = WriteBatch::default();
    for (id, done) in done {
        match done {
            Some(_) => batch.put_outbox(endpoint, *id, *done),
            None => batch.remove_outbox(endpoint, *id),
        }
    }
    service.0.store.commit(batch).await?;
    Ok(())
}
