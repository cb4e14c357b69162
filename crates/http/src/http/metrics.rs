//! `GET /metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::metric_names::{HTTP_REQUEST_DURATION_SECONDS, HTTP_REQUESTS_TOTAL};
use super::routes::ROUTES;
use super::state::AppState;
use recant_service::metric_names::ERASURES_TOTAL;
use recant_types::ErasureStatus;

/// The text format that the exporter writes.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Shows every metric in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "Every metric", body = String, content_type = "text/plain")),
    security(("api_key" = ["read"])),
)]
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    if let Ok(service) = state.service() {
        service.refresh_gauges();
    }
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], state.exporter().render())
}

/// Makes the series whose labels are known beforehand visible, as zero, before the first request.
pub(super) fn show_labelled_series() {
    for route in &ROUTES {
        let labels = [
            ("method", route.method),
            ("route", route.template),
            ("status", "200"),
        ];
        metrics::counter!(HTTP_REQUESTS_TOTAL, &labels).absolute(0);
        let _ = metrics::histogram!(HTTP_REQUEST_DURATION_SECONDS, "route" => route.template);
    }
    for status in ErasureStatus::ALL {
        metrics::counter!(ERASURES_TOTAL, "status" => status.as_str()).absolute(0);
    }
}
