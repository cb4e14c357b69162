//! Puts the routes and the layers together. A new route is a file, which says its path, method,
//! role and description, and a line here.

use std::sync::Arc;

use ::metrics::{Label, counter, histogram};
use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use serde_json::Value;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{AccessPolicy, check_access, check_forwarded};
use super::body_buffer::{BodyBudget, buffer_body};
use super::known_feedback::KnownFeedback;
use super::metric_names::{
    CLUSTER_FORWARDED_TOTAL, CLUSTER_REFUSED_TOTAL, HTTP_RATE_LIMITED_TOTAL,
    HTTP_REQUEST_DURATION_SECONDS, HTTP_REQUESTS_TOTAL, TRACE_SPANS_TOTAL,
};
use super::node::{Node, answer_or_forward, naming};
use super::openapi::{ApiDescription, ApiDocument};
use super::problem::{METHOD_NOT_ALLOWED, Problem, ROUTE_NOT_FOUND};
use super::routes::Routes;
use super::state::AppState;
use super::{
    cluster, console, docs, drp, erase_interactions, erasures, export, gorse, health, interactions,
    item, items, key_set, layers, lists, metrics, model, openapi, receipt, receipt_log, recommend,
    restrictions, similar, user, users, webhooks,
};
use crate::api_keys::{ApiKeys, Charge};
use crate::config::Settings;
use recant_service::metric_names::ERASURES_TOTAL;
use recant_types::ErasureStatus;

/// The whole interface, ready to be served to whoever has one of `keys`. A node among several answers what
/// it may, and sends on to the leader what is the leader's.
pub fn router(state: AppState, settings: &Settings, keys: &ApiKeys) -> Router {
    let (operations, more) = operations().split_for_parts();
    let Work {
        calls,
        probes,
        table,
        description,
    } = work(settings, more);
    show_labelled_series(&table);
    let node = node(&state, &table, false);
    let routes = limited(calls, settings, node.as_ref())
        .merge(operations)
        .merge(probes);
    let routes = shared(routes, settings, &description).with_state(state);
    let policy = AccessPolicy::new(keys, table.clone(), settings.server.has_tls());
    let routes = routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(policy, check_access));
    finished(guarded(routes, table), node, settings)
}

/// What other nodes send on to this one while it leads: the calls that are the leader's. Whoever reaches it
/// is believed about who calls, so it is served to nodes alone, as a fallback service beside what else nodes
/// ask of one another. `None` where there are no others.
pub fn forwarded_router(state: AppState, settings: &Settings, keys: &ApiKeys) -> Option<Router> {
    let (_, more) = operations().split_for_parts();
    let Work {
        calls,
        table,
        description,
        ..
    } = work(settings, more);
    let node = node(&state, &table, true)?;
    let routes = limited(calls, settings, Some(&node));
    let routes = shared(routes, settings, &description).with_state(state);
    let policy = AccessPolicy::new(keys, table.clone(), false);
    let routes = routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(policy, check_forwarded));
    Some(finished(guarded(routes, table), Some(node), settings))
}

/// The calls that do the work, with those of the faces that are on, and what is known of all calls.
struct Work {
    calls: Router<AppState>,
    probes: Router<AppState>,
    table: Routes,
    description: Value,
}

/// The calls of `settings`, in one description with those of `operations`.
fn work(settings: &Settings, operations: utoipa::openapi::OpenApi) -> Work {
    let (calls, description) = calls().split_for_parts();
    let description = openapi::completed(&description.merge_from(operations));
    let face = settings.gorse.enabled.then(gorse::face).unwrap_or_default();
    let agents = if settings.drp.enabled {
        drp::face(settings)
    } else {
        Default::default()
    };
    let table = Routes::described(&description)
        .with(face.routes)
        .with(agents.routes);
    Work {
        calls: calls.merge(face.calls).merge(agents.calls),
        probes: face.probes,
        table,
        description,
    }
}

/// The node that the server is; `None` where it is the only one.
fn node(state: &AppState, table: &Routes, is_forwarded: bool) -> Option<Node> {
    let membership = Arc::clone(state.membership()?);
    Some(Node::new(membership, table.clone(), is_forwarded))
}

/// What handlers find beside the state.
fn shared(routes: Router<AppState>, settings: &Settings, description: &Value) -> Router<AppState> {
    routes
        .layer(Extension(ApiDescription::new(description)))
        .layer(Extension(settings.interactions))
        .layer(Extension(KnownFeedback::new(&settings.feedback)))
}

/// What is outermost.
fn finished(routes: Router, node: Option<Node>, settings: &Settings) -> Router {
    let routes = match node {
        None => routes,
        Some(node) => routes.layer(naming(&node)),
    };
    if settings.gorse.enabled {
        gorse::around(routes)
    } else {
        routes
    }
}

/// Makes the series whose labels are known beforehand visible, as zero, before the first request.
fn show_labelled_series(table: &Routes) {
    for route in table.iter() {
        let labels = [
            Label::new("method", Arc::clone(&route.method)),
            Label::new("route", Arc::clone(&route.template)),
            Label::new("status", "200"),
        ];
        counter!(HTTP_REQUESTS_TOTAL, labels.iter()).absolute(0);
        let template = Arc::clone(&route.template);
        let _ = histogram!(HTTP_REQUEST_DURATION_SECONDS, "route" => template);
    }
    for outcome in ["sent", "failed", "dropped"] {
        counter!(TRACE_SPANS_TOTAL, "outcome" => outcome).absolute(0);
    }
    for status in ErasureStatus::ALL {
        counter!(ERASURES_TOTAL, "status" => status.as_str()).absolute(0);
    }
    for outcome in ["answered", "not_sent", "unanswered"] {
        counter!(CLUSTER_FORWARDED_TOTAL, "outcome" => outcome).absolute(0);
    }
    for code in ["not_current", "no_leader", "leadership_lost"] {
        counter!(CLUSTER_REFUSED_TOTAL, "code" => code).absolute(0);
    }
    for charge in [Charge::Erasures, Charge::Usual] {
        counter!(HTTP_RATE_LIMITED_TOTAL, "allowance" => charge.as_str()).absolute(0);
    }
}

/// Puts around `routes`, in which somebody decides who is let in, what every request passes, even one that
/// no route takes; the last layer here is the outermost.
fn guarded(routes: Router, table: Routes) -> Router {
    routes
        .layer(CatchPanicLayer::custom(layers::answer_panic))
        .layer(from_fn_with_state(table, layers::observe))
}

/// The calls that do the work.
fn calls() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(ApiDocument::openapi())
        .routes(routes!(recommend::by_query))
        .routes(routes!(recommend::by_body))
        .routes(routes!(similar::by_query, similar::by_body))
        .routes(routes!(lists::popular, lists::popular_by_body))
        .routes(routes!(lists::trending, lists::trending_by_body))
        .routes(routes!(lists::latest, lists::latest_by_body))
        .routes(routes!(items::page, items::describe))
        .routes(routes!(item::get, item::put, item::patch, item::delete))
        .routes(routes!(users::page))
        .routes(routes!(user::get, user::put))
        .routes(routes!(restrictions::put, restrictions::delete))
        .routes(routes!(restrictions::create))
        .routes(routes!(restrictions::lift))
        .routes(routes!(interactions::add))
        .routes(routes!(erase_interactions::erase))
        .routes(routes!(erasures::create))
        .routes(routes!(erasures::page))
        .routes(routes!(erasures::one))
        .routes(routes!(receipt::receipt))
        .routes(routes!(receipt_log::inclusion))
        .routes(routes!(receipt_log::checkpoint))
        .routes(routes!(receipt_log::consistency))
        .routes(routes!(receipt_log::settlements))
        .routes(routes!(export::by_query))
        .routes(routes!(export::by_body))
        .routes(routes!(model::model))
        .routes(routes!(webhooks::webhooks))
}

/// The calls of those who run the service. They are never turned away for load: whoever asks
/// whether the service is alive must hear it most of all when it is busy.
fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(cluster::cluster))
        .routes(routes!(key_set::key_set))
        .routes(routes!(openapi::document))
        .routes(routes!(docs::entry))
        .routes(routes!(console::console))
        .merge(console::files())
        .merge(docs::files())
}

/// Puts the limits of `settings` around `calls`; the first layer here is the outermost. What is the leader's
/// waits for it, and for its answer, without a place among those that are worked on here.
fn limited(calls: Router<AppState>, settings: &Settings, node: Option<&Node>) -> Router<AppState> {
    let server = &settings.server;
    let at_once = usize::try_from(server.concurrency_max).unwrap_or(usize::MAX);
    let budget = BodyBudget::new(server);
    let timed = ServiceBuilder::new()
        .layer(from_fn_with_state(
            server.request_timeout(),
            layers::limit_time,
        ))
        .layer(from_fn_with_state(budget, buffer_body));
    let worked_on = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(layers::answer_shed))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(at_once))
        .layer(DefaultBodyLimit::disable());
    match node {
        None => calls.layer(timed.layer(worked_on)),
        Some(node) => {
            let at_node = from_fn_with_state(node.clone(), answer_or_forward);
            calls.layer(timed.layer(at_node).layer(worked_on))
        }
    }
}

async fn not_found() -> Problem {
    Problem::new(
        &ROUTE_NOT_FOUND,
        "see /openapi.json for the calls there are",
    )
}

async fn method_not_allowed() -> Problem {
    let detail = "the header Allow of this answer names the methods there are";
    Problem::new(&METHOD_NOT_ALLOWED, detail)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use serde_json::json;
    use tower::ServiceExt;
    use tracing::instrument::WithSubscriber;

    use super::*;
    use crate::config::Role;
    use crate::http::answered_by::ANSWERED_BY;
    use crate::http::probes::PROBES;

    /// Collects log lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
        }
    }

    async fn panic() -> StatusCode {
        panic!("a handler's mistake")
    }

    /// The status of the answer to a GET of `target`, and all that was logged meanwhile.
    async fn call(target: &str) -> (StatusCode, String) {
        let routes = Router::new()
            .route("/recommend", get(|| async { StatusCode::OK }))
            .route("/similar", get(panic));
        let request = Request::get(target)
            .header("host", "localhost")
            .header("x-request-id", "needle")
            .header("user-agent", "needle")
            .body(Body::empty())
            .expect("a good request");
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let table = Routes::described(&description());
        let answer = guarded(routes, table).oneshot(request);
        let answer = answer.with_subscriber(subscriber).await;
        let answer = answer.expect("a router never fails");
        (answer.status(), lines.text())
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_the_log_says_where() {
        let (status, log) = call("/similar?item=needle").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(log.contains("a handler panicked"), "{log}");
        assert!(log.contains(r#""route":"/similar""#), "{log}");
        assert!(!log.contains("needle"), "{log}");
    }

    #[tokio::test]
    async fn the_log_knows_templates_and_no_request() {
        for (target, route) in [
            ("/recommend?user=needle", "/recommend"),
            ("/needle/recommend", "other"),
        ] {
            let (_, log) = call(target).await;
            assert!(log.contains(&format!(r#""route":"{route}""#)), "{log}");
            assert!(log.contains("latency_ms"), "{log}");
            assert!(!log.contains("needle"), "{log}");
        }
    }

    fn description() -> Value {
        let (_, description) = calls().split_for_parts();
        let (_, more) = operations().split_for_parts();
        openapi::completed(&description.merge_from(more))
    }

    #[test]
    fn every_call_says_who_may_make_it() {
        let description = description();
        let mut count = 0;
        for (path, method, operation) in openapi::operations(&description) {
            let needed = operation["security"].as_array();
            let [needed] = needed.map(Vec::as_slice).unwrap_or_default() else {
                panic!("{method} {path}: one line of security, `()` when it is open")
            };
            let role = &needed["api_key"][0];
            let known = serde_json::from_value::<Role>(role.clone()).is_ok();
            assert!(known || needed == &json!({}), "{method} {path}: {role}");
            let text = operation["description"].as_str().unwrap_or_default();
            let said = role.as_str().map(|role| format!("`{role}`"));
            assert!(
                said.is_none_or(|role| text.contains(&role)),
                "{method} {path}"
            );
            count += 1;
        }
        assert!(count > 15, "{count}");
    }

    #[test]
    fn every_call_says_which_of_several_nodes_answers_it() {
        let (_, described) = calls().split_for_parts();
        let described = openapi::completed(&described);
        let (_, more) = operations().split_for_parts();
        let more = openapi::completed(&more);
        let of_calls = openapi::operations(&described);
        for (path, method, operation) in of_calls {
            let said = operation[ANSWERED_BY].as_str();
            let known = [
                "current",
                "current-unless-certified",
                "leader",
                "leader-writes",
            ];
            assert!(
                said.is_some_and(|said| known.contains(&said)),
                "{method} {path}: {said:?}"
            );
            assert!(method != "get" || said != Some("leader-writes"), "{path}");
        }
        // Nobody sends those on, nor turns them away.
        for (path, method, operation) in openapi::operations(&more) {
            assert_eq!(operation[ANSWERED_BY], "any", "{method} {path}");
        }
    }

    #[test]
    fn every_call_may_end_in_a_problem() {
        let description = description();
        for (path, method, operation) in openapi::operations(&description) {
            let guarded = operation["security"][0] != json!({});
            let limited = (!PROBES.contains(&path)).then_some("429");
            let always = ["4XX", "5XX"].into_iter().chain(limited);
            for status in always.chain(["401", "403"].into_iter().filter(|_| guarded)) {
                let content = &operation["responses"][status]["content"];
                let schema = &content["application/problem+json"]["schema"];
                assert!(schema.is_object(), "{method} {path}: {status}");
            }
        }
    }
}
