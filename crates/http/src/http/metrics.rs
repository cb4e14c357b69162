//! `GET /metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::state::AppState;

/// The text format that the exporter writes.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Shows every metric in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "Every metric", body = String, content_type = "text/plain")),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    if let Ok(service) = state.service() {
        service.refresh_gauges();
    }
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], state.exporter().render())
}
