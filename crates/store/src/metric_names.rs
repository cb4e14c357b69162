//! The metrics of the store. A new one is one line here.

use recant_types::MetricKind::{Gauge, Histogram};
use recant_types::REQUEST_BUCKETS;

recant_types::declare_metrics! {
    STORE_SYNC_SECONDS = "recant_store_sync_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time to make waiting writes durable.";
    STORE_FREE_BYTES = "recant_store_free_bytes", Gauge, labels: false, "Room left on the disk of the data directory.";
    COMPACTION_LAST_TIMESTAMP_SECONDS = "recant_compaction_last_timestamp_seconds", Gauge, labels: false, "Time of the last compaction, in seconds since 1970.";
    COMPACTION_PENDING_ERASURES = "recant_compaction_pending_erasures", Gauge, labels: false, "Erasures accepted since the last compaction.";
    COMPACTION_DURATION_SECONDS = "recant_compaction_duration_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time to rewrite the live records and to remove the generation before.";
}
