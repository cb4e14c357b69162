//! `PUT` and `GET /users/{id}`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, RawQuery, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::json_body::JsonBody;
use super::parameters::Parameters;
use super::path_id::path_id;
use super::problem::{INVALID_BODY, INVALID_USER_ID, Problem, ProblemBody, USER_NOT_FOUND};
use super::property_values::property_values;
use super::state::AppState;
use crate::config::InteractionSettings;
use recant_types::{PersonProperties, PersonSummary, UserId, new_id};

/// What is to be said about somebody.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with properties")]
#[schema(as = UserRequest, example = json!({
    "properties": {"city": "Turin", "age": 41, "member": true},
}))]
pub(super) struct UserBody {
    /// Texts of at most 1 024 bytes, numbers and truths by name, at most 100; a name is an
    /// identifier of at most 64 bytes. All together have at most 30 000 bytes of JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Value>>,
}

/// What is said about somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = UserProperties)]
pub(super) struct SaidAnswer {
    /// Whom it is about.
    #[schema(value_type = String, example = "ada")]
    user: UserId,
    /// Texts, numbers and truths by name.
    #[schema(value_type = Object)]
    properties: PersonProperties,
}

/// Somebody of whom something is held.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserAnswer {
    /// Who.
    #[schema(value_type = String, example = "ada")]
    user: UserId,
    /// What is said about them.
    #[schema(value_type = Object)]
    properties: PersonProperties,
    /// How many interactions are held of them; those that were just accepted are counted once they
    /// are learnt.
    interactions: usize,
    /// Whether they are kept without being processed: `PUT /users/{id}/restriction`.
    restricted: bool,
}

impl From<PersonSummary> for UserAnswer {
    fn from(person: PersonSummary) -> Self {
        Self {
            user: person.user,
            properties: person.properties,
            interactions: person.interactions,
            restricted: person.restricted,
        }
    }
}

/// Says this about somebody, in place of all that was said before; without properties nothing is
/// said any more. It is durable when it is answered, and what it takes away can be read no more. The
/// answer is the same whether or not anything was held of them. The model learns nothing of it.
#[utoipa::path(
    put,
    path = "/users/{id}",
    tag = "users",
    params(("id" = String, Path, description = "About whom", example = "ada", min_length = 1, max_length = 256)),
    request_body(content = UserBody, content_type = "application/json"),
    responses((status = 200, description = "What is said now", body = SaidAnswer)),
    security(("api_key" = ["write"])),
    extensions(("x-answered-by" = json!("leader-writes"))),
)]
pub(super) async fn put(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    Extension(settings): Extension<InteractionSettings>,
    id: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody<UserBody>,
) -> Result<Json<SaidAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let keep = settings.keep_null_ids;
    let user = path_id(&INVALID_USER_ID, id, |text| {
        UserId::new(new_id(text, keep)?)
    })?;
    let properties = said(&body.properties.unwrap_or_default())?;
    let service = state.service()?;
    service.put_user(user.clone(), properties.clone()).await?;
    Ok(Json(SaidAnswer { user, properties }))
}

/// Shows what is said about somebody, and how many interactions are held of them. What an accepted
/// erasure names is not shown any more.
#[utoipa::path(
    get,
    path = "/users/{id}",
    tag = "users",
    params(("id" = String, Path, description = "About whom", example = "ada", min_length = 1, max_length = 256)),
    responses(
        (status = 200, description = "What is held", body = UserAnswer),
        (status = 404, description = "Nothing is held of them", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(("api_key" = ["admin"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<UserAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let user = path_id(&INVALID_USER_ID, id, UserId::trimmed)?;
    let person = state.service()?.user(&user).await?;
    let person = person.ok_or_else(|| {
        let detail = "list those of whom something is held with GET /users";
        Problem::new(&USER_NOT_FOUND, detail)
    })?;
    Ok(Json(person.into()))
}

/// The properties that an object names, within their bounds; what is null is not said.
fn said(named: &Map<String, Value>) -> Result<PersonProperties, Problem> {
    let refused = |reason: String| Problem::new(&INVALID_BODY, reason);
    let values = property_values(named).map_err(refused)?.into_iter();
    let values = values.filter_map(|(name, value)| Some((name, value?)));
    PersonProperties::new(values.collect()).map_err(|reason| refused(reason.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json_body;

    #[test]
    fn what_is_null_is_not_said_and_what_is_wrong_is_not_repeated() {
        let read = |body: &str| {
            let body: UserBody = json_body::parse(body.as_bytes())?;
            said(&body.properties.unwrap_or_default())
        };
        for nothing in [
            "{}",
            r#"{"properties":null}"#,
            r#"{"properties":{"a":null}}"#,
        ] {
            assert!(read(nothing).is_ok_and(|said| said.is_empty()), "{nothing}");
        }
        let some = read(r#"{"properties":{"a":1,"b":"text","c":true,"d":null}}"#);
        let text = serde_json::to_string(&some.expect("properties")).expect("text");
        assert_eq!(text, r#"{"a":1,"b":"text","c":true}"#);
        let long = format!(r#"{{"properties":{{"a":"{}"}}}}"#, "needle".repeat(200));
        for (body, part) in [
            (r#"{"needle":1}"#, "it takes `properties`"),
            (r#"{"properties":{},"properties":{}}"#, "duplicate field"),
            (r#"{"properties":["needle"]}"#, "wrong type"),
            (r#"{"properties":{"a":["needle"]}}"#, "a text, a number"),
            (r#"{"properties":{"needle needle":1}}"#, "a name begins"),
            (&long, "at most 1024 bytes"),
            ("[]", "an array"),
            ("", "empty"),
        ] {
            let problem = read(body).expect_err(body);
            let (_, detail) = problem.parts();
            assert!(
                detail.contains(part) && !detail.contains("needle"),
                "{detail}"
            );
        }
    }
}
