//! The metrics of the HTTP interface. A new one is one line here.

use recant_types::MetricKind::{Counter, Histogram};
use recant_types::REQUEST_BUCKETS;

recant_types::declare_metrics! {
    HTTP_REQUESTS_TOTAL = "recant_http_requests_total", Counter, labels: true, "Answers, by method, route template and status.";
    HTTP_REQUEST_DURATION_SECONDS = "recant_http_request_duration_seconds", Histogram(REQUEST_BUCKETS), labels: true, "Time from a request to the head of its answer, by route.";
    RECOMMEND_DURATION_SECONDS = "recant_recommend_duration_seconds", Histogram(REQUEST_BUCKETS), labels: false, "Time the service takes for one list of recommendations.";
}
