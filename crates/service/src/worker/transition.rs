//! An erasure reaches its next state: what is recorded, counted and told, in one place.

use crate::backlog::Backlog;
use crate::metric_names as names;
use crate::published_time::published;
use crate::receipt_signer::ReceiptSigner;
use recant_store::LastCertificate;
use recant_store::WriteBatch;
use recant_types::{Certificate, ErasureRecord, ErasureStatus, UnixMillis};

/// Erasures that reach one state together.
///
/// The records are changed at once; they become durable with the batch they are put into, and only
/// then [`Transition::announce`] makes the state known.
pub(super) struct Transition {
    status: ErasureStatus,
    /// The model version that goes with the state.
    version: u64,
    records: Vec<ErasureRecord>,
}

impl Transition {
    fn new(
        status: ErasureStatus,
        version: u64,
        mut records: Vec<ErasureRecord>,
        change: impl Fn(&mut ErasureRecord, UnixMillis),
    ) -> Self {
        let now = UnixMillis::now();
        for record in &mut records {
            record.status = status;
            change(record, published(record.accepted_at, now));
        }
        Self {
            status,
            version,
            records,
        }
    }

    /// What is named leaves the store, while `version` is live.
    pub(super) fn erased(records: Vec<ErasureRecord>, version: u64) -> Self {
        Self::new(ErasureStatus::Erased, version, records, |record, now| {
            record.erased_at.get_or_insert(now);
            record.model_version_before.get_or_insert(version);
        })
    }

    /// `version` has forgotten.
    pub(super) fn forgotten(self, version: u64) -> Self {
        let records = self.records;
        Self::new(ErasureStatus::Forgotten, version, records, |record, now| {
            record.forgotten_at = Some(now);
            record.model_version_after = Some(version);
        })
    }

    /// A version that had forgotten has its certificate.
    pub(super) fn certified(
        records: Vec<ErasureRecord>,
        of: LastCertificate,
        certificate: &Certificate,
    ) -> Self {
        let status = ErasureStatus::Certified;
        Self::new(status, of.version, records, |record, now| {
            record.certified_at = Some(now);
            record.certified_version = Some(of.version);
            record.certified_position = Some(of.position.0);
            record.certificate = Some(certificate.clone());
            record.failure = None;
        })
    }

    /// Adds the records to the batch that makes the state true.
    pub(super) fn put(&self, batch: &mut WriteBatch) {
        self.records
            .iter()
            .for_each(|record| batch.put_erasure(record));
    }

    /// Adds receipts that name the store's `generation`.
    pub(super) fn sign(&self, signer: &mut ReceiptSigner, generation: u64, batch: &mut WriteBatch) {
        signer.sign(&self.records, self.version, generation, batch);
    }

    /// How many erasures.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The records as they are now.
    pub(super) fn records(&self) -> &[ErasureRecord] {
        &self.records
    }

    /// What is named has left this node's store, of which nothing is told before it has left every node's.
    pub(super) fn left_this_store(&self, backlog: &Backlog) {
        self.records
            .iter()
            .for_each(|record| backlog.erased(record.id));
    }

    /// Makes the state known, now that it is durable and true.
    pub(super) fn announce(&self, backlog: &Backlog) {
        for record in &self.records {
            match self.status {
                ErasureStatus::Erased => backlog.erased(record.id),
                ErasureStatus::Forgotten => {
                    backlog.enter_forgotten(record.id, record.accepted_at);
                    backlog.leave(record.id);
                    observe_age(names::ERASURE_FORGOTTEN_SECONDS, record.accepted_at);
                }
                ErasureStatus::Certified => {
                    backlog.certified(record.id);
                    observe_age(names::ERASURE_CERTIFIED_SECONDS, record.accepted_at);
                }
                ErasureStatus::Accepted | ErasureStatus::Failed => {}
            }
            backlog.spans.reached(record.id, self.status);
            metrics::counter!(names::ERASURES_TOTAL, "status" => self.status.as_str()).increment(1);
            tracing::info!(erasure = %record.id, version = self.version, "{}", self.status);
        }
    }
}

/// Observes, in the histogram `name`, how long ago a request was accepted.
pub(crate) fn observe_age(name: &'static str, accepted_at: UnixMillis) {
    let age_ms = (UnixMillis::now().0 - accepted_at.0).max(0);
    metrics::histogram!(name).record(age_ms as f64 / 1_000.0);
}
