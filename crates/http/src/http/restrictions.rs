//! `PUT` and `DELETE /users/{id}/restriction`, `POST /restrictions` and `POST /restrictions/lift`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::erasure_answer::{self, AcceptedAnswer};
use super::json_body::{Id, JsonBody};
use super::parameters::Parameters;
use super::path_id::path_id;
use super::problem::{BODY_TOO_LARGE, INVALID_BODY, INVALID_USER_ID, Problem};
use super::state::AppState;
use recant_types::{ERASURE_PAIRS_MAX, ErasureTarget, Given, UserId};

/// Whom it is about, with no id in a URL: 1 to 10 000 users.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with users")]
#[schema(as = RestrictionRequest, example = json!({"users": ["ada"]}))]
pub(super) struct RestrictionBody {
    /// Who.
    #[schema(value_type = Vec<Id>, min_items = 1, max_items = 10_000)]
    users: Vec<Given<UserId>>,
}

/// The answer to the end of a restriction.
#[derive(Serialize, ToSchema)]
#[schema(as = LiftedRestriction, example = json!({"accepted_at": "2025-01-31T12:00:00.000Z"}))]
pub(super) struct LiftedAnswer {
    /// When it was made durable.
    accepted_at: String,
}

/// Restricts the processing of what is held of somebody (Art. 18 and 21 GDPR): it is kept, sealed, and
/// leaves the model, its lists and everything that is made of them, as if it were erased; so does what
/// comes of them later. The answer is that of an erasure, whether or not anything is held of them, and is
/// followed, certified and receipted as one. Repeating the call is harmless.
#[utoipa::path(
    put,
    path = "/users/{id}/restriction",
    tag = "users",
    params(
        ("id" = String, Path, description = "Whose", example = "ada", min_length = 1, max_length = 256),
        ("Prefer" = Option<String>, Header, description = "`wait=S` waits up to S seconds, at most 60, until the model has forgotten"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and request again return the same restriction", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 202, description = "Accepted and durable", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
        (status = 200, description = "Waited for, and forgotten", body = AcceptedAnswer, headers(("location" = String, description = "Where to follow it"))),
    ),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    let user = path_id(&INVALID_USER_ID, id, UserId::trimmed)?;
    let target = ErasureTarget::Restriction(vec![user]);
    erasure_answer::erase(&state, &caller, &headers, target).await
}

/// Ends the restriction of somebody: what was kept of them, and what came of them meanwhile, is learnt
/// again in the background, with its own times and weights. The answer is the same whether or not they were
/// restricted. Repeating the call is harmless.
#[utoipa::path(
    delete,
    path = "/users/{id}/restriction",
    tag = "users",
    params(("id" = String, Path, description = "Whose", example = "ada", min_length = 1, max_length = 256)),
    responses((status = 202, description = "Accepted and durable", body = LiftedAnswer)),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<LiftedAnswer>), Problem> {
    Parameters::refuse(query.as_deref())?;
    let user = path_id(&INVALID_USER_ID, id, UserId::trimmed)?;
    lifted(&state, vec![user]).await
}

/// Restricts the processing of what is held of users, up to 10 000 together, as one restriction, with no
/// id in the URL; otherwise as `PUT /users/{id}/restriction`.
#[utoipa::path(
    post,
    path = "/restrictions",
    tag = "users",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=S` waits up to S seconds, at most 60, until the model has forgotten"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key and request again return the same restriction", min_length = 1, max_length = 255),
    ),
    request_body(content = RestrictionBody, content_type = "application/json"),
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
    headers: HeaderMap,
    JsonBody(body): JsonBody<RestrictionBody>,
) -> Result<Response, Problem> {
    Parameters::refuse(query.as_deref())?;
    let target = ErasureTarget::Restriction(body.users()?);
    erasure_answer::erase(&state, &caller, &headers, target).await
}

/// Ends the restrictions of users, up to 10 000 together, with no id in the URL; otherwise as
/// `DELETE /users/{id}/restriction`.
#[utoipa::path(
    post,
    path = "/restrictions/lift",
    tag = "users",
    request_body(content = RestrictionBody, content_type = "application/json"),
    responses((status = 202, description = "Accepted and durable", body = LiftedAnswer)),
    security(("api_key" = ["erase"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn lift(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    JsonBody(body): JsonBody<RestrictionBody>,
) -> Result<(StatusCode, Json<LiftedAnswer>), Problem> {
    Parameters::refuse(query.as_deref())?;
    lifted(&state, body.users()?).await
}

async fn lifted(
    state: &AppState,
    users: Vec<UserId>,
) -> Result<(StatusCode, Json<LiftedAnswer>), Problem> {
    let accepted_at = state.service()?.lift_restrictions(users).await?;
    let answer = LiftedAnswer {
        accepted_at: accepted_at.to_rfc3339(),
    };
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

impl RestrictionBody {
    /// Whom it names, as many as one request may.
    fn users(self) -> Result<Vec<UserId>, Problem> {
        match self.users.len() {
            0 => Err(Problem::new(&INVALID_BODY, "nobody is named: give users")),
            1..=ERASURE_PAIRS_MAX => Ok(Given::ids(self.users)),
            _ => {
                let detail = format!("name at most {ERASURE_PAIRS_MAX} a request");
                Err(Problem::new(&BODY_TOO_LARGE, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json_body;
    use super::*;

    #[test]
    fn one_to_ten_thousand_users_are_named_and_nothing_else() {
        let read = |body: &str| {
            let body = json_body::parse::<RestrictionBody>(body.as_bytes());
            body.and_then(RestrictionBody::users)
        };
        let two = read(r#"{"users":[" ada ",7]}"#).expect("two");
        assert_eq!(
            two.iter().map(UserId::expose).collect::<Vec<_>>(),
            ["ada", "7"]
        );
        for (bad, code, part) in [
            (r#"{"users":[]}"#, "invalid_body", "nobody is named"),
            ("{}", "invalid_body", "`users`"),
            (r#"{"users":["needle\u0007"]}"#, "invalid_body", "control"),
            (
                r#"{"users":["a"],"needle":1}"#,
                "invalid_body",
                "does not know",
            ),
        ] {
            let problem = read(bad).expect_err(bad);
            let (found, detail) = problem.parts();
            assert_eq!(found, code, "{bad}: {detail}");
            assert!(
                detail.contains(part) && !detail.contains("needle"),
                "{bad}: {detail}"
            );
        }
        let many = vec![r#""u""#; ERASURE_PAIRS_MAX + 1].join(",");
        let problem = read(&format!("{{\"users\":[{many}]}}")).expect_err("too many");
        assert_eq!(problem.parts().0, "body_too_large");
    }
}
