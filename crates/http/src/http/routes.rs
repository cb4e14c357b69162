//! The one table of the calls there are: who may make them, and the only labels that metrics and
//! log lines know.

use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};

use crate::config::Role;

/// Label of every path that no route matched.
const OTHER_ROUTE: &str = "other";

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Anybody: it tells nothing about data.
    Nothing,
    /// Holders of this role, or of `admin`.
    Role(Role),
}

/// One call.
pub(super) struct Route {
    /// Its method.
    pub(super) method: &'static str,
    /// Its path with placeholders.
    pub(super) template: &'static str,
    /// Who may make it.
    pub(super) needs: Needs,
}

const fn route(method: &'static str, template: &'static str, needs: Needs) -> Route {
    Route {
        method,
        template,
        needs,
    }
}

const READ: Needs = Needs::Role(Role::Read);
const WRITE: Needs = Needs::Role(Role::Write);
const ERASE: Needs = Needs::Role(Role::Erase);
const ADMIN: Needs = Needs::Role(Role::Admin);

/// Every call. The documentation is open, because a browser sends no API key and it tells nothing
/// that the source code does not; the export needs `admin`, because it is the one call that reads
/// out what a person did.
pub(super) const ROUTES: [Route; 20] = [
    route("GET", "/recommend", READ),
    route("POST", "/recommend", READ),
    route("GET", "/similar", READ),
    route("POST", "/interactions", WRITE),
    route("DELETE", "/interactions", ERASE),
    route("POST", "/erasures", ERASE),
    route("GET", "/erasures", ERASE),
    route("GET", "/erasures/{id}", ERASE),
    route("GET", "/erasures/{id}/receipt", ERASE),
    route("GET", "/export", ADMIN),
    route("GET", "/model", READ),
    route("GET", "/metrics", READ),
    route("GET", "/healthz", Needs::Nothing),
    route("GET", "/readyz", Needs::Nothing),
    route("GET", "/.well-known/jwks.json", Needs::Nothing),
    route("GET", "/openapi.json", Needs::Nothing),
    route("GET", "/docs", Needs::Nothing),
    route("GET", "/docs/", Needs::Nothing),
    route("GET", "/docs/{file}", Needs::Nothing),
    route("GET", "/", Needs::Nothing),
];

/// The template that matched, for labels: one of the table's or [`OTHER_ROUTE`].
pub(super) fn label(extensions: &Extensions) -> &'static str {
    let matched = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let known = ROUTES
        .iter()
        .find(|route| Some(route.template) == matched)
        .map(|route| route.template);
    known.unwrap_or(OTHER_ROUTE)
}

/// The method for labels: a caller may invent methods, a label may not.
pub(super) fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("OTHER")
}

/// What a call needs. `None` where the path is known and the method is not, or the path is not
/// known: both end in an error that tells nothing.
pub(super) fn needs(method: &Method, template: &str) -> Option<Needs> {
    // A HEAD is answered by the handler of GET.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let found = ROUTES
        .iter()
        .find(|route| route.method == method && route.template == template);
    found.map(|route| route.needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_needs_what_get_needs() {
        assert_eq!(needs(&Method::HEAD, "/export"), Some(ADMIN));
        assert_eq!(needs(&Method::PUT, "/export"), None);
    }

    #[test]
    fn invented_methods_share_one_label() {
        let invented = Method::from_bytes(b"ADA").expect("a token");
        assert_eq!(method_label(&invented), "OTHER");
        assert_eq!(method_label(&Method::DELETE), "DELETE");
    }
}
