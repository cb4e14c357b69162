//! Paths as clients write them: with and without a slash at the end.

use axum::http::Request;
use axum::http::uri::{PathAndQuery, Uri};

/// Whether a path is one of the face.
pub(super) fn is_of_face(path: &str) -> bool {
    path.strip_prefix("/api")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The request for the same path of the face without slashes at its end; any other as it is.
pub(super) fn trimmed<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = without_slashes(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_slashes(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || !is_of_face(path) {
        return None;
    }
    let whole = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_of_paths_of_the_face_do_not_count() {
        let read = |uri: &str| {
            let request = Request::builder().uri(uri).body(()).expect("a request");
            trimmed(request).uri().to_string()
        };
        for (uri, expected) in [
            ("/api/user/", "/api/user"),
            (
                "/api/recommend/1/?n=3&category=a/",
                "/api/recommend/1?n=3&category=a/",
            ),
            ("/api/latest//", "/api/latest"),
            ("/api/item/a%2F/neighbors/", "/api/item/a%2F/neighbors"),
            ("/api/items?q=a/", "/api/items?q=a/"),
            ("/api/", "/api"),
            ("/docs/", "/docs/"),
            ("/apiary/", "/apiary/"),
            ("/", "/"),
        ] {
            assert_eq!(read(uri), expected, "{uri}");
        }
    }
}
