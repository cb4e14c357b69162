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

use pulp::Arch;
use rayon::prelude::*;

use crate::model::factors::Factors;
use crate::model::gramian::Gramian;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::als::ShouldStop;
use crate::simd::{dot_f64, vectorised};
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::lanczos::FAILURE_PROBABILITY;
use crate::unlearn::subspace::{Cut, Subspace, frobenius_inner};

/// The dual norm's limit: 2, because the regulariser is twice the nuclear norm.
pub(super) const DUAL_LIMIT: f64 = 2.0;

/// The complement is wanted below this share of the limit; nearer directions join the subspace.
const COMPLEMENT_SHARE: f64 = 0.99;

/// Directions of X are treated exactly from these shares of its largest singular value on. A small
/// share takes in dying columns, which are singular vectors of G̃ only roughly; a large one leaves
/// live ones to the complement. Each choice gives a valid bound; the best one is taken.
const DIRECTION_SHARES: [f64; 2] = [1e-9, 1e-4];

/// Relative allowance for rounding in the gap itself, against the sum of its terms' sizes.
const GAP_ALLOWANCE: f64 = 1e-13;

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
            rounds_max: 4,
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
/// Cost: `|S|·d` to build the operator, products with `2(d + joined)` vectors, `lanczos_steps`
/// normal products a round, and QR and SVD of size d. The bound holds save with the probability
/// [`crate::unlearn::lanczos::FAILURE_PROBABILITY`] a round, over `options.seed`.
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
    let sums = Sums::of(model, matrix, &operator);
    let pairs = matrix.active_users() as f64 * matrix.active_items() as f64;
    let mut best: Option<Bound> = None;
    let mut attempts = 0;
    for (attempt, share) in DIRECTION_SHARES.into_iter().enumerate() {
        attempts += 1;
        let attempt = Attempt {
            number: attempt as u64,
            share,
            should_stop,
        };
        let bound = bound_with(model, &operator, &sums, options, attempt)?;
        if best.as_ref().is_none_or(|best| bound.gap < best.gap) {
            best = Some(bound);
        }
        let enough = options.target * options.target * pairs * model.hyper.alpha0;
        if best.as_ref().is_some_and(|best| best.gap <= enough) {
            break;
        }
    }
    let Bound {
        gap,
        scale,
        complement,
        growth,
    } = best?;
    let frobenius = (gap / model.hyper.alpha0).sqrt();
    let root_mean_square = if pairs > 0.0 {
        frobenius / pairs.sqrt()
    } else {
        0.0
    };
    Some(DualityGap {
        gap,
        frobenius,
        root_mean_square,
        scale,
        complement,
        failure_probability: f64::from(attempts)
            * (options.rounds_max as f64 + 1.0)
            * FAILURE_PROBABILITY,
        growth,
    })
}

/// One way to choose the subspace, and what it proves.
struct Bound {
    gap: f64,
    scale: f64,
    complement: f64,
    growth: Vec<Direction>,
}

/// One choice of the directions treated exactly.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    number: u64,
    share: f64,
    should_stop: ShouldStop<'a>,
}

fn bound_with(
    model: &Ials,
    operator: &ScaledGradient<'_>,
    sums: &Sums,
    options: &GapOptions,
    attempt: Attempt<'_>,
) -> Option<Bound> {
    let should_stop = attempt.should_stop;
    let mut subspace = Subspace::of_factors(model, operator, attempt.share);
    let first_round = attempt.number * (options.rounds_max as u64 + 1);
    let mut complement = subspace.complement(operator, options, first_round, should_stop);
    for round in 1..=options.rounds_max as u64 {
        if complement.upper <= COMPLEMENT_SHARE * DUAL_LIMIT || complement.values.is_empty() {
            break;
        }
        if should_stop() {
            return None;
        }
        subspace.join(operator, &complement.vectors);
        complement = subspace.complement(operator, options, first_round + round, should_stop);
    }
    if should_stop() {
        return None;
    }
    let cut = subspace.cut(operator);
    let scale = cut.scale(complement.upper);
    let gap = sums.gap(&cut, scale, model.hyper.alpha0);
    (!should_stop()).then_some(Bound {
        gap,
        scale,
        complement: complement.upper / DUAL_LIMIT,
        growth: cut.growth,
    })
}

/// Sums over the model that the gap is made of.
struct Sums {
    /// `½Σ p·∂L/∂p + ½Σ q·∂L/∂q`, from the residuals of the block equations.
    along: f64,
    /// `Σ λ_u‖p_u‖² + Σ λ_i‖q_i‖²`.
    regularisation: f64,
    /// ‖G‖_F.
    gradient_norm: f64,
}

impl Sums {
    fn of(model: &Ials, matrix: &InteractionMatrix, operator: &ScaledGradient<'_>) -> Self {
        let regularisation = weighted_squares(&operator.lambda_users, |u| model.users.row(u))
            + weighted_squares(&operator.lambda_items, |i| model.items.row(i));
        let half = model.half_gradient(matrix);
        let along = inner(&model.users, &half.users) + inner(&model.items, &half.items);
        Self {
            along,
            regularisation,
            gradient_norm: gradient_norm(model, matrix),
        }
    }

    /// The gap at `Y = (G − E)/s`. With `F = G − Y`:
    /// `gap = along − ⟨X,F⟩ + Σ F²/(4w)`, `w = c + α₀` on S and α₀ elsewhere; `Σ F²/(4w)` is at
    /// most `‖F‖_F²/(4α₀)`; `⟨X,G⟩ = along − regularisation`.
    fn gap(&self, cut: &Cut, scale: f64, alpha0: f64) -> f64 {
        let shrink = 1.0 - 1.0 / scale;
        let along_f = shrink * (self.along - self.regularisation) + cut.inner_with_x / scale;
        let norm_f = shrink * self.gradient_norm + cut.norm / scale;
        let curvature = norm_f * norm_f / (4.0 * alpha0);
        let allowance = GAP_ALLOWANCE * (self.regularisation + self.gradient_norm);
        (self.along - along_f + curvature).max(0.0) + allowance
    }
}

fn inner(a: &Factors, b: &Factors) -> f64 {
    (0..a.rows())
        .map(|row| dot_f64(a.row(row), b.row(row)))
        .sum()
}

fn weighted_squares<'a>(weights: &[f64], row: impl Fn(usize) -> &'a [f64]) -> f64 {
    weights
        .iter()
        .enumerate()
        .map(|(k, weight)| weight * dot_f64(row(k), row(k)))
        .sum()
}

/// ‖G‖_F with `G = 2c(x−1)·1_S + 2α₀X`: the dense part through the Gramians, S corrected.
fn gradient_norm(model: &Ials, matrix: &InteractionMatrix) -> f64 {
    let alpha0 = model.hyper.alpha0;
    let (users, items) = (Gramian::of(&model.users), Gramian::of(&model.items));
    let dense = 4.0 * alpha0 * alpha0 * frobenius_inner(users.matrix(), items.matrix());
    let corrections: Vec<f64> = (0..model.users.rows())
        .into_par_iter()
        .map(|user| {
            vectorised(
                Arch::new(),
                #[inline(always)]
                || observed_correction(model, matrix, user),
            )
        })
        .collect();
    (dense + corrections.into_iter().sum::<f64>())
        .max(0.0)
        .sqrt()
}

/// `Σ G² − (2α₀x)²` over the observed pairs of one user.
#[inline(always)]
fn observed_correction(model: &Ials, matrix: &InteractionMatrix, user: usize) -> f64 {
    let p = model.users.row(user);
    let mut sum = 0.0;
    for entry in matrix.user(user as u32) {
        let x = dot_f64(p, model.items.row(entry.index as usize));
        let dense = 2.0 * model.hyper.alpha0 * x;
        let observed = 2.0 * f64::from(entry.weight) * (x - 1.0) + dense;
        sum += observed * observed - dense * dense;
    }
    sum
}
