//! What is around the face: paths are trimmed on the way in, errors are plain text on the way out,
//! whoever made them.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tower::ServiceBuilder;

use super::refusal::TEXT;
use super::slashes::{is_of_face, trimmed};
use crate::http::problem::Detail;

/// All routes, with those of the face as its clients expect them.
pub(in crate::http) fn around(routes: Router) -> Router {
    // A layer of a router meets a request only after it was matched, so a second router is around it.
    let service = ServiceBuilder::new()
        .layer(from_fn(tell_in_plain_text))
        .map_request(trimmed::<Body>)
        .service(routes);
    Router::new().fallback_service(service)
}

async fn tell_in_plain_text(request: Request, next: Next) -> Response {
    let is_of_face = is_of_face(request.uri().path());
    let response = next.run(request).await;
    if is_of_face {
        in_plain_text(response)
    } else {
        response
    }
}

/// A problem as a line of text. What is wrong with a body is 400, for gorse knows no 422.
fn in_plain_text(mut response: Response) -> Response {
    let Some(Detail(text)) = response.extensions_mut().remove() else {
        return response;
    };
    if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    *response.body_mut() = Body::from(text.into_owned());
    response
}
