//! The exporter that shows the metrics of the process to Prometheus.
//!
//! Each crate declares its own metrics; [`install_exporter`] describes all of them and makes those without
//! labels visible, as zero, from the first scrape on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use recant_types::{Metric, MetricKind};

use crate::http::metric_names::METRICS;

/// How often recorded values are folded into the buckets, so that memory does not grow between
/// two scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

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

/// The one recorder of the process: a second call of [`install_exporter`] finds it here.
static EXPORTER: Mutex<Option<Exporter>> = Mutex::new(None);

/// Sets up the recorder of the process, or returns the one that is already there.
pub fn install_exporter() -> Result<Exporter, MetricsError> {
    install_exporter_with(&[])
}

/// The same for a process that has metrics of its own beside those of every server.
pub fn install_exporter_with(more: &'static [Metric]) -> Result<Exporter, MetricsError> {
    let mut installed = EXPORTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(exporter) = installed.as_ref() {
        return Ok(exporter.clone());
    }
    let recorder = builder(more)?.build_recorder();
    let exporter = Exporter {
        handle: recorder.handle(),
        process: metrics_process::Collector::default(),
    };
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Foreign)?;
    describe(more);
    exporter.process.describe();
    Ok(installed.insert(exporter).clone())
}

/// Every metric of the process but those of the process itself.
fn all(more: &'static [Metric]) -> impl Iterator<Item = &'static Metric> {
    recant_service::metric_names::all()
        .chain(METRICS)
        .chain(more)
}

fn builder(more: &'static [Metric]) -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in all(more) {
        if let MetricKind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets)?;
        }
    }
    Ok(builder)
}

fn describe(more: &'static [Metric]) {
    for Metric {
        name,
        kind,
        has_labels,
        help,
    } in all(more).copied()
    {
        let unit = if name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        };
        match kind {
            MetricKind::Counter => describe_counter!(name, unit, help),
            MetricKind::Gauge => describe_gauge!(name, unit, help),
            MetricKind::Histogram(_) => describe_histogram!(name, unit, help),
        }
        // Asking for the handle is enough to show a series before its first value.
        match kind {
            _ if has_labels => {}
            MetricKind::Counter => metrics::counter!(name).absolute(0),
            MetricKind::Gauge => gauge!(name).set(0.0),
            MetricKind::Histogram(_) => drop(histogram!(name)),
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
        let exporter = install_exporter().expect("the first recorder");
        let text = exporter.render();
        for metric in all(&[]).filter(|metric| !metric.has_labels) {
            let name = metric.name;
            let suffixes: &[&str] = match metric.kind {
                MetricKind::Histogram(_) => &["_bucket{le=", "_sum ", "_count "],
                MetricKind::Counter | MetricKind::Gauge => &[" "],
            };
            for suffix in suffixes {
                let series = format!("\n{name}{suffix}");
                assert!(text.contains(&series), "{series} in {text}");
            }
            assert!(
                text.contains(&format!("# HELP {name} {}", metric.help)),
                "{name}"
            );
        }
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn installing_twice_gives_the_same_recorder() {
        let first = install_exporter().expect("a recorder");
        let second = install_exporter().expect("the same recorder");
        let name = "recant_erasure_blocks_updated";
        histogram!(name).record(3.0);
        let line = format!("{name}_bucket{{le=\"5\"}}");
        for text in [first.render(), second.render()] {
            let found = text.lines().find(|one| one.starts_with(&line));
            let count = found.and_then(|one| one.rsplit_once(' ')).map(|(_, n)| n);
            assert!(count.is_some_and(|count| count != "0"), "{text}");
        }
    }

    #[test]
    fn buckets_grow_and_no_two_metrics_share_a_name() {
        let mut names: Vec<&str> = all(&[]).map(|metric| metric.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for metric in all(&[]) {
            if let MetricKind::Histogram(buckets) = metric.kind {
                assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
