//! `POST /erasures`, `GET /erasures` and `GET /erasures/{id}`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::erasure_answer::{self, AcceptedAnswer, ErasureBody};
use super::json_body::JsonBody;
use super::known_feedback::KnownFeedback;
use super::page::cut_to_page;
use super::parameters::{Parameters, invalid};
use super::problem::{ERASURE_NOT_FOUND, INVALID_ERASURE_ID, Problem, ProblemBody};
use super::state::AppState;
use recant_types::{
    Certificate, ErasureFilter, ErasureId, ErasureRecord, ErasureStatus, UnixMillis,
};

/// Erasures on a page when the caller does not say, and at most.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 500;

/// One erasure, or one restriction. It never says whom it was about.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(crate) struct ErasureAnswer {
    /// Its id.
    id: String,
    /// What was named: `pairs`, `typed_pairs`, `user`, `item`, `several` or `several_typed`; or
    /// `restriction`, which erases nothing.
    #[schema(example = "user")]
    kind: &'static str,
    /// `accepted`, `erased`, `forgotten`, `certified` or `failed`; of a restriction `restricted` in place
    /// of `erased`.
    #[schema(example = "certified")]
    status: &'static str,
    /// When the request was made durable.
    accepted_at: String,
    /// When the data left the store; null of a restriction.
    erased_at: Option<String>,
    /// When the data left what is processed, of a restriction.
    restricted_at: Option<String>,
    /// When the updated model was swapped in.
    forgotten_at: Option<String>,
    /// When the certificate was attached.
    certified_at: Option<String>,
    /// The version that the certificate is of; every later one descends from it.
    certified_version: Option<u64>,
    /// The position of the log whose data the certificate is of.
    certified_position: Option<u64>,
    /// Version that was live when the update began.
    model_version_before: Option<u64>,
    /// First version that had forgotten.
    model_version_after: Option<u64>,
    /// What is known about the model's distance from one that never saw the data.
    #[schema(value_type = Option<Object>, example = json!({
        "kind": "residual",
        "residual": 0.00008,
        "tolerance": 0.0001,
        "note": "measured on the retained data; evidence of convergence, no proof",
    }))]
    certificate: Option<Certificate>,
    /// Why it failed, when it did; it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl From<ErasureRecord> for ErasureAnswer {
    fn from(record: ErasureRecord) -> Self {
        let time = |time: Option<UnixMillis>| time.map(UnixMillis::to_rfc3339);
        let is_restriction = record.is_restriction();
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            status: record.status_name(),
            accepted_at: record.accepted_at.to_rfc3339(),
            erased_at: time(record.erased_at.filter(|_| !is_restriction)),
            restricted_at: time(record.erased_at.filter(|_| is_restriction)),
            forgotten_at: time(record.forgotten_at),
            certified_at: time(record.certified_at),
            certified_version: record.certified_version,
            certified_position: record.certified_position,
            model_version_before: record.model_version_before,
            model_version_after: record.model_version_after,
            certificate: record.certificate,
            failure: record.failure,
        }
    }
}

/// A page of erasures.
#[derive(Serialize, ToSchema)]
#[schema(as = ErasurePage)]
pub(super) struct PageAnswer {
    /// Newest first.
    erasures: Vec<ErasureAnswer>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Erases users, items and pairs, up to 10 000 together, as one erasure, and makes the model forget
/// them.
#[utoipa::path(
    post,
    path = "/erasures",
    tag = "erasures",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=S` waits up to S seconds, at most 60, until the model has forgotten"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and request again return the same erasure", min_length = 1, max_length = 255),
    ),
    request_body(content = ErasureBody, content_type = "application/json"),
    responses(
        (status = 202, description = "Accepted and durable", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
        (status = 200, description = "Waited for, and forgotten", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn create(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    Extension(feedback): Extension<KnownFeedback>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ErasureBody>,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    erasure_answer::erase(&state, &caller, &headers, body.target(&feedback)?).await
}

/// Shows how far an erasure has come. Without the role `admin` only those that the same key
/// requested are there.
#[utoipa::path(
    get,
    path = "/erasures/{id}",
    tag = "erasures",
    params(("id" = String, Path, description = "The id from the answer to the request", example = "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a", format = "uuid")),
    responses(
        (status = 200, description = "The erasure", body = ErasureAnswer),
        (status = 404, description = "There is no such erasure", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn one(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ErasureAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let record = visible(&state, &caller, erasure_id(id)?).await?;
    Ok(Json(record.into()))
}

/// The erasure with this id, when there is one that the caller may see.
pub(super) async fn visible(
    state: &AppState,
    caller: &Caller,
    id: ErasureId,
) -> Result<ErasureRecord, Problem> {
    let record = state.service()?.erasure(id).await?;
    let record = record.filter(|record| caller.may_see(record));
    record.ok_or_else(not_found)
}

/// The id in the path.
pub(super) fn erasure_id(id: Result<Path<String>, PathRejection>) -> Result<ErasureId, Problem> {
    let id = id.ok().and_then(|Path(text)| ErasureId::parse(&text));
    id.ok_or_else(|| {
        let detail = "take the id from the answer to the erasure request; it is a UUID";
        Problem::new(&INVALID_ERASURE_ID, detail)
    })
}

/// The answer to an id that no erasure has.
pub(super) fn not_found() -> Problem {
    let detail = "take the id from the answer to the erasure request, or list /erasures";
    Problem::new(&ERASURE_NOT_FOUND, detail)
}

/// Lists erasures, newest first, a page at a time: with the role `admin` all of them, otherwise
/// those that the same key requested.
#[utoipa::path(
    get,
    path = "/erasures",
    tag = "erasures",
    params(
        ("status" = Option<String>, Query, description = "Only those in this state"),
        ("limit" = Option<usize>, Query, description = "How many; 50 unless given", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = PageAnswer),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader"))),
)]
pub(super) async fn page(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Json<PageAnswer>, Problem> {
    let query = PageQuery::read(query.as_deref())?;
    let filter = ErasureFilter {
        status: query.status,
        requested_by: caller.sees_only(),
        restrictions: query.restrictions,
    };
    // One more than asked for tells whether there is another page.
    let found = state
        .service()?
        .erasures(filter, query.before, query.limit + 1);
    Ok(Json(make_page(found.await?, query.limit)))
}

struct PageQuery {
    status: Option<ErasureStatus>,
    /// `erased` and `restricted` are one state of two kinds.
    restrictions: Option<bool>,
    before: Option<ErasureId>,
    limit: usize,
}

impl PageQuery {
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut parameters = Parameters::parse(query, &["status", "limit", "cursor"])?;
        let status = parameters.text("status");
        let restrictions = match status.as_deref() {
            Some("restricted") => Some(true),
            Some("erased") => Some(false),
            _ => None,
        };
        let status = status.map(|text| match restrictions {
            Some(true) => Ok(ErasureStatus::Erased),
            _ => text.parse(),
        });
        let cursor = parameters
            .text("cursor")
            .map(|text| ErasureId::parse(&text));
        if cursor.is_some_and(|id| id.is_none()) {
            return Err(invalid("cursor must be the next_cursor of the page before"));
        }
        Ok(Self {
            restrictions,
            status: status
                .transpose()
                .map_err(|error: recant_types::UnknownStatus| invalid(error.to_string()))?,
            before: cursor.flatten(),
            limit: parameters.number("limit", 1..=PAGE_MAX, PAGE_DEFAULT)?,
        })
    }
}

fn make_page(mut records: Vec<ErasureRecord>, limit: usize) -> PageAnswer {
    let last = cut_to_page(&mut records, limit);
    let next_cursor = last.map(|record| record.id.to_string());
    PageAnswer {
        erasures: records.into_iter().map(ErasureAnswer::from).collect(),
        next_cursor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_types::{ErasureTarget, UserId};

    fn record() -> ErasureRecord {
        let target = ErasureTarget::User(UserId::new("needle").expect("an id"));
        ErasureRecord::accepted(ErasureId::generate(), 1, &target, UnixMillis(0))
    }

    #[test]
    fn a_page_points_to_the_next_one_only_when_there_is_more() {
        let records = vec![record(), record(), record()];
        let page = make_page(records.clone(), 2);
        assert_eq!(page.erasures.len(), 2);
        assert_eq!(page.next_cursor, Some(records[1].id.to_string()));
        assert_eq!(make_page(records.clone(), 3).next_cursor, None);
        assert_eq!(make_page(Vec::new(), 3).next_cursor, None);
    }

    #[test]
    fn a_page_query_is_checked() {
        let id = ErasureId::generate();
        let query = format!("status=forgotten&limit=7&cursor={id}");
        let query = PageQuery::read(Some(&query)).expect("a good query");
        assert_eq!(query.status, Some(ErasureStatus::Forgotten));
        assert_eq!((query.limit, query.before), (7, Some(id)));
        for (status, restrictions) in [("erased", Some(false)), ("restricted", Some(true))] {
            let query = PageQuery::read(Some(&format!("status={status}"))).expect("good");
            let read = (query.status, query.restrictions);
            assert_eq!(read, (Some(ErasureStatus::Erased), restrictions));
        }
        for bad in ["status=done", "limit=0", "limit=501", "cursor=x", "page=2"] {
            assert!(PageQuery::read(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_answer_has_every_field_and_names_nobody() {
        let json = serde_json::to_value(ErasureAnswer::from(record())).expect("plain data");
        let fields = json.as_object().expect("an object");
        for name in [
            "id",
            "kind",
            "status",
            "accepted_at",
            "erased_at",
            "restricted_at",
            "forgotten_at",
            "certified_at",
            "certified_version",
            "certified_position",
            "model_version_before",
            "model_version_after",
            "certificate",
        ] {
            assert!(fields.contains_key(name), "{name}");
        }
        assert!(!json.to_string().contains("needle"));
    }
}
