//! Puts the routes and the layers together. A new route is a file, which says its path, method,
//! role and description, and a line here.

use std::sync::Arc;

use ::metrics::{Label, counter, histogram};
use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{AccessPolicy, check_access};
use super::body_buffer::{BodyBudget, buffer_body};
use super::known_feedback::KnownFeedback;
use super::metric_names::{
    HTTP_RATE_LIMITED_TOTAL, HTTP_REQUEST_DURATION_SECONDS, HTTP_REQUESTS_TOTAL, TRACE_SPANS_TOTAL,
};
use super::openapi::{ApiDescription, ApiDocument};
use super::problem::{METHOD_NOT_ALLOWED, Problem, ROUTE_NOT_FOUND};
use super::routes::Routes;
use super::state::AppState;
use super::{
    console, docs, drp, erase_interactions, erasures, export, gorse, health, interactions, item,
    items, key_set, layers, lists, metrics, model, openapi, receipt, receipt_log, recommend,
    similar, user, users, webhooks,
};
use crate::api_keys::{ApiKeys, Charge};
use crate::config::Settings;
use recant_service::metric_names::ERASURES_TOTAL;
use recant_types::ErasureStatus;

/// The whole interface, ready to be served to whoever has one of `keys`.
pub fn router(state: AppState, settings: &Settings, keys: &ApiKeys) -> Router {
    let (calls, description) = calls().split_for_parts();
    let (operations, more) = operations().split_for_parts();
    let description = openapi::completed(&description.merge_from(more));
    let face = settings.gorse.enabled.then(gorse::face).unwrap_or_default();
    let agents = if settings.drp.enabled {
        drp::face(&settings.drp)
    } else {
        Default::default()
    };
    let table = Routes::described(&description)
        .with(face.routes)
        .with(agents.routes);
    show_labelled_series(&table);
    let routes = limited(calls.merge(face.calls).merge(agents.calls), settings)
        .merge(operations)
        .merge(face.probes)
        .with_state(state)
        .layer(Extension(ApiDescription::new(&description)))
        .layer(Extension(settings.interactions))
        .layer(Extension(KnownFeedback::new(&settings.feedback)));
    let routes = guarded(routes, table, settings, keys);
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
    for charge in [Charge::Erasures, Charge::Usual] {
        counter!(HTTP_RATE_LIMITED_TOTAL, "allowance" => charge.as_str()).absolute(0);
    }
}

/// Puts around `routes` what every request passes, even one that no route takes; the last layer
/// here is the outermost.
fn guarded(routes: Router, table: Routes, settings: &Settings, keys: &ApiKeys) -> Router {
    let policy = AccessPolicy::new(keys, table.clone(), settings.server.has_tls());
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(policy, check_access))
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
        .routes(routes!(interactions::add))
        .routes(routes!(erase_interactions::erase))
        .routes(routes!(erasures::create))
        .routes(routes!(erasures::page))
        .routes(routes!(erasures::one))
        .routes(routes!(receipt::receipt))
        .routes(routes!(receipt_log::inclusion))
        .routes(routes!(receipt_log::checkpoint))
        .routes(routes!(receipt_log::consistency))
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
        .routes(routes!(key_set::key_set))
        .routes(routes!(openapi::document))
        .routes(routes!(docs::entry))
        .routes(routes!(console::console))
        .merge(console::files())
        .merge(docs::files())
}

/// Puts the limits of `settings` around `calls`; the first layer here is the outermost.
fn limited(calls: Router<AppState>, settings: &Settings) -> Router<AppState> {
    let server = &settings.server;
    let at_once = usize::try_from(server.concurrency_max).unwrap_or(usize::MAX);
    let budget = BodyBudget::new(server);
    calls.layer(
        ServiceBuilder::new()
            .layer(from_fn_with_state(
                server.request_timeout(),
                layers::limit_time,
            ))
            .layer(from_fn_with_state(budget, buffer_body))
            .layer(HandleErrorLayer::new(layers::answer_shed))
            .load_shed()
            .layer(GlobalConcurrencyLimitLayer::new(at_once))
            .layer(DefaultBodyLimit::disable()),
    )
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
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use tracing::instrument::WithSubscriber;

    use super::*;
    use crate::config::Role;
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
        let answer = guarded(
            routes,
            Routes::described(&description()),
            &Settings::default(),
            &ApiKeys::open(&Settings::default()).expect("no file"),
        )
        .oneshot(request);
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
