//! The metrics of the service. A new one is one line here.

use recant_types::MetricKind::{Counter, Gauge, Histogram};
use recant_types::{BLOCK_BUCKETS, ERASURE_BUCKETS, REQUEST_BUCKETS, SWAP_BUCKETS};

recant_types::declare_metrics! {
    ERASURES_TOTAL = "recant_erasures_total", Counter, labels: true, "Erasures that reached a status, by status.";
    ERASURE_QUEUE_DEPTH = "recant_erasure_queue_depth", Gauge, labels: false, "Erasures accepted and not yet forgotten.";
    ERASURE_OLDEST_PENDING_SECONDS = "recant_erasure_oldest_pending_seconds", Gauge, labels: false, "Age of the oldest erasure not yet forgotten; 0 without any.";
    ERASURE_ACCEPT_SECONDS = "recant_erasure_accept_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time from an erasure request to its durable acceptance.";
    ERASURE_FORGOTTEN_SECONDS = "recant_erasure_forgotten_seconds", Histogram(ERASURE_BUCKETS), labels: false, "Time from the acceptance of an erasure to the swap of the model that forgot.";
    ERASURE_CERTIFIED_SECONDS = "recant_erasure_certified_seconds", Histogram(ERASURE_BUCKETS), labels: false, "Time from the acceptance of an erasure to its certificate.";
    ERASURE_BLOCKS_UPDATED = "recant_erasure_blocks_updated", Histogram(BLOCK_BUCKETS), labels: false, "User and item blocks solved for one update.";
    MODEL_VERSION = "recant_model_version", Gauge, labels: false, "The live model version.";
    MODEL_USERS = "recant_model_users", Gauge, labels: false, "Users with at least one interaction.";
    MODEL_ITEMS = "recant_model_items", Gauge, labels: false, "Items with at least one interaction.";
    MODEL_INTERACTIONS = "recant_model_interactions", Gauge, labels: false, "User-item pairs held.";
    MODEL_RESIDUAL = "recant_model_residual", Gauge, labels: false, "Relative gradient residual of the model at the last measurement.";
    MODEL_CERTIFICATE_FROBENIUS = "recant_model_certificate_frobenius", Gauge, labels: false, "Certified Frobenius distance to the retrained model; 0 while the model has no such bound.";
    ADDITIONS_DEFERRED_TOTAL = "recant_additions_deferred_total", Counter, labels: false, "Requests to add that were told to come again, because erasures waited too long for their certificate.";
    ERASURE_OLDEST_UNCERTIFIED_SECONDS = "recant_erasure_oldest_uncertified_seconds", Gauge, labels: false, "Age of the oldest erasure without a certificate; 0 without any.";
    CERTIFICATE_AGE_SECONDS = "recant_certificate_age_seconds", Gauge, labels: false, "Time since the last certificate that held was given; 0 before the first.";
    EVENTS_SINCE_CERTIFICATE = "recant_events_since_certificate", Gauge, labels: false, "Entries of the log since the position that the last certificate is of.";
    CERTIFICATES_REFUSED_TOTAL = "recant_certificates_refused_total", Counter, labels: false, "Refinements after which no certificate was claimed.";
    REFINEMENT_SECONDS = "recant_refinement_seconds", Histogram(ERASURE_BUCKETS), labels: false, "Time that a refinement took, with what it waited for local updates.";
    WORKER_RUNNING = "recant_worker_running", Gauge, labels: false, "1 while the worker learns and forgets; 0 once it was given up or the store closed by itself.";
    WEBHOOK_DELIVERIES_TOTAL = "recant_webhook_deliveries_total", Counter, labels: true, "States of erasures on their way to endpoints of webhooks, by endpoint and outcome: delivered, failed (tried again), given_up, dropped, gone.";
    WEBHOOKS_WAITING = "recant_webhooks_waiting", Gauge, labels: true, "States of erasures that an endpoint of webhooks has not acknowledged, by endpoint.";
    WEBHOOK_OLDEST_SECONDS = "recant_webhook_oldest_seconds", Gauge, labels: true, "Age of the oldest state of an erasure that an endpoint of webhooks has not acknowledged, by endpoint; 0 without any.";
    SWAP_DURATION_SECONDS = "recant_swap_duration_seconds", Histogram(SWAP_BUCKETS), labels: false, "Time to swap the live model.";
}

/// Every metric of this crate and of the store below it.
pub fn all() -> impl Iterator<Item = &'static recant_types::Metric> {
    METRICS.iter().chain(recant_store::metric_names::METRICS)
}
