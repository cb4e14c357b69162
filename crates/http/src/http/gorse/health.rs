//! `GET /api/health/live` and `/ready`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::refusal::Refusal;
use crate::http::health as own;
use crate::http::state::AppState;

/// How it is, in gorse's words: there is one store, and nothing is cached elsewhere.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Health {
    ready: bool,
    data_store_error: Option<String>,
    cache_store_error: Option<String>,
    data_store_connected: bool,
    cache_store_connected: bool,
}

impl Health {
    fn new(ready: bool) -> Json<Self> {
        Json(Self {
            ready,
            data_store_error: None,
            cache_store_error: None,
            data_store_connected: ready,
            cache_store_connected: ready,
        })
    }
}

/// Whether the process is alive, as `GET /healthz` says it.
pub(super) async fn live(state: State<AppState>) -> Result<Json<Health>, Refusal> {
    let ready = own::ready(state.clone()).await.is_ok();
    let alive = own::alive(state).await;
    Ok(alive.map(|_| Health::new(ready))?)
}

/// Whether it takes requests, as `GET /readyz` says it.
pub(super) async fn ready(state: State<AppState>) -> Result<Json<Health>, Refusal> {
    let ready = own::ready(state).await;
    Ok(ready.map(|_| Health::new(true))?)
}
