//! The calls that delete: each is an erasure, answered when it is accepted.
//!
//! The answer is the same whether or not there was anything, so its count of rows is always 1. Where to
//! follow the erasure is in its headers, which clients of gorse pass over, and in two members that they
//! do not know.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{LINK, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;

use super::feedback_rows::named;
use super::ids::{item_id, user_id};
use super::refusal::Refusal;
use crate::http::caller::Caller;
use crate::http::erasure_answer::{accept, accept_item};
use crate::http::known_feedback::KnownFeedback;
use crate::http::state::AppState;
use recant_receipt::Salt;
use recant_service::AcceptedErasure;
use recant_types::{ErasureTarget, Names};

/// What was accepted.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Erased {
    row_affected: usize,
    /// Under which id to follow it.
    erasure_id: String,
    /// Opens the commitment of its receipt; shown here alone.
    receipt_salt: Option<String>,
}

/// Erases everything of a user.
pub(super) async fn user(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let target = ErasureTarget::User(user_id(&user)?);
    Ok(answer(accept(&state, &caller, &headers, target).await?))
}

/// Erases every interaction with an item and what is said about it.
pub(super) async fn item(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(item): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let item = item_id(&item)?;
    Ok(answer(accept_item(&state, &caller, &headers, item).await?))
}

/// Erases what a user did with an item, of every type.
pub(super) async fn pair(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path((user, item)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let mut names = Names::default();
    names.add_pair(user_id(&user)?, item_id(&item)?, None);
    Ok(answer(
        accept(&state, &caller, &headers, names.into()).await?,
    ))
}

/// Erases what a user did with an item, of one type.
pub(super) async fn typed_pair(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(known): Extension<KnownFeedback>,
    Path((name, user, item)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let feedback = named(&name, &known).map_err(Refusal::invalid)?;
    let mut names = Names::default();
    names.add_pair(user_id(&user)?, item_id(&item)?, Some(feedback));
    Ok(answer(
        accept(&state, &caller, &headers, names.into()).await?,
    ))
}

fn answer(accepted: AcceptedErasure) -> Response {
    let location = format!("/erasures/{}", accepted.record.id);
    let link = format!("<{location}>; rel=\"status\"");
    let erased = Erased {
        row_affected: 1,
        erasure_id: accepted.record.id.to_string(),
        receipt_salt: accepted.salt.as_ref().map(Salt::expose),
    };
    ([(LOCATION, location), (LINK, link)], Json(erased)).into_response()
}
