//! Puts the routes and the layers together.

use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{AccessPolicy, check_access};
use super::openapi::{ApiDescription, ApiDocument};
use super::problem::{METHOD_NOT_ALLOWED, Problem, ROUTE_NOT_FOUND};
use super::state::AppState;
use super::{
    docs, erase_interactions, erasures, export, health, index, interactions, key_set, layers,
    metrics, model, openapi, receipt, recommend, similar,
};
use crate::config::Settings;

/// The whole interface, ready to be served.
pub fn router(state: AppState, settings: &Settings) -> Router {
    metrics::show_labelled_series();
    let (calls, description) = calls().split_for_parts();
    let (operations, more) = operations().split_for_parts();
    let description = ApiDescription::new(description.merge_from(more));
    let routes = limited(calls, settings)
        .merge(operations)
        .with_state(state)
        .layer(Extension(description))
        .layer(Extension(settings.interactions));
    guarded(routes, settings)
}

/// Puts around `routes` what every request passes, even one that no route takes; the last layer
/// here is the outermost.
fn guarded(routes: Router, settings: &Settings) -> Router {
    let policy = AccessPolicy::new(&settings.access);
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(policy, check_access))
        .layer(CatchPanicLayer::custom(layers::answer_panic))
        .layer(from_fn(layers::observe))
}

/// The calls that do the work.
fn calls() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(ApiDocument::openapi())
        .routes(routes!(recommend::by_query))
        .routes(routes!(recommend::by_body))
        .routes(routes!(similar::similar))
        .routes(routes!(interactions::add))
        .routes(routes!(erase_interactions::erase))
        .routes(routes!(erasures::create))
        .routes(routes!(erasures::page))
        .routes(routes!(erasures::one))
        .routes(routes!(receipt::receipt))
        .routes(routes!(export::export))
        .routes(routes!(model::model))
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
        .routes(routes!(index::index))
        .merge(docs::files())
}

/// Puts the limits of `settings` around `calls`; the first layer here is the outermost.
fn limited(calls: Router<AppState>, settings: &Settings) -> Router<AppState> {
    let server = &settings.server;
    let at_once = usize::try_from(server.concurrency_max).unwrap_or(usize::MAX);
    let body_bytes = usize::try_from(server.body_bytes_max).unwrap_or(usize::MAX);
    calls.layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(layers::answer_shed))
            .load_shed()
            .layer(GlobalConcurrencyLimitLayer::new(at_once))
            .layer(from_fn_with_state(
                server.request_timeout(),
                layers::limit_time,
            ))
            .layer(RequestBodyLimitLayer::new(body_bytes))
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
    use std::collections::BTreeSet;
    use std::io;
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use tower::ServiceExt;
    use tracing::instrument::WithSubscriber;

    use super::super::routes::ROUTES;
    use super::*;

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
        let answer = guarded(routes, &Settings::default()).oneshot(request);
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

    #[test]
    fn the_table_of_routes_covers_every_described_call() {
        let mut described = BTreeSet::new();
        for router in [calls(), operations()] {
            for (path, item) in router.into_openapi().paths.paths {
                let item = serde_json::to_value(item).expect("plain data");
                let methods = item.as_object().expect("an object").keys();
                described.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
            }
        }
        let table = ROUTES.iter().filter(|route| {
            // The files of the documentation page are parts of /docs.
            !route.template.starts_with("/docs/")
        });
        let table = table.map(|route| (route.method.to_owned(), route.template.to_owned()));
        assert_eq!(described, table.collect());
    }
}
