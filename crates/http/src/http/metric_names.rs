//! The metrics of the HTTP interface. A new one is one line here.

use recant_types::MetricKind::{Counter, Gauge, Histogram};
use recant_types::REQUEST_BUCKETS;

recant_types::declare_metrics! {
    HTTP_REQUESTS_TOTAL = "recant_http_requests_total", Counter, labels: true, "Answers, by method, route template and status.";
    HTTP_REQUEST_DURATION_SECONDS = "recant_http_request_duration_seconds", Histogram(REQUEST_BUCKETS), labels: true, "Time from a request to the head of its answer, by route.";
    HTTP_RATE_LIMITED_TOTAL = "recant_http_rate_limited_total", Counter, labels: true, "Requests answered 429, by the allowance that was used up: of erasures, or the usual one.";
    CLUSTER_FORWARDED_TOTAL = "recant_cluster_forwarded_total", Counter, labels: true, "Calls that were sent on to the node that leads, by what came of it: answered, not_sent or unanswered.";
    CLUSTER_REFUSED_TOTAL = "recant_cluster_refused_total", Counter, labels: true, "Calls that a node of several turned away, by the code of the answer: not_current, no_leader or leadership_lost.";
    API_KEYS_STALE = "recant_api_keys_stale", Gauge, labels: false, "1 while the file of API keys cannot be used and those from before count on, else 0.";
    RECOMMEND_DURATION_SECONDS = "recant_recommend_duration_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time the service takes for one list of recommendations.";
    TLS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS = "recant_tls_certificate_expiry_timestamp_seconds", Gauge, labels: false, "When the certificate that is served with expires, in seconds since 1970; 0 without TLS.";
    TRACE_SPANS_TOTAL = "recant_trace_spans_total", Counter, labels: true, "Spans for the collector of traces, by outcome: sent, failed, or dropped because too many waited.";
}
