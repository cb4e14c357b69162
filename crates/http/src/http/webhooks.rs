//! `GET /webhooks`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::parameters::Parameters;
use super::problem::Problem;
use super::state::AppState;
use recant_service::{WebhookFailure, WebhookSummary};
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
    /// When it last acknowledged a message, since the start of the server.
    delivered_at: Option<String>,
    /// The last attempt that failed, since the start of the server.
    last_failure: Option<WebhookFailureAnswer>,
    /// States that were given up since the start of the server: it took none of them for too long.
    given_up: u64,
    /// States that were dropped since the start of the server: more waited than may.
    dropped: u64,
}

/// An attempt to deliver a message that failed.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookFailure)]
struct WebhookFailureAnswer {
    /// When.
    at: String,
    /// Why. It names no address, which may hold a secret.
    #[schema(example = "it answered 503")]
    reason: String,
}

impl From<WebhookFailure> for WebhookFailureAnswer {
    fn from(failure: WebhookFailure) -> Self {
        Self {
            at: failure.at.to_rfc3339(),
            reason: failure.reason,
        }
    }
}

impl From<WebhookSummary> for WebhookAnswer {
    fn from(summary: WebhookSummary) -> Self {
        let states = summary.states.into_iter();
        let account = summary.account;
        Self {
            name: summary.name,
            public_key: summary.public_key,
            states: states.map(ErasureStatus::as_str).collect(),
            waiting: summary.waiting,
            oldest_at: summary.oldest.map(UnixMillis::to_rfc3339),
            gone: summary.gone,
            delivered_at: account.delivered_at.map(UnixMillis::to_rfc3339),
            last_failure: account.last_failure.map(Into::into),
            given_up: account.given_up,
            dropped: account.dropped,
        }
    }
}

/// The endpoints of the configuration that are told of erasures, with the keys that their messages are
/// checked with, how far they have been told, and what became of it since the server was started.
#[utoipa::path(
    get,
    path = "/webhooks",
    tag = "operations",
    responses((status = 200, description = "All of them", body = WebhooksAnswer)),
    security(("api_key" = ["admin"])),
    extensions(("x-answered-by" = json!("leader"))),
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
