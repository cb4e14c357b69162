//! `GET /webhooks`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::problem::Problem;
use super::state::AppState;
use recant_service::WebhookSummary;
use recant_types::{ErasureStatus, UnixMillis};

/// The endpoints that are told of erasures.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhooks)]
pub(super) struct WebhooksAnswer {
    /// In the order of the configuration.
    webhooks: Vec<WebhookAnswer>,
}

/// An endpoint that is told of each state of every erasure, as it was when states were last looked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookAnswer {
    /// Its name in the configuration. Its address is not shown, for it may hold a secret.
    #[schema(example = "shop")]
    name: String,
    /// The public key that its messages are signed with, in the text form of Standard Webhooks.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    public_key: String,
    /// The states that it is told.
    #[schema(max_items = 4, example = json!(["accepted", "erased", "forgotten", "certified"]))]
    states: Vec<&'static str>,
    /// States that were reached and that it has not acknowledged.
    waiting: u64,
    /// When the oldest of those was reached.
    oldest_at: Option<String>,
    /// Whether it answered 410: it is sent nothing until the next start.
    gone: bool,
}

impl From<WebhookSummary> for WebhookAnswer {
    fn from(summary: WebhookSummary) -> Self {
        let states = summary.states.into_iter();
        Self {
            name: summary.name,
            public_key: summary.public_key,
            states: states.map(ErasureStatus::as_str).collect(),
            waiting: summary.waiting,
            oldest_at: summary.oldest.map(UnixMillis::to_rfc3339),
            gone: summary.gone,
        }
    }
}

/// The endpoints of the configuration that are told of erasures, with the keys that their messages are
/// checked with, and how far they have been told.
#[utoipa::path(
    get,
    path = "/webhooks",
    tag = "operations",
    responses((status = 200, description = "All of them", body = WebhooksAnswer)),
    security(("api_key" = ["admin"])),
)]
pub(super) async fn webhooks(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<WebhooksAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let all = state.service()?.webhooks().into_iter();
    Ok(Json(WebhooksAnswer {
        webhooks: all.map(WebhookAnswer::from).collect(),
    }))
}
