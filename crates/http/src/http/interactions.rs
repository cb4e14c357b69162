//! `POST /interactions`.

use axum::Json;
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::body_rows::{RejectedRow, Rows};
use super::interaction_rows::{RowRules, rows_of_json, rows_of_lines};
use super::json_body::{self, Id, media_type};
use super::known_feedback::KnownFeedback;
use super::parameters::Parameters;
use super::problem::{Problem, ProblemBody, UNSUPPORTED_MEDIA_TYPE};
use super::state::AppState;
use crate::config::InteractionSettings;
use recant_service::Added;
use recant_types::Interaction;

/// What became of the rows.
#[derive(Serialize, ToSchema)]
#[schema(as = AdditionResult, example = json!({
    "accepted": 2,
    "held_back": 0,
    "rejected": [{"index": 1, "reason": "weight must be a number above 0"}],
}))]
pub(super) struct AddAnswer {
    /// Rows that are durable now.
    accepted: usize,
    /// Rows whose timestamp lies before an erasure of their user, their item or the two together:
    /// they were erased once and are not taken again.
    held_back: usize,
    /// Rows that are not, and why.
    rejected: Vec<RejectedRow>,
}

/// The shape of the JSON body, for the documentation; rows are read one by one.
#[derive(ToSchema)]
#[schema(as = AdditionRequest, example = json!({
    "interactions": [{"user": "ada", "item": "dune"}, {"user": "ada", "item": "solaris", "weight": 2.5}],
}))]
#[allow(dead_code, reason = "it only documents")]
pub(super) struct AddBody {
    /// Taken one by one.
    #[schema(max_items = 10_000)]
    interactions: Vec<InteractionRow>,
}

/// One interaction; a line of NDJSON holds just this.
#[derive(ToSchema)]
#[schema(as = Interaction)]
#[allow(dead_code, reason = "it only documents")]
pub(super) struct InteractionRow {
    /// Who: a text, without the blanks around it; a whole number is its decimal text.
    #[schema(value_type = Id)]
    user: String,
    /// With what, likewise.
    #[schema(value_type = Id)]
    item: String,
    /// What was done: one of the types that the configuration names; `interaction` unless given.
    #[schema(rename = "type", max_length = 64)]
    feedback: Option<String>,
    /// Confidence, from 0.000001 to 1000000 once `interactions.weights` was applied; 1 unless given.
    /// That of the type is multiplied with it.
    weight: Option<f64>,
    /// When: RFC 3339 as a text, or a number since 1970 in seconds (with a fraction or not),
    /// milliseconds, microseconds or nanoseconds, told apart by size; no more than a day ahead.
    /// Returned by the export. Of a pair the newest counts. Without one the interaction is newer than all before it; no time is
    /// kept, and lists by time leave it out.
    #[schema(value_type = Option<i64>)]
    timestamp: Option<serde_json::Value>,
}

/// Adds interactions: durable when answered, learnt by the live model in the background. A bad row
/// is reported and does not stop the good ones.
#[utoipa::path(
    post,
    path = "/interactions",
    tag = "interactions",
    request_body(content(
        (AddBody = "application/json"),
        (InteractionRow = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "The good rows are durable", body = AddAnswer),
        (status = "5XX", description = "Not now, and nothing was taken", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["write"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn add(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    RowsBody(rows): RowsBody,
) -> Result<(StatusCode, Json<AddAnswer>), Problem> {
    Parameters::refuse(query.as_deref())?;
    let added = if rows.good.is_empty() {
        Added::default()
    } else {
        state.service()?.add(rows.good).await?
    };
    let answer = AddAnswer {
        accepted: added.accepted,
        held_back: added.held_back,
        rejected: rows.rejected,
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// The rows of a body in either media type.
pub(super) struct RowsBody(Rows<Interaction>);

impl<S: Send + Sync> FromRequest<S> for RowsBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = media_type(request.headers());
        let parse = match media_type.as_deref() {
            None | Some("application/json") => rows_of_json,
            Some("application/x-ndjson") => rows_of_lines,
            Some(_) => {
                let detail = "send application/json, or application/x-ndjson with a row a line";
                return Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail));
            }
        };
        let settings = request.extensions().get::<InteractionSettings>();
        let feedback = request.extensions().get::<KnownFeedback>();
        let rules = RowRules::now(
            settings.copied().unwrap_or_default(),
            feedback.cloned().unwrap_or_default(),
        );
        let bytes = json_body::read(request, state).await?;
        parse(&bytes, &rules).map(Self)
    }
}
