//! The transparency log of receipts: its signed head, and proofs from it.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::erasures;
use super::parameters::Parameters;
use super::problem::{INVALID_QUERY, Problem, ProblemBody, RECEIPT_LOG_NOT_FOUND};
use super::receipt;
use super::state::AppState;
use recant_service::{LogAnswer, ReceiptAnswer};

/// The media type of notes and proofs, which are lines of text.
const TEXT: &str = "text/plain; charset=utf-8";

/// The head of the transparency log of receipts: how many there are and the root of the Merkle tree over
/// them, as a note (C2SP tlog-checkpoint) signed with the key of receipts. Keep it: a later proof of
/// consistency shows that nothing before it was changed or dropped.
#[utoipa::path(
    get,
    path = "/receipts/checkpoint",
    tag = "erasures",
    responses(
        (status = 200, description = "The signed head", body = String, content_type = "text/plain"),
        (status = 404, description = "A receipt is missing, so there is no log", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn checkpoint(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, Problem> {
    Parameters::refuse(query.as_deref())?;
    let head = found(state.service()?.receipt_checkpoint().await?)?;
    Ok(([(CONTENT_TYPE, TEXT)], head))
}

/// A proof of consistency.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Consistency {
    /// Receipts under the earlier head.
    from: u64,
    /// Receipts under the later one.
    to: u64,
    /// The nodes of RFC 9162, section 2.1.4, in base64.
    #[schema(max_items = 128)]
    path: Vec<String>,
    /// The later head, signed, as `/receipts/checkpoint` answers it.
    checkpoint: String,
}

/// The proof that the first receipts of the log are still there, unchanged and in their order, now that
/// there are more (RFC 9162, section 2.1.4).
#[utoipa::path(
    get,
    path = "/receipts/consistency",
    tag = "erasures",
    params(("from" = u64, Query, description = "The number of receipts under the head that you kept", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "The proof, with the present head", body = Consistency),
        (status = 400, description = "No number, or more than there are receipts", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "A receipt is missing, so there is no log", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn consistency(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<Consistency>, Problem> {
    let mut parameters = Parameters::parse(query.as_deref(), &["from"])?;
    let from = parameters.text("from");
    let from = from.as_deref().and_then(|text| text.parse().ok());
    let from = from.ok_or_else(|| Problem::new(&INVALID_QUERY, TOO_FEW))?;
    let proof = found(state.service()?.receipt_consistency(from).await?)?;
    Ok(Json(Consistency {
        from: proof.from,
        to: proof.to,
        path: proof.path,
        checkpoint: proof.checkpoint,
    }))
}

/// What nodes of a cluster that were away have settled: signed settlements, which are links of the same chain as
/// receipts and leaves of the same log, one a line, in the order of the chain. A receipt that says of a node that it
/// owes an erasure is closed by one of them; `recant verify` takes both. A server that is alone has none.
#[utoipa::path(
    get,
    path = "/receipts/settlements",
    tag = "erasures",
    responses((status = 200, description = "Settlements, compact JWS, one a line", body = String, content_type = "text/plain")),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn settlements(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, Problem> {
    Parameters::refuse(query.as_deref())?;
    let settlements = state.service()?.settlements().await?;
    let lines: String = settlements.iter().map(|it| format!("{it}\n")).collect();
    Ok(([(CONTENT_TYPE, TEXT)], lines))
}

/// The proof that the receipt of an erasure is in the log (C2SP tlog-proof), checked with `recant verify --inclusion`
/// without any other receipt. It holds the signed head it is about.
#[utoipa::path(
    get,
    path = "/erasures/{id}/inclusion",
    tag = "erasures",
    params(("id" = String, Path, description = "The id from the answer to the request", example = "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a", format = "uuid")),
    responses(
        (status = 200, description = "The proof", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such erasure, it has no receipt, or there is no log", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The erasure is not certified yet", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn inclusion(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Problem> {
    Parameters::refuse(query.as_deref())?;
    let erasure = erasures::visible(&state, &caller, erasures::erasure_id(id)?).await?;
    let proof = found(state.service()?.receipt_inclusion(erasure.id).await?)?;
    Ok(([(CONTENT_TYPE, TEXT)], proof))
}

const TOO_FEW: &str = "from must be the number of receipts under a head that was kept, at least 1";

fn found<T>(answer: LogAnswer<T>) -> Result<T, Problem> {
    match answer {
        LogAnswer::Found(found) => Ok(found),
        LogAnswer::TooFew => Err(Problem::new(&INVALID_QUERY, TOO_FEW)),
        LogAnswer::NoLog => {
            let detail = "a receipt is missing from the store: check those you have as a chain";
            Err(Problem::new(&RECEIPT_LOG_NOT_FOUND, detail))
        }
        LogAnswer::NoReceipt(ReceiptAnswer::NotYet) => Err(receipt::not_ready()),
        LogAnswer::NoReceipt(ReceiptAnswer::UnknownErasure) => Err(erasures::not_found()),
        LogAnswer::NoReceipt(_) => Err(receipt::never()),
    }
}
