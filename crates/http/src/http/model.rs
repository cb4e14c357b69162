//! `GET /model`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::membership::Standing;
use super::parameters::Parameters;
use super::problem::Problem;
use super::state::AppState;
use recant_service::{CertifiedSummary, ModelSummary};
use recant_types::{Certificate, ModelConfiguration};

/// The live model.
#[derive(Serialize, ToSchema)]
#[schema(as = Model)]
pub(super) struct ModelAnswer {
    /// Its version; it grows with every swap.
    #[schema(example = 42)]
    version: u64,
    /// `ials`, `neumf` or `lightgcn`.
    #[schema(example = "ials")]
    kind: &'static str,
    /// Number of latent dimensions; of a neural model, parameters of one item.
    #[schema(example = 64)]
    dim: usize,
    /// Users with at least one interaction.
    users: usize,
    /// Items with at least one interaction.
    items: usize,
    /// User-item pairs stored.
    interactions: usize,
    /// What the model was trained with: of implicit ALS dim, alpha0, lambda, nu and seed; of a neural
    /// model its numbers, by their names in the configuration, and seed.
    #[schema(value_type = Object, example = json!({"dim": 64, "alpha0": 0.3, "lambda": 0.02, "nu": 1.0, "seed": 1}))]
    hyper_parameters: AnyHyperparametersAnswer,
    /// The objective at the last measurement.
    objective: Option<f64>,
    /// The relative gradient residual at the last measurement.
    residual: Option<f64>,
    /// The version that objective and residual were measured at.
    measured_version: Option<u64>,
    /// The certificate of that version, whether it holds or not.
    #[schema(value_type = Option<Object>)]
    certificate: Option<Certificate>,
    /// Where the last certificate that held was given; null before the first.
    certified: Option<CertifiedAnswer>,
    /// Where there are several nodes: the term that the version is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    /// Where there are several nodes: the one whose readers see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

impl ModelAnswer {
    /// The same, of a node among several.
    fn at(mut self, standing: Standing) -> Self {
        let mut nodes = standing.nodes.iter();
        let own = nodes.find(|known| known.node == standing.node);
        let version = own.and_then(|own| own.version);
        self.term = Some(version.map_or(standing.term, |(term, _)| term));
        self.node = Some(standing.node);
        self
    }
}

/// Where the last certificate that held was given, and what happened since.
#[derive(Serialize, ToSchema)]
#[schema(as = LastCertificate)]
pub(super) struct CertifiedAnswer {
    /// The version it is of; every later one descends from it.
    #[schema(example = 41)]
    version: u64,
    /// The position of the log whose data it is of.
    position: u64,
    /// When it was given.
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    at: String,
    /// How long ago that is.
    age_seconds: f64,
    /// Entries of the log since that position; 0 says that it is of the data as they are now.
    events_since: u64,
}

impl From<CertifiedSummary> for CertifiedAnswer {
    fn from(summary: CertifiedSummary) -> Self {
        Self {
            version: summary.version,
            position: summary.position,
            at: summary.at.to_rfc3339(),
            age_seconds: summary.age_seconds,
            events_since: summary.events_since,
        }
    }
}

/// Hyper-parameters, by the kind of model.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum AnyHyperparametersAnswer {
    /// Those of implicit ALS.
    Ials(HyperparametersAnswer),
    /// Those of a neural model, by their names in the configuration, and the seed.
    Neural(Value),
}

/// The numbers that define the objective of implicit ALS.
#[derive(Serialize)]
pub(super) struct HyperparametersAnswer {
    /// Number of latent dimensions.
    dim: usize,
    /// Weight of every pair, observed or not.
    alpha0: f64,
    /// Regularisation strength.
    lambda: f64,
    /// Exponent of its scaling with frequency.
    nu: f64,
    /// Seed of the initial factors.
    seed: u64,
}

impl AnyHyperparametersAnswer {
    fn new(model: &ModelConfiguration, seed: u64) -> Self {
        match model {
            ModelConfiguration::Ials(hyper) => Self::Ials(HyperparametersAnswer {
                dim: hyper.dim,
                alpha0: hyper.alpha0,
                lambda: hyper.lambda,
                nu: hyper.nu,
                seed,
            }),
            ModelConfiguration::Neural(specification) => {
                let mut numbers = serde_json::to_value(specification).unwrap_or_default();
                if let Some(numbers) = numbers.as_object_mut() {
                    numbers.remove("kind");
                    numbers.insert(String::from("seed"), seed.into());
                }
                Self::Neural(numbers)
            }
        }
    }
}

impl From<ModelSummary> for ModelAnswer {
    fn from(summary: ModelSummary) -> Self {
        Self {
            version: summary.version,
            kind: summary.model.kind(),
            dim: summary.dim,
            users: summary.users,
            items: summary.items,
            interactions: summary.interactions,
            hyper_parameters: AnyHyperparametersAnswer::new(&summary.model, summary.seed),
            objective: summary.objective,
            residual: summary.residual,
            measured_version: summary.measured_version,
            certificate: summary.certificate,
            certified: summary.certified.map(CertifiedAnswer::from),
            term: None,
            node: None,
        }
    }
}

/// Describes the live model.
#[utoipa::path(
    get,
    path = "/model",
    tag = "operations",
    responses(
        (status = 200, description = "The live model", body = ModelAnswer),
    ),
    security(("api_key" = ["read"])),
    extensions(("x-answered-by" = json!("current"))),
)]
pub(super) async fn model(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
) -> Result<Json<ModelAnswer>, Problem> {
    Parameters::refuse(query.as_deref())?;
    let answer = ModelAnswer::from(state.service()?.model());
    Ok(Json(match state.membership() {
        None => answer,
        Some(membership) => answer.at(membership.standing()),
    }))
}
