//! `GET /docs`: the description, browsable. Everything the page needs is inside the binary.

use axum::extract::Path;
use axum::response::Redirect;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;

use self::page::file;
use super::state::AppState;

/// Leads to the page that shows all calls and lets one try them.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "operations",
    responses((status = 308, description = "The page is at /docs/")),
    security(()),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn entry() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The templates of [`files`], which are parts of `/docs` and not described as calls of their own.
pub(super) const FILES: [&str; 2] = ["/docs/", "/docs/{file}"];

/// The page and its parts.
pub(super) fn files() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .route(FILES[0], get(|| async { file("index.html") }))
        .route(
            FILES[1],
            get(|Path(name): Path<String>| async move { file(&name) }),
        )
}

#[cfg(feature = "api-page")]
mod page {
    use std::sync::{Arc, LazyLock};

    use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
    use axum::response::{IntoResponse, Response};
    use utoipa_swagger_ui::{Config, SwaggerFile};

    use crate::http::problem::{INTERNAL, Problem, ROUTE_NOT_FOUND};

    /// The page runs its own scripts, has styles written by them, and draws small pictures; it talks
    /// to this server and to no other.
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                          img-src 'self' data:; font-src 'self'; connect-src 'self'; \
                          frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

    /// Unless told otherwise the page sends the description to a validator on the internet.
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        let config = Config::from("/openapi.json").validator_url("none");
        Arc::new(config.use_base_layout().try_it_out_enabled(true))
    });

    pub(super) fn file(name: &str) -> Result<Response, Problem> {
        match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
            Ok(Some(file)) => Ok(answer(file)),
            Ok(None) => Err(Problem::new(&ROUTE_NOT_FOUND, "the page is at /docs/")),
            Err(_) => Err(Problem::new(
                &INTERNAL,
                "the page could not be put together",
            )),
        }
    }

    fn answer(file: SwaggerFile<'static>) -> Response {
        let headers = [
            (CONTENT_TYPE, file.content_type),
            (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        ];
        let encoding = file.gzpipped.then_some([(CONTENT_ENCODING, "gzip")]);
        match encoding {
            Some(encoding) => (headers, encoding, file.bytes).into_response(),
            None => (headers, file.bytes).into_response(),
        }
    }
}

/// What is there in a program that was built without the page.
#[cfg(not(feature = "api-page"))]
mod page {
    use crate::http::problem::{Problem, ROUTE_NOT_FOUND};

    pub(super) fn file(_: &str) -> Result<(), Problem> {
        let detail = "this program was built without the page: see /openapi.json";
        Err(Problem::new(&ROUTE_NOT_FOUND, detail))
    }
}
