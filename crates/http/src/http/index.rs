//! `GET /`: a page that says where to go.

use axum::response::Html;

/// Shows what this is and where its documentation is.
#[utoipa::path(
    get,
    path = "/",
    tag = "operations",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
    security(()),
)]
pub(super) async fn index() -> Html<&'static str> {
    Html(include_str!("index.html"))
}
