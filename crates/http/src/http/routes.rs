//! The table of the calls there are: who may make them, and the only labels that metrics and log
//! lines know. It is read from the description, where the handlers say both.

use std::sync::Arc;

use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};
use serde_json::Value;

use super::answered_by::AnsweredBy;
use super::openapi::{API_KEY, operations};
use super::probes::PROBES;
use super::{console, docs};
use crate::api_keys::Charge;
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
#[derive(Clone)]
pub(super) struct Route {
    /// Its method, in capitals.
    pub(super) method: Arc<str>,
    /// Its path with placeholders.
    pub(super) template: Arc<str>,
    /// Who may make it.
    pub(super) needs: Needs,
    /// Which of several nodes answers it.
    pub(super) answered_by: AnsweredBy,
}

impl Route {
    /// What the call is taken from. Requests of erasures are counted by themselves, and what follows
    /// them is not: asking for a state again and again holds back no erasure.
    pub(super) fn charge(&self) -> Charge {
        if PROBES.contains(&&*self.template) {
            Charge::Nothing
        } else if self.needs == Needs::Role(Role::Erase) && &*self.method != "GET" {
            Charge::Erasures
        } else {
            Charge::Usual
        }
    }
}

/// Every call. Made once, shared by all requests.
#[derive(Clone)]
pub(super) struct Routes(Arc<[Route]>);

impl Routes {
    /// The calls of `description`, and the parts of the console and of the documentation page. A call
    /// that does not say whom it takes is one of `admin`.
    pub(super) fn described(description: &Value) -> Self {
        let described = operations(description).map(|(template, method, operation)| Route {
            method: method.to_uppercase().into(),
            template: template.into(),
            needs: needs(operation),
            answered_by: AnsweredBy::described(operation),
        });
        let pages = console::FILES.into_iter().chain(docs::FILES);
        let pages = pages.map(|template| Route {
            method: Arc::from("GET"),
            template: Arc::from(template),
            needs: Needs::Nothing,
            answered_by: AnsweredBy::Any,
        });
        Self(described.chain(pages).collect())
    }

    /// These and more.
    pub(super) fn with(&self, more: Vec<Route>) -> Self {
        let own = self.iter().cloned();
        Self(own.chain(more).collect())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// The template that matched, for labels: one of the table's or [`OTHER_ROUTE`].
    pub(super) fn label(&self, extensions: &Extensions) -> Arc<str> {
        let matched = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let known = self.iter().find(|route| Some(&*route.template) == matched);
        known.map_or_else(
            || Arc::from(OTHER_ROUTE),
            |route| Arc::clone(&route.template),
        )
    }

    /// The call of a method and a template. `None` where the path is known and the method is not, or
    /// the path is not known: both end in an error that tells nothing.
    pub(super) fn find(&self, method: &Method, template: &str) -> Option<&Route> {
        // A HEAD is answered by the handler of GET.
        let method = if method == Method::HEAD {
            "GET"
        } else {
            method.as_str()
        };
        self.iter()
            .find(|route| &*route.method == method && &*route.template == template)
    }
}

/// Whom a described operation takes.
fn needs(operation: &Value) -> Needs {
    let requirements = operation["security"].as_array();
    let open = |needed: &Value| needed.as_object().is_some_and(|needed| needed.is_empty());
    if requirements.is_some_and(|all| !all.is_empty() && all.iter().all(open)) {
        return Needs::Nothing;
    }
    let role = operation.pointer(&format!("/security/0/{API_KEY}/0"));
    let role = role.and_then(|role| serde_json::from_value(role.clone()).ok());
    Needs::Role(role.unwrap_or(Role::Admin))
}

/// The method for labels: a caller may invent methods, a label may not.
pub(super) fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Routes {
        Routes::described(&json!({"paths": {
            "/export": {"get": {"security": [{"api_key": ["admin"]}]}},
            "/model": {"get": {"security": [{"api_key": ["read"]}]}},
            "/healthz": {"get": {"security": [{}]}},
            "/silent": {"get": {}},
            "/slip": {"get": {"security": [{"api_key": ["reader"]}]}},
        }}))
    }

    fn needs_of(method: &Method, template: &str) -> Option<Needs> {
        table().find(method, template).map(|route| route.needs)
    }

    #[test]
    fn head_needs_what_get_needs() {
        let admin = Some(Needs::Role(Role::Admin));
        assert_eq!(needs_of(&Method::HEAD, "/export"), admin);
        assert_eq!(needs_of(&Method::PUT, "/export"), None);
    }

    #[test]
    fn only_what_asks_for_an_erasure_is_taken_from_their_allowance() {
        for (method, template, needs, charge) in [
            (
                "POST",
                "/erasures",
                Needs::Role(Role::Erase),
                Charge::Erasures,
            ),
            (
                "DELETE",
                "/items/{id}",
                Needs::Role(Role::Erase),
                Charge::Erasures,
            ),
            ("GET", "/erasures", Needs::Role(Role::Erase), Charge::Usual),
            ("POST", "/export", Needs::Role(Role::Admin), Charge::Usual),
            ("GET", "/docs", Needs::Nothing, Charge::Usual),
            ("GET", "/healthz", Needs::Nothing, Charge::Nothing),
            ("GET", "/api/health/ready", Needs::Nothing, Charge::Nothing),
        ] {
            let route = Route {
                method: Arc::from(method),
                template: Arc::from(template),
                needs,
                answered_by: AnsweredBy::LeaderWrites,
            };
            assert_eq!(route.charge(), charge, "{method} {template}");
        }
    }

    #[test]
    fn a_call_that_does_not_say_whom_it_takes_is_closed() {
        let needs = |template| needs_of(&Method::GET, template);
        assert_eq!(needs("/model"), Some(Needs::Role(Role::Read)));
        assert_eq!(needs("/healthz"), Some(Needs::Nothing));
        assert_eq!(needs("/docs/{file}"), Some(Needs::Nothing));
        assert_eq!(needs("/console/{file}"), Some(Needs::Nothing));
        for closed in ["/silent", "/slip"] {
            assert_eq!(needs(closed), Some(Needs::Role(Role::Admin)), "{closed}");
        }
    }

    #[test]
    fn invented_methods_share_one_label() {
        let invented = Method::from_bytes(b"ADA").expect("a token");
        assert_eq!(method_label(&invented), "OTHER");
        assert_eq!(method_label(&Method::DELETE), "DELETE");
    }
}
