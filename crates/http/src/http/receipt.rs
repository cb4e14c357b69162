//! `GET /erasures/{id}/receipt`.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::caller::Caller;
use super::erasures;
use super::parameters::Parameters;
use super::problem::{Problem, ProblemBody, RECEIPT_NOT_FOUND, RECEIPT_NOT_READY};
use super::state::AppState;
use recant_service::ReceiptAnswer;

/// The media type of a JWS in compact form (RFC 7515, section 9.2.1).
const JOSE: &str = "application/jose";

/// Seconds after which whoever came too early may ask again.
const NOT_READY_RETRY_SECONDS: u64 = 1;

/// The signed receipt of a certified erasure: a compact JWS that `recant verify` checks. It names
/// nobody; the salt from the answer to the request opens its commitment.
#[utoipa::path(
    get,
    path = "/erasures/{id}/receipt",
    tag = "erasures",
    params(("id" = String, Path, description = "The id from the answer to the request", example = "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a", format = "uuid")),
    responses(
        (status = 200, description = "The receipt", body = String, content_type = "application/jose"),
        (status = 404, description = "There is no such erasure, or it was certified before receipts were signed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The erasure is not certified yet", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn receipt(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    Parameters::refuse(query.as_deref())?;
    let erasure = erasures::visible(&state, &caller, erasures::erasure_id(id)?).await?;
    match state.service()?.receipt(erasure.id).await? {
        ReceiptAnswer::Signed(compact) => Ok(([(CONTENT_TYPE, JOSE)], compact)),
        ReceiptAnswer::NotYet => Err(not_ready()),
        ReceiptAnswer::Never => Err(never()),
        ReceiptAnswer::UnknownErasure => Err(erasures::not_found()),
    }
}

pub(super) fn not_ready() -> Problem {
    let detail = "follow the erasure until it is certified, and ask again";
    Problem::new(&RECEIPT_NOT_READY, detail).retry_after_seconds(NOT_READY_RETRY_SECONDS)
}

pub(super) fn never() -> Problem {
    let detail = "it was certified before receipts were signed: its states are all there is";
    Problem::new(&RECEIPT_NOT_FOUND, detail)
}
