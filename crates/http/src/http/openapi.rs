//! `GET /openapi.json`: the description generated from the handlers.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Description};
use utoipa::{Modify, OpenApi};

use super::probes::PROBES;
use super::problem::{PROBLEM_JSON, ProblemBody};

/// The name of the one way to say who is calling.
pub(super) const API_KEY: &str = "api_key";

/// What the description says beside the calls.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "recant",
        description = "A recommender that can take back what it learnt. Errors are RFC 9457 \
                       problems with a stable `code`; ids are strings of 1 to 256 bytes of UTF-8 \
                       without control characters.",
    ),
    tags(
        (name = "recommend", description = "Ask the live model"),
        (name = "items", description = "What is said about items"),
        (name = "users", description = "What is said about people, and of whom anything is held"),
        (name = "interactions", description = "What people did with items"),
        (name = "erasures", description = "Take it back, and follow the model as it forgets"),
        (name = "operations", description = "For those who run the service"),
    ),
    components(schemas(ProblemBody)),
    modifiers(&ApiKeyScheme),
)]
pub(super) struct ApiDocument;

struct ApiKeyScheme;

impl Modify for ApiKeyScheme {
    fn modify(&self, description: &mut Description) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "An API key. Needed once keys are configured; each call names the role it takes, \
                 and `admin` may do everything.",
            ))
            .build();
        description
            .components
            .get_or_insert_with(Components::new)
            .add_security_scheme(API_KEY, SecurityScheme::Http(scheme));
    }
}

/// The description as it is sent; cloning shares it.
#[derive(Clone)]
pub(super) struct ApiDescription(Bytes);

impl ApiDescription {
    /// Writes out `description` once.
    pub(super) fn new(description: &Value) -> Self {
        Self(Bytes::from(description.to_string()))
    }
}

/// The description of the handlers with what all calls have in common: who may make them in words,
/// and the errors that any of them may end in.
pub(super) fn completed(description: &Description) -> Value {
    let mut description = serde_json::to_value(description).expect("a description is plain data");
    let paths = description["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        let is_limited = !PROBES.contains(&path.as_str());
        for operation in item.as_object_mut().expect("methods").values_mut() {
            complete(operation, is_limited);
        }
    }
    description
}

fn complete(operation: &mut Value, is_limited: bool) {
    let role = operation.pointer(&format!("/security/0/{API_KEY}/0"));
    let role = role.and_then(Value::as_str).map(str::to_owned);
    let responses = &mut operation["responses"];
    let mut add = |status: &str, text: &str| {
        if responses[status].is_null() {
            responses[status] = json!({
                "description": text,
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            });
        }
    };
    if role.is_some() {
        add(
            "401",
            "Keys are configured, and the request carries none of them",
        );
        add(
            "403",
            "The key lacks the role, or the request comes from another site's page",
        );
    }
    if is_limited {
        add(
            "429",
            "The key, or without one the address, has sent more than it may (`server.requests_per_second_max`): \
             `Retry-After` says when to come back",
        );
    }
    add("4XX", "The request is wrong");
    add("5XX", "Not now");
    if let Some(role) = role {
        let text = operation["description"].as_str().unwrap_or_default();
        let text = format!("{text}\n\nTakes a key with the role `{role}` or `admin`.");
        operation["description"] = json!(text.trim_start());
    }
}

/// Path, method in lower case, and operation of every call of `description`.
pub(super) fn operations(description: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = description["paths"].as_object();
    let items = paths.into_iter().flatten();
    items.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Describes all calls as an OpenAPI document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses((status = 200, description = "This document", body = Object, content_type = "application/json")),
    security(()),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn document(
    Extension(ApiDescription(text)): Extension<ApiDescription>,
) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text)
}
