//! How far a model is from the minimiser, without knowing the minimiser: a duality gap.
//!
//! In `X = PQᵀ` the objective is convex: `F(X) = f(X) + 2‖Λ_u^{1/2} X Λ_i^{1/2}‖_*` with
//! `f(X) = Σ_S c(x−1)² + α₀ Σ x²`, because the weighted nuclear norm is the least
//! `Σλ_u‖p_u‖² + Σλ_i‖q_i‖²` over all factorisations of X (Srebro, Rennie & Jaakkola 2005;
//! Haeffele & Vidal 2015). `f` is 2α₀-strongly convex, so the minimiser X* is unique and
//! `α₀‖X − X*‖_F² ≤ F(X) − F(X*) ≤ L(P,Q) − D` for every dual value D (Fenchel duality:
//! `D = −f*(Y)` for any Y with `σ_max(Λ_u^{-1/2} Y Λ_i^{-1/2}) ≤ 2`).
//!
//! The dual point starts from `G = ∇f(X)`. Write `G̃` for its scaled form and take orthonormal U, V
//! that hold the factors' column spaces and whatever else lies near the top of the spectrum.
//! Within them, singular values above 2 are cut to 2 exactly (a matrix E of low rank); outside,
//! the complement's largest singular value c is bounded by Lanczos; the coupling blocks have
//! measured norms r, r', one pair for all directions at the limit and one for each of the others.
//! The norm of the whole is at most that of the arrow matrix of these norms, which is
//! `2 + O(r r')` when c < 2: dividing by it, instead of by `σ_max(G̃)/2`, charges the residual only
//! in second order.

use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::als::ShouldStop;
use crate::simd::dot_f64;
use crate::unlearn::complement::Complement;
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::lanczos::{Keep, LanczosOptions};
use crate::unlearn::subspace::{Cut, Subspace, WeightedFactors};

/// The dual norm's limit: 2, because the regulariser is twice the nuclear norm.
pub(super) const DUAL_LIMIT: f64 = 2.0;

/// The complement is wanted below this share of the limit where the target asks for no more or
/// less; nearer directions join the subspace.
const COMPLEMENT_SHARE: f64 = 0.99;

/// Shares of the limit that the complement may reach, tried from the largest: with small coupling
/// more is allowed, and found sooner.
const COMPLEMENT_ALLOWED: [f64; 4] = [0.9999, 0.999, 0.997, 0.994];

/// Ritz vectors join the subspace from this share of the limit on.
const JOIN_SHARE: f64 = 0.97;

/// Probability, over all random start vectors of one certificate, with which it may fail.
pub const FAILURE_PROBABILITY: f64 = 1e-9;

/// Directions of X are treated exactly from these shares of its largest singular value on. A small
/// share takes in dying columns, which are singular vectors of G̃ only roughly; a large one leaves
/// live ones to the complement. Each choice gives a valid bound; the one that couples the least is
/// taken.
const DIRECTION_SHARES: [f64; 2] = [1e-9, 1e-4];

/// Relative allowance for rounding in the gap itself, against the sum of its terms' sizes: sums in
/// f64 over chunks of chunks, each of some thousand terms.
const GAP_ALLOWANCE: f64 = 1e-12;

/// How hard to work for the bound.
#[derive(Debug, Clone)]
pub struct GapOptions {
    /// Lanczos steps per round.
    pub lanczos_steps: usize,
    /// Most rounds of letting directions join.
    pub rounds_max: usize,
    /// Seed of the random start vectors.
    pub seed: u64,
    /// A bound on the root mean square with which the work may end.
    pub target: f64,
}

impl Default for GapOptions {
    fn default() -> Self {
        Self {
            lanczos_steps: 150,
            rounds_max: 6,
            seed: 0,
            target: 0.0,
        }
    }
}

/// A bound on the distance to the minimiser. Distances are over all active users × items.
#[derive(Debug, Clone)]
pub struct DualityGap {
    /// `L(P,Q) − D`, at least 0, rounding allowed for.
    pub gap: f64,
    /// `‖X − X*‖_F ≤ √(gap/α₀)`.
    pub frobenius: f64,
    /// The same per pair: divided by `√(users·items)`.
    pub root_mean_square: f64,
    /// The scale the dual point was divided by; 1 is perfect.
    pub scale: f64,
    /// Bound on the largest singular value outside the subspace, over 2. Above 1, the model's
    /// dimension is too small for the data and λ.
    pub complement: f64,
    /// Probability that the bound fails, over the random start vectors.
    pub failure_probability: f64,
    /// Directions in which the model should grow and carries little so far, steepest first; a new
    /// column along each lowers the objective.
    pub growth: Vec<Direction>,
}

/// A pair of singular vectors of the scaled gradient.
#[derive(Debug, Clone)]
pub struct Direction {
    /// The singular value over 2.
    pub sigma: f64,
    /// Left singular vector of G̃, one value a user.
    pub users: Vec<f64>,
    /// Right singular vector of G̃, one value an item.
    pub items: Vec<f64>,
}

/// Bounds the distance of `model` to the minimiser for `matrix`.
///
/// Cost: `|S|·d` to build the operator, products with `2(d + joined)` vectors, at most
/// `lanczos_steps` normal products a round, and QR and SVD of size d. The bound holds save with
/// [`FAILURE_PROBABILITY`], over `options.seed`.
pub fn duality_gap(model: &Ials, matrix: &InteractionMatrix, options: &GapOptions) -> DualityGap {
    duality_gap_unless(model, matrix, options, &|| false).expect("nothing asks it to stop")
}

/// [`duality_gap`], or `None` when `should_stop`, asked between its steps, turned true first.
pub fn duality_gap_unless(
    model: &Ials,
    matrix: &InteractionMatrix,
    options: &GapOptions,
    should_stop: ShouldStop<'_>,
) -> Option<DualityGap> {
    let operator = ScaledGradient::at(model, matrix);
    if should_stop() {
        return None;
    }
    let sums = Sums::of(model, &operator);
    let weighted = WeightedFactors::of(model, &operator);
    let pairs = matrix.active_users() as f64 * matrix.active_items() as f64;
    let enough = options.target * options.target * pairs * model.hyper.alpha0;
    let (mut subspace, mut cut) = Subspace::of_factors(&weighted, &operator, &DIRECTION_SHARES)
        .into_iter()
        .map(|subspace| {
            let cut = subspace.cut(&operator, &weighted);
            (subspace, cut)
        })
        .min_by(|(_, a), (_, b)| {
            let scale = |cut: &Cut| cut.scale(COMPLEMENT_SHARE * DUAL_LIMIT);
            scale(a).total_cmp(&scale(b))
        })?;
    let mut complement = f64::INFINITY;
    for round in 0..=options.rounds_max as u64 {
        if should_stop() {
            return None;
        }
        let allowed = sums.complement_allowed(&cut, enough);
        let lanczos = LanczosOptions {
            steps_max: options.lanczos_steps,
            seed: (options.seed).wrapping_add(round.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            keep: Keep {
                limit: DUAL_LIMIT,
                from_share: JOIN_SHARE,
            },
            enough: allowed,
            failure_probability: FAILURE_PROBABILITY / (options.rounds_max as f64 + 1.0),
        };
        let outside = Complement::of(&operator, &subspace.left, &subspace.right);
        let found = outside.largest_singular_value(&lanczos, should_stop);
        drop(outside);
        complement = found.upper;
        let last = round == options.rounds_max as u64;
        if complement <= allowed || found.vectors.columns() == 0 || last {
            break;
        }
        if should_stop() || !subspace.join(&operator, &found.vectors) {
            break;
        }
        cut = subspace.cut(&operator, &weighted);
    }
    if should_stop() {
        return None;
    }
    let scale = cut.scale(complement);
    let gap = sums.gap(&cut, scale);
    let frobenius = (gap / model.hyper.alpha0).sqrt();
    Some(DualityGap {
        gap,
        frobenius,
        root_mean_square: match pairs > 0.0 {
            true => frobenius / pairs.sqrt(),
            false => 0.0,
        },
        scale,
        complement: complement / DUAL_LIMIT,
        failure_probability: FAILURE_PROBABILITY,
        growth: cut.growth,
    })
}

/// Sums over the model that the gap is made of.
struct Sums {
    /// `½Σ p·∂L/∂p + ½Σ q·∂L/∂q`, from residuals.
    along: f64,
    /// `Σ λ_u‖p_u‖² + Σ λ_i‖q_i‖²`.
    regularisation: f64,
    /// ‖G‖_F.
    gradient_norm: f64,
    /// The sizes of everything summed up, for the allowance.
    magnitude: f64,
    alpha0: f64,
}

impl Sums {
    fn of(model: &Ials, operator: &ScaledGradient<'_>) -> Self {
        let regularisation = weighted_squares(&operator.lambda_users, |u| model.users.row(u))
            + weighted_squares(&operator.lambda_items, |i| model.items.row(i));
        let (pairs, alpha0) = (operator.sums, operator.alpha0);
        // Each side's blocks add `Σ_S c(x−1)x + α₀‖X‖²` and their own regularisation.
        let dense = alpha0 * pairs.norm_squared;
        let gradient_squared = 4.0 * alpha0 * dense + pairs.gradient_correction;
        let gradient_norm = gradient_squared.max(0.0).sqrt();
        Self {
            along: 2.0 * (pairs.residual_along + dense) + regularisation,
            regularisation,
            gradient_norm,
            magnitude: 2.0 * (pairs.residual_along_absolute + dense.abs())
                + regularisation
                + gradient_norm,
            alpha0,
        }
    }

    /// How large the complement's singular value may be for the gap to be `enough`; the usual
    /// share of the limit where none is small enough, or none is asked for.
    fn complement_allowed(&self, cut: &Cut, enough: f64) -> f64 {
        let share = COMPLEMENT_ALLOWED
            .into_iter()
            .find(|share| self.gap(cut, cut.scale(share * DUAL_LIMIT)) <= enough);
        share.unwrap_or(COMPLEMENT_SHARE) * DUAL_LIMIT
    }

    /// The gap at `Y = (G − E)/s`. With `F = G − Y`:
    /// `gap = along − ⟨X,F⟩ + Σ F²/(4w)`, `w = c + α₀` on S and α₀ elsewhere; `Σ F²/(4w)` is at
    /// most `‖F‖_F²/(4α₀)`; `⟨X,G⟩ = along − regularisation`.
    fn gap(&self, cut: &Cut, scale: f64) -> f64 {
        let shrink = 1.0 - 1.0 / scale;
        let along_f = shrink * (self.along - self.regularisation) + cut.inner_with_x / scale;
        let norm_f = shrink * self.gradient_norm + cut.norm / scale;
        let curvature = norm_f * norm_f / (4.0 * self.alpha0);
        let allowance = GAP_ALLOWANCE * self.magnitude;
        (self.along - along_f + curvature).max(0.0) + allowance
    }
}

fn weighted_squares<'a>(weights: &[f64], row: impl Fn(usize) -> &'a [f64]) -> f64 {
    weights
        .iter()
        .enumerate()
        .map(|(k, weight)| weight * dot_f64(row(k), row(k)))
        .sum()
}
