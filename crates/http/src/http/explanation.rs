//! What is proven about a list of recommendations, as it is answered.

use serde::Serialize;
use utoipa::ToSchema;

use recant_service::Explanation;
use recant_types::Certificate;

/// What is proven about this list: how far its scores can be from those of the model that a
/// retrain on the same data converges to, and whether that model gives the same items.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct ExplanationAnswer {
    /// The certificate of exactly the version that answered; null when it has none.
    #[schema(value_type = Option<Object>)]
    certificate: Option<Certificate>,
    /// The version of the last certificate there is.
    #[schema(example = 42)]
    certificate_version: Option<u64>,
    /// No score of this user is farther from its retrained value than this.
    #[schema(example = 0.0021)]
    score_bound: Option<f64>,
    /// How far the list's least score, or that of the pool, is above that of the best candidate outside
    /// it; what is pinned is neither.
    #[schema(example = 0.0154)]
    margin: Option<f64>,
    /// The margin above which the set of items is proven.
    #[schema(example = 0.003)]
    margin_needed: Option<f64>,
    /// Whether the retrained model provably gives the same set of items.
    top_k_proven: bool,
    /// So many items at the head of the list are provably the retrained model's, in some order.
    #[schema(example = 10)]
    leading_set_proven: usize,
    /// So many items at the head of the list are provably the retrained model's, in this order.
    #[schema(example = 4)]
    leading_positions_proven: usize,
    /// Of how many of the best, by their scores, diversity made the list; absent without diversity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 400)]
    pool_size: Option<usize>,
    /// Whether the retrained model provably chooses from the same pool; absent without diversity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool_proven: Option<bool>,
    /// What decided it.
    #[schema(example = "the margin is more than the certified bound can move two scores apart")]
    reason: &'static str,
}

impl From<Explanation> for ExplanationAnswer {
    fn from(explanation: Explanation) -> Self {
        Self {
            certificate: explanation.certificate,
            certificate_version: explanation.certificate_version,
            score_bound: explanation.score_bound,
            margin: explanation.margin,
            margin_needed: explanation.margin_needed,
            top_k_proven: explanation.top_k_proven,
            leading_set_proven: explanation.leading_set_proven,
            leading_positions_proven: explanation.leading_positions_proven,
            pool_size: explanation.pool.map(|pool| pool.size),
            pool_proven: explanation.pool.map(|pool| pool.proven),
            reason: explanation.reason.sentence(),
        }
    }
}
