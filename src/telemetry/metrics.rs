//! Every metric the service has, by name, and the exporter that shows them to Prometheus.
//!
//! Whoever records a metric takes its name from here; [`install`] describes all of them and makes
//! those without labels visible, as zero, from the first scrape on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Counter of answers, by `method`, `route` (a template from a fixed list) and `status`.
pub const HTTP_REQUESTS_TOTAL: &str = "recant_http_requests_total";
/// Histogram of the time from a request to the head of its answer, by `route`.
pub const HTTP_REQUEST_DURATION_SECONDS: &str = "recant_http_request_duration_seconds";
/// Histogram of the time the service takes for one list of recommendations.
pub const RECOMMEND_DURATION_SECONDS: &str = "recant_recommend_duration_seconds";
/// Counter of erasures that reached a status, by `status`.
pub const ERASURES_TOTAL: &str = "recant_erasures_total";
/// Gauge of erasures accepted and not yet forgotten.
pub const ERASURE_QUEUE_DEPTH: &str = "recant_erasure_queue_depth";
/// Gauge of the age of the oldest erasure not yet forgotten.
pub const ERASURE_OLDEST_PENDING_SECONDS: &str = "recant_erasure_oldest_pending_seconds";
/// Histogram of the time from the request to its durable acceptance.
pub const ERASURE_ACCEPT_SECONDS: &str = "recant_erasure_accept_seconds";
/// Histogram of the time from acceptance to the swap of the updated model.
pub const ERASURE_FORGOTTEN_SECONDS: &str = "recant_erasure_forgotten_seconds";
/// Histogram of the time from acceptance to the certificate.
pub const ERASURE_CERTIFIED_SECONDS: &str = "recant_erasure_certified_seconds";
/// Histogram of the user and item blocks solved for one update.
pub const ERASURE_BLOCKS_UPDATED: &str = "recant_erasure_blocks_updated";
/// Gauge of the live model version.
pub const MODEL_VERSION: &str = "recant_model_version";
/// Gauge of users with at least one interaction.
pub const MODEL_USERS: &str = "recant_model_users";
/// Gauge of items with at least one interaction.
pub const MODEL_ITEMS: &str = "recant_model_items";
/// Gauge of pairs held.
pub const MODEL_INTERACTIONS: &str = "recant_model_interactions";
/// Gauge of the relative gradient residual at the last measurement.
pub const MODEL_RESIDUAL: &str = "recant_model_residual";
/// Gauge of the certified Frobenius distance to the retrained model, where there is one.
pub const MODEL_CERTIFICATE_FROBENIUS: &str = "recant_model_certificate_frobenius";
/// Histogram of the time it takes to swap the live model.
pub const SWAP_DURATION_SECONDS: &str = "recant_swap_duration_seconds";
/// Histogram of the time it takes to make writes durable.
pub const STORE_SYNC_SECONDS: &str = "recant_store_sync_seconds";

/// Gauge of the time of the last compaction, in seconds since 1970.
pub const COMPACTION_LAST_TIMESTAMP_SECONDS: &str = "recant_compaction_last_timestamp_seconds";
/// Gauge of erasures accepted since the last compaction.
pub const COMPACTION_PENDING_ERASURES: &str = "recant_compaction_pending_erasures";
/// Histogram of the time a compaction takes.
pub const COMPACTION_DURATION_SECONDS: &str = "recant_compaction_duration_seconds";

/// How often recorded values are folded into the buckets, so that memory does not grow between
/// two scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A microsecond to a tenth of a second: a swap.
const SWAP_BUCKETS: [f64; 9] = [1e-6, 5e-6, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2.5e-2, 1e-1];
/// A tenth of a millisecond to ten seconds: requests, recommendations, syncs.
const REQUEST_BUCKETS: [f64; 14] = [
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0, 2.5, 10.0,
];
/// A millisecond to a quarter of an hour: the life of an erasure.
const ERASURE_BUCKETS: [f64; 15] = [
    1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0,
];
/// One to a million blocks.
const BLOCK_BUCKETS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 100.0, 250.0, 1e3, 5e3, 2.5e4, 1e5, 1e6,
];

struct HistogramDescription {
    name: &'static str,
    unit: Unit,
    buckets: &'static [f64],
    has_labels: bool,
    help: &'static str,
}

const fn seconds(
    name: &'static str,
    buckets: &'static [f64],
    help: &'static str,
) -> HistogramDescription {
    HistogramDescription {
        name,
        unit: Unit::Seconds,
        buckets,
        has_labels: false,
        help,
    }
}

const HISTOGRAMS: [HistogramDescription; 9] = [
    HistogramDescription {
        has_labels: true,
        ..seconds(
            HTTP_REQUEST_DURATION_SECONDS,
            &REQUEST_BUCKETS,
            "Time from a request to the head of its answer, by route.",
        )
    },
    seconds(
        RECOMMEND_DURATION_SECONDS,
        &REQUEST_BUCKETS,
        "Time the service takes for one list of recommendations.",
    ),
    seconds(
        ERASURE_ACCEPT_SECONDS,
        &REQUEST_BUCKETS,
        "Time from an erasure request to its durable acceptance.",
    ),
    seconds(
        ERASURE_FORGOTTEN_SECONDS,
        &ERASURE_BUCKETS,
        "Time from the acceptance of an erasure to the swap of the model that forgot.",
    ),
    seconds(
        ERASURE_CERTIFIED_SECONDS,
        &ERASURE_BUCKETS,
        "Time from the acceptance of an erasure to its certificate.",
    ),
    HistogramDescription {
        unit: Unit::Count,
        ..seconds(
            ERASURE_BLOCKS_UPDATED,
            &BLOCK_BUCKETS,
            "User and item blocks solved for one update.",
        )
    },
    seconds(
        SWAP_DURATION_SECONDS,
        &SWAP_BUCKETS,
        "Time to swap the live model.",
    ),
    seconds(
        STORE_SYNC_SECONDS,
        &REQUEST_BUCKETS,
        "Time to make waiting writes durable.",
    ),
    seconds(
        COMPACTION_DURATION_SECONDS,
        &REQUEST_BUCKETS,
        "Time to rewrite the live records and to remove the generation before.",
    ),
];

const GAUGES: [(&str, Unit, &str); 10] = [
    (
        ERASURE_QUEUE_DEPTH,
        Unit::Count,
        "Erasures accepted and not yet forgotten.",
    ),
    (
        ERASURE_OLDEST_PENDING_SECONDS,
        Unit::Seconds,
        "Age of the oldest erasure not yet forgotten; 0 without any.",
    ),
    (MODEL_VERSION, Unit::Count, "The live model version."),
    (
        MODEL_USERS,
        Unit::Count,
        "Users with at least one interaction.",
    ),
    (
        MODEL_ITEMS,
        Unit::Count,
        "Items with at least one interaction.",
    ),
    (MODEL_INTERACTIONS, Unit::Count, "User-item pairs held."),
    (
        MODEL_RESIDUAL,
        Unit::Count,
        "Relative gradient residual of the model at the last measurement.",
    ),
    (
        MODEL_CERTIFICATE_FROBENIUS,
        Unit::Count,
        "Certified Frobenius distance to the retrained model; 0 while the model has no such bound.",
    ),
    (
        COMPACTION_LAST_TIMESTAMP_SECONDS,
        Unit::Seconds,
        "Time of the last compaction, in seconds since 1970.",
    ),
    (
        COMPACTION_PENDING_ERASURES,
        Unit::Count,
        "Erasures accepted since the last compaction.",
    ),
];

const COUNTERS: [(&str, &str); 2] = [
    (
        HTTP_REQUESTS_TOTAL,
        "Answers, by method, route template and status.",
    ),
    (ERASURES_TOTAL, "Erasures that reached a status, by status."),
];

/// Why the metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The exporter refused its configuration.
    #[error("the metrics exporter could not be built: {0}")]
    Build(#[from] BuildError),
    /// Another recorder was installed before.
    #[error("another metrics recorder is already installed in this process")]
    Foreign,
}

/// Shows the metrics of the process. Cloning shares the recorder; it lives as long as the process.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
}

/// The one recorder of the process: a second call of [`install`] finds it here.
static EXPORTER: Mutex<Option<Exporter>> = Mutex::new(None);

/// Sets up the recorder of the process, or returns the one that is already there.
pub fn install() -> Result<Exporter, MetricsError> {
    let mut installed = EXPORTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(exporter) = installed.as_ref() {
        return Ok(exporter.clone());
    }
    let recorder = builder()?.build_recorder();
    let exporter = Exporter {
        handle: recorder.handle(),
        process: metrics_process::Collector::default(),
    };
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Foreign)?;
    describe();
    exporter.process.describe();
    Ok(installed.insert(exporter).clone())
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for histogram in &HISTOGRAMS {
        let name = Matcher::Full(histogram.name.to_owned());
        builder = builder.set_buckets_for_metric(name, histogram.buckets)?;
    }
    Ok(builder)
}

fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, Unit::Count, help);
    }
    for (name, unit, help) in GAUGES {
        describe_gauge!(name, unit, help);
        gauge!(name).set(0.0);
    }
    for description in &HISTOGRAMS {
        describe_histogram!(description.name, description.unit, description.help);
        if !description.has_labels {
            // Asking for the handle is enough to show empty buckets.
            let _ = histogram!(description.name);
        }
    }
}

impl Exporter {
    /// The metrics of now, in the text format 0.0.4 of Prometheus.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// Folds recorded values into their buckets every few seconds, for ever. The caller spawns it
    /// and aborts it.
    pub async fn run_upkeep(self) {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            self.handle.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_without_labels_is_there_before_anything_happened() {
        let exporter = install().expect("the first recorder");
        let text = exporter.render();
        for (name, _, help) in GAUGES {
            assert!(text.contains(&format!("\n{name} ")), "{name} in {text}");
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name}");
        }
        for description in HISTOGRAMS.iter().filter(|one| !one.has_labels) {
            for suffix in ["_bucket{le=", "_sum ", "_count "] {
                let series = format!("\n{}{suffix}", description.name);
                assert!(text.contains(&series), "{series} in {text}");
            }
        }
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn installing_twice_gives_the_same_recorder() {
        let first = install().expect("a recorder");
        let second = install().expect("the same recorder");
        histogram!(ERASURE_BLOCKS_UPDATED).record(3.0);
        let line = format!("{ERASURE_BLOCKS_UPDATED}_bucket{{le=\"5\"}}");
        for text in [first.render(), second.render()] {
            let found = text.lines().find(|one| one.starts_with(&line));
            let count = found.and_then(|one| one.rsplit_once(' ')).map(|(_, n)| n);
            assert!(count.is_some_and(|count| count != "0"), "{text}");
        }
    }

    #[test]
    fn buckets_grow() {
        for description in &HISTOGRAMS {
            let buckets = description.buckets;
            assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
