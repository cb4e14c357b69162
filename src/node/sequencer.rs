//! Requests through the log.

use recant_cluster::{NodeId, Version};
use recant_replication::{Replica, StoreEntries, StoreEntriesError, SubmitError};
use recant_service::SequencerError;
use recant_store::{Committed, RequestBatch, StoreError};

/// Has a request committed by every node, in the order of the log; it may say that a version is
/// everywhere, and that a node that was away owes nothing any more.
pub(super) async fn submit(
    replica: &Replica<StoreEntries>,
    batch: RequestBatch,
    everywhere: Option<Version>,
    settles: Option<(NodeId, u64)>,
) -> Result<Committed, SequencerError> {
    let (bytes, erases) = (batch.bytes_about(), batch.may_take_back());
    let submitted = replica
        .submit(batch, bytes, erases, everywhere, settles)
        .await;
    submitted.map_err(refused)?.map_err(SequencerError::Store)
}

fn refused(error: SubmitError<StoreEntriesError>) -> SequencerError {
    match error {
        SubmitError::NotLeading => SequencerError::NoLeader,
        SubmitError::Open => SequencerError::LeadershipLost,
        SubmitError::LogFull => SequencerError::LogFull,
        SubmitError::TooLong { bytes } => SequencerError::TooLong { bytes },
        SubmitError::Store(StoreEntriesError::Store(error)) => SequencerError::Store(error),
        SubmitError::Store(error) => SequencerError::Store(StoreError::Damaged {
            what: error.to_string(),
        }),
    }
}
