//! `GET /healthz` and `GET /readyz`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Problem, ProblemBody, STARTING, WORKER_STOPPED};
use super::state::AppState;

/// Seconds after which to ask again.
const RETRY_SECONDS: u64 = 1;

/// A word on how it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthAnswer {
    /// `alive` or `ready`.
    #[schema(example = "ready")]
    status: &'static str,
}

/// Says that the process answers and that what learns and forgets goes on: restart it when there is
/// no answer, or another one than 200.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses(
        (status = 200, description = "It is alive", body = HealthAnswer),
        (status = 503, description = "It neither learns nor forgets any more: restart it", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn alive(State(state): State<AppState>) -> Result<Json<HealthAnswer>, Problem> {
    if state.service().is_ok_and(|service| !service.is_working()) {
        let detail = "restart the process, and look at its log: the worker failed again and again";
        return Err(Problem::new(&WORKER_STOPPED, detail));
    }
    Ok(Json(HealthAnswer { status: "alive" }))
}

/// Says whether there is a live model and the store takes writes: send requests only then.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It is ready", body = HealthAnswer),
        (status = 503, description = "It is not", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<HealthAnswer>, Problem> {
    if state.service()?.is_ready() {
        return Ok(Json(HealthAnswer { status: "ready" }));
    }
    let detail = "there is no live model yet, or the store takes no writes: ask again";
    Err(Problem::new(&STARTING, detail).retry_after_seconds(RETRY_SECONDS))
}
