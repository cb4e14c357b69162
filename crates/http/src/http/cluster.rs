//! `GET /cluster`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::membership::{NodeStanding, Standing, Why};
use super::parameters::Parameters;
use super::problem::Problem;
use super::state::AppState;

/// What a server that is the only one says of its role.
const SINGLE: &str = "single";

/// How a node stands among others.
#[derive(Serialize, ToSchema)]
#[schema(as = Cluster)]
pub(super) struct ClusterAnswer {
    /// What this node does: `leader`, `candidate`, `replica`, or `single` where there are no others.
    #[schema(example = "leader")]
    role: &'static str,
    /// Its name; null where there are no others.
    #[schema(example = "n1")]
    node: Option<String>,
    /// The term that it is in; it grows when another node leads.
    #[schema(example = 7)]
    term: Option<u64>,
    /// Entries of the log that it has not applied.
    #[schema(example = 0)]
    entries_behind: Option<u64>,
    /// Why it takes no requests; null when it takes them. `starting`, `catching_up`, `not_current`,
    /// `log_unreachable`, `log_went_back`, `log_not_synced`, `cannot_apply`, `removed`, `replaced` or `differs`.
    why: Option<&'static str>,
    /// All nodes that it knows of, by their names. The leader knows best.
    nodes: Vec<ClusterNodeAnswer>,
}

/// A node, as far as the one that was asked knows.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterNode)]
struct ClusterNodeAnswer {
    /// Its name.
    #[schema(example = "n1")]
    node: String,
    /// `leader`, `candidate` or `replica`.
    #[schema(example = "leader")]
    role: &'static str,
    /// `current` when it answers readers, `out` when it is away, `owing` when it is away and has still to
    /// erase what was acknowledged meanwhile.
    #[schema(example = "current")]
    state: &'static str,
    /// The number of the last entry of the log that it has applied.
    #[schema(example = 41_203)]
    applied: u64,
    /// The version of the model that its readers see.
    #[schema(example = 42)]
    version: Option<u64>,
    /// The term that this version is of.
    #[schema(example = 7)]
    version_term: Option<u64>,
    /// How long it may answer readers without being heard again.
    #[schema(example = 14.6)]
    lease_remaining_seconds: Option<f64>,
}

impl ClusterAnswer {
    fn single() -> Self {
        Self {
            role: SINGLE,
            node: None,
            term: None,
            entries_behind: None,
            why: None,
            nodes: Vec::new(),
        }
    }
}

impl From<Standing> for ClusterAnswer {
    fn from(mut standing: Standing) -> Self {
        standing.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        Self {
            role: standing.role.as_str(),
            node: Some(standing.node),
            term: Some(standing.term),
            entries_behind: Some(standing.entries_behind),
            why: standing.why.map(Why::as_str),
            nodes: standing.nodes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<NodeStanding> for ClusterNodeAnswer {
    fn from(known: NodeStanding) -> Self {
        Self {
            node: known.node,
            role: known.role.as_str(),
            state: known.state.as_str(),
            applied: known.applied,
            version: known.version.map(|(_, number)| number),
            version_term: known.version.map(|(term, _)| term),
            lease_remaining_seconds: known.lease_remaining.map(|left| left.as_secs_f64()),
        }
    }
}

/// Says how this node stands among those that serve the same model, and what it knows of the others. A server
/// that is the only one says so.
#[utoipa::path(
    get,
    path = "/cluster",
    tag = "operations",
    responses((status = 200, description = "As this node knows it", body = ClusterAnswer)),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("any"))),
)]
pub(super) async fn cluster(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<ClusterAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let membership = state.membership();
    let answer = membership.map(|membership| membership.standing().into());
    Ok(Json(answer.unwrap_or_else(ClusterAnswer::single)))
}
