//! How the calls of a face for other programs' clients are put together.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};

use super::answered_by::AnsweredBy;
use super::routes::{Needs, Route};
use super::state::AppState;

/// Who may make a call, and which of several nodes answers it.
pub(super) type Terms = (Needs, AnsweredBy);

/// Calls, and the same for the table of routes: who may make them, and under which label they count.
#[derive(Default)]
pub(super) struct Face {
    /// Those that do the work.
    pub(super) calls: Router<AppState>,
    /// Those of probes, which are never turned away for load.
    pub(super) probes: Router<AppState>,
    /// All of them.
    pub(super) routes: Vec<Route>,
}

impl Face {
    /// With a call that does work.
    pub(super) fn call<H, T>(
        mut self,
        method: Method,
        template: &'static str,
        terms: Terms,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let route = on(filter(&method), handler);
        self.calls = self.calls.route(template, route);
        self.listed(&method, template, terms)
    }

    /// With a call of probes.
    pub(super) fn probe<H, T>(mut self, template: &'static str, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let route = on(MethodFilter::GET, handler);
        self.probes = self.probes.route(template, route);
        self.listed(&Method::GET, template, (Needs::Nothing, AnsweredBy::Any))
    }

    fn listed(mut self, method: &Method, template: &'static str, terms: Terms) -> Self {
        let (needs, answered_by) = terms;
        self.routes.push(Route {
            method: Arc::from(method.as_str()),
            template: Arc::from(template),
            needs,
            answered_by,
        });
        self
    }
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("a method that routers know")
}
