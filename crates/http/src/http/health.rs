//! `GET /healthz` and `GET /readyz`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::membership::{Standing, Why};
use super::problem::{NOT_CURRENT, Problem, ProblemBody, STARTING, WORKER_STOPPED};
use super::state::AppState;
use recant_service::Service;

/// Seconds after which to ask again.
const RETRY_SECONDS: u64 = 1;

/// What a server says that takes requests.
const READY: &str = "ready";

/// A word on how it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthAnswer {
    /// `alive` or `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Of `/readyz`, where there are several nodes: what this one does, `leader`, `candidate` or `replica`.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    /// The term that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    /// The version of the model that its readers see.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Entries of the log that it has not applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries_behind: Option<u64>,
}

impl HealthAnswer {
    fn new(status: &'static str) -> Self {
        Self {
            status,
            role: None,
            node: None,
            term: None,
            version: None,
            entries_behind: None,
        }
    }

    fn of_node(standing: Standing, version: u64) -> Self {
        Self {
            role: Some(standing.role.as_str()),
            node: Some(standing.node),
            term: Some(standing.term),
            version: Some(version),
            entries_behind: Some(standing.entries_behind),
            ..Self::new(READY)
        }
    }
}

/// Says that the process answers and that what learns, forgets and writes goes on: restart it when there is
/// no answer, or another one than 200.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses(
        (status = 200, description = "It is alive", body = HealthAnswer),
        (status = 503, description = "It neither learns nor forgets any more: restart it", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(()),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn alive(State(state): State<AppState>) -> Result<Json<HealthAnswer>, Problem> {
    if let Ok(service) = state.service() {
        check_working(service)?;
    }
    Ok(Json(HealthAnswer::new("alive")))
}

/// Says whether there is a live model and the store takes writes: send requests only then. A node among
/// several says how it stands, and when it takes no requests, `why`: `starting`, `catching_up`,
/// `not_current`, `log_unreachable`, `log_went_back`, `log_not_synced`, `cannot_apply`, `removed`, `replaced` or
/// `differs`.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It is ready", body = HealthAnswer),
        (status = 503, description = "It is not", body = ProblemBody, content_type = "application/problem+json"),
    ),
    security(()),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn ready(State(state): State<AppState>) -> Result<Json<HealthAnswer>, Problem> {
    let Some(membership) = state.membership() else {
        check_ready(state.service()?)?;
        return Ok(Json(HealthAnswer::new(READY)));
    };
    let starting = |problem: Problem| problem.because(Why::Starting.as_str());
    let service = state.service().map_err(starting)?;
    check_working(service)?;
    let standing = membership.standing();
    let lapsed = (!membership.may_answer()).then_some(Why::NotCurrent);
    if let Some(why) = standing.why.or(lapsed) {
        return Err(not_ready(why));
    }
    check_ready(service).map_err(starting)?;
    Ok(Json(HealthAnswer::of_node(
        standing,
        service.model().version,
    )))
}

/// The answer of a node that takes no requests.
fn not_ready(why: Why) -> Problem {
    let kind = match why {
        Why::Starting => &STARTING,
        _ => &NOT_CURRENT,
    };
    let problem = Problem::new(kind, why.detail());
    problem
        .because(why.as_str())
        .retry_after_seconds(RETRY_SECONDS)
}

/// Refuses while requests cannot be taken.
fn check_ready(service: &Service) -> Result<(), Problem> {
    check_working(service)?;
    if service.is_ready() {
        return Ok(());
    }
    let detail = "there is no live model yet, or the store takes no writes: ask again";
    Err(Problem::new(&STARTING, detail).retry_after_seconds(RETRY_SECONDS))
}

/// Refuses once nothing is learnt, forgotten or written any more.
fn check_working(service: &Service) -> Result<(), Problem> {
    if service.is_working() {
        return Ok(());
    }
    let detail = if service.has_open_store() {
        "restart the process, and look at its log: the worker failed again and again"
    } else {
        "restart the process, and look at its log and at its disk: the store closed by itself"
    };
    Err(Problem::new(&WORKER_STOPPED, detail))
}
