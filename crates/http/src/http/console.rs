//! `GET /`: the console, for those who run the service and those who answer for its erasures. It is
//! hand-written, inside the binary, and talks to this server alone.

use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Problem, ROUTE_NOT_FOUND};
use super::state::AppState;

/// Scripts, styles and calls are this server's; nothing is written into the page, and it is framed
/// nowhere and sends no forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The template of [`files`], which are parts of `/` and not described as calls of their own.
pub(super) const FILES: [&str; 1] = ["/console/{file}"];

/// A file of the console: its name, its type, its text.
type File = (&'static str, &'static str, &'static str);

static PAGE: File = ("index.html", HTML, include_str!("console/index.html"));

macro_rules! scripts {
    ($($name:literal)*) => { [$(($name, SCRIPT, include_str!(concat!("console/", $name)))),*] };
}

static SCRIPTS: [File; 27] = scripts![
    "access.js"
    "api.js"
    "cases.js"
    "catalogue.js"
    "check.js"
    "desk.js"
    "dom.js"
    "erasures.js"
    "held.js"
    "inclusion.js"
    "main.js"
    "names.js"
    "nodes.js"
    "overview.js"
    "plot.js"
    "poll.js"
    "problem.js"
    "progress.js"
    "prometheus.js"
    "receipt.js"
    "recommendations.js"
    "report.js"
    "timeline.js"
    "watch.js"
    "webhooks.js"
    "words.js"
    "zip.js"
];

static STYLES: [File; 1] = [("console.css", STYLE, include_str!("console/console.css"))];

/// Shows the console. It says what the service does and lets those with the right key ask for erasures,
/// follow them and check their receipts.
#[utoipa::path(
    get,
    path = "/",
    tag = "operations",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
    security(()),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn console(headers: HeaderMap) -> Response {
    answer(&PAGE, &headers)
}

/// What the page loads.
pub(super) fn files() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().route(
        FILES[0],
        get(|Path(name): Path<String>, headers: HeaderMap| async move { part(&name, &headers) }),
    )
}

fn part(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let mut parts = SCRIPTS.iter().chain(&STYLES);
    let file = parts.find(|(known, ..)| *known == name);
    let file = file.ok_or_else(|| Problem::new(&ROUTE_NOT_FOUND, "the page is at /"))?;
    Ok(answer(file, headers))
}

/// A file, or only that it is the one the browser has. Browsers ask each time: a page of one version of
/// the program never runs the scripts of another.
fn answer((_, content_type, text): &File, asked: &HeaderMap) -> Response {
    let tag = tag(text);
    let has_it = asked.get_all(IF_NONE_MATCH).iter().any(|known| {
        let known = known.to_str().unwrap_or_default().split(',');
        let mut known = known.map(|known| known.trim().trim_start_matches("W/"));
        known.any(|known| known == tag || known == "*")
    });
    let headers = [
        (ETAG, tag.as_str()),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    if has_it {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, *content_type)], *text).into_response()
}

/// Names the content of a file.
fn tag(text: &str) -> String {
    format!("\"{:x}\"", Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::HeaderValue;

    use super::*;

    fn named() -> BTreeSet<&'static str> {
        let parts = SCRIPTS.iter().chain(&STYLES);
        parts.map(|(name, ..)| *name).collect()
    }

    /// The names of parts that `text` refers to between `start` and a quotation mark.
    fn referred<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
        let rest = text.split(start).skip(1);
        rest.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn the_page_and_its_scripts_refer_to_all_parts_and_no_other() {
        let (_, _, page) = PAGE;
        let mut found = referred(page, "\"console/");
        for (_, _, script) in &SCRIPTS {
            found.extend(referred(script, "from \"./"));
        }
        assert_eq!(found, named());
    }

    #[test]
    fn nothing_is_inline_and_nothing_is_elsewhere() {
        let (_, _, page) = PAGE;
        for mark in ["<style", " style=", " onclick=", "<script>", "javascript:"] {
            assert!(!page.contains(mark), "{mark}");
        }
        for (name, _, text) in [PAGE].iter().chain(&SCRIPTS).chain(&STYLES) {
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("://"), "{name}");
            for mark in ["innerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(mark), "{name}: {mark}");
            }
        }
    }

    #[test]
    fn a_browser_that_has_a_file_is_not_sent_it() {
        let (_, _, page) = PAGE;
        let status = |known: &str| {
            let known = HeaderValue::try_from(known).expect("a header value");
            answer(&PAGE, &HeaderMap::from_iter([(IF_NONE_MATCH, known)])).status()
        };
        let tag = tag(page);
        for known in [&tag, &format!("\"a\", W/{tag}"), "*"] {
            assert_eq!(status(known), StatusCode::NOT_MODIFIED, "{known}");
        }
        for other in ["\"a\"", "", tag.trim_matches('"')] {
            assert_eq!(status(other), StatusCode::OK, "{other}");
        }
    }
}
