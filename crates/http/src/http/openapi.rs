//! `GET /openapi.json`: the description generated from the handlers.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Description};
use utoipa::{Modify, OpenApi};

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
        (name = "interactions", description = "What people did with items"),
        (name = "erasures", description = "Take it back, and follow the model as it forgets"),
        (name = "operations", description = "For those who run the service"),
    ),
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
            .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// The description as it is sent; cloning shares it.
#[derive(Clone)]
pub(super) struct ApiDescription(Bytes);

impl ApiDescription {
    /// Writes out `description` once.
    pub(super) fn new(description: Description) -> Self {
        let text = serde_json::to_vec(&description).expect("a description is plain data");
        Self(Bytes::from(text))
    }
}

/// Describes all calls as an OpenAPI document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses((status = 200, description = "This document", body = Object, content_type = "application/json")),
)]
pub(super) async fn document(
    Extension(ApiDescription(text)): Extension<ApiDescription>,
) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text)
}
