//! What is written down when an erasure reaches its next state.

use crate::metric_names as names;
use recant_types::{ErasureRecord, ErasureStatus, UnixMillis};

/// Applies `change` to every record, with the time that it is now.
pub(super) fn mark(records: &mut [ErasureRecord], change: impl Fn(&mut ErasureRecord, UnixMillis)) {
    let now = UnixMillis::now();
    records.iter_mut().for_each(|record| change(record, now));
}

/// Counts an erasure that reached `status`.
pub(super) fn count(status: ErasureStatus) {
    metrics::counter!(names::ERASURES_TOTAL, "status" => status.as_str()).increment(1);
}

/// Observes, in the histogram `name`, how long ago a request was accepted.
pub(super) fn observe_age(name: &'static str, accepted_at: UnixMillis) {
    let age_ms = (UnixMillis::now().0 - accepted_at.0).max(0);
    metrics::histogram!(name).record(age_ms as f64 / 1_000.0);
}
