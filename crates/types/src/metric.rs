//! How a crate names its metrics: one line each, from which the exporter learns everything it has to
//! announce.

/// One metric, as Prometheus will show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name; one that ends in `_seconds` is in seconds.
    pub name: &'static str,
    /// What it does with the values it is given.
    pub kind: MetricKind,
    /// Whether its series have labels. Those without are shown as zero from the first scrape on.
    pub has_labels: bool,
    /// What it is, in a sentence.
    pub help: &'static str,
}

/// What a metric does with the values it is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// Adds them up.
    Counter,
    /// Shows the last one.
    Gauge,
    /// Counts them in buckets that end at these values.
    Histogram(&'static [f64]),
}

/// Histogram buckets from a microsecond to a tenth of a second: a swap.
pub const SWAP_BUCKETS: &[f64] = &[1e-6, 5e-6, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 5e-3, 2.5e-2, 1e-1];
/// Histogram buckets from a tenth of a millisecond to ten seconds: requests, syncs.
pub const REQUEST_BUCKETS: &[f64] = &[
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 1.0, 2.5, 10.0,
];
/// Histogram buckets from a millisecond to a quarter of an hour: the life of an erasure.
pub const ERASURE_BUCKETS: &[f64] = &[
    1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0,
];
/// Histogram buckets from one to a million blocks.
pub const BLOCK_BUCKETS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 25.0, 100.0, 250.0, 1e3, 5e3, 2.5e4, 1e5, 1e6,
];

/// Declares the metrics of a crate: for each line a constant with the name, and `METRICS`, the slice
/// of all descriptions, which the exporter of the process announces.
///
/// ```
/// use recant_types::MetricKind;
/// recant_types::declare_metrics! {
///     EVENTS_TOTAL = "example_events_total", MetricKind::Counter, labels: true, "Events, by kind.";
/// }
/// assert_eq!(EVENTS_TOTAL, "example_events_total");
/// assert_eq!(METRICS.len(), 1);
/// ```
#[macro_export]
macro_rules! declare_metrics {
    ($($constant:ident = $name:literal, $kind:expr, labels: $labels:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: &str = $name;
        )*
        /// Every metric of this crate.
        pub const METRICS: &[$crate::Metric] = &[
            $($crate::Metric { name: $name, kind: $kind, has_labels: $labels, help: $help },)*
        ];
    };
}
