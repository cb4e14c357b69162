//! How far a model is from the minimiser, without knowing the minimiser: a duality gap.
//!
//! In `X = PQᵀ` the objective is convex: `F(X) = f(X) + 2‖Λ_u^{1/2} X Λ_i^{1/2}‖_*` with
//! `f(X) = Σ_S c(x−t)² + α₀ Σ x²`, because the weighted nuclear norm is the least
//! `Σλ_u‖p_u‖² + Σλ_i‖q_i‖²` over all factorisations of X (Srebro, Rennie & Jaakkola 2005;
//! Haeffele & Vidal 2015). `f` is 2α₀-strongly convex, so the minimiser X* is unique and
//! `α₀‖X − X*‖_F² ≤ F(X) − F(X*) ≤ L(P,Q) − D` for every dual value D (Fenchel duality:
//! `D = −f*(Y)` for any Y with `σ_max(Λ_u^{-1/2} Y Λ_i^{-1/2}) ≤ 2`). The targets t, whatever they
//! are, move f and its gradient alone: its second derivative 2w with w = c + α₀ on S and α₀ elsewhere
//! knows none, so f stays as convex, its conjugate on S is `(y + 2ct)²/(4w) − ct²`, and
//! `f(X) + f*(Y) − ⟨X,Y⟩ = Σ (G−Y)²/(4w)` for every Y, as for any quadratic.
//!
//! The dual point starts from `G = ∇f(X)`, scaled: `G̃ = Λ_u^{-1/2} G Λ_i^{-1/2}`. Take orthonormal
//! U, V that hold the directions of the model and whatever else lies near the top of the spectrum.
//! At the minimiser `G̃ = −2UVᵀ` along what the model carries, and below 2 elsewhere, with nothing
//! between the two: the subgradients of the nuclear norm (Watson 1992). So the dual point is
//! `Ỹ = U Y_B Vᵀ + C`: within the subspace the block `UᵀG̃V` cut to the limit (module `dual_point`),
//! outside it the complement `C = (I−UUᵀ) G̃ (I−VVᵀ)`, bounded by Lanczos and scaled should it
//! exceed 2. Its norm is the larger of the two. The dual residual `F = G − Y`
//! enters the gap in second order: `gap = Σ p·∂L/∂p/2 + Σ q·∂L/∂q/2 − ⟨X,F⟩ + Σ F²/(4w)` with
//! w = c + α₀ on S and α₀ elsewhere. Scaling the whole of G instead would charge `σ_max − 1` to the
//! whole nuclear norm of X.

use crate::control::ShouldStop;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::simd::dot_f64;
use crate::unlearn::complement::Complement;
use crate::unlearn::deflation_subspace::{DeflationSubspace, WeightedFactors};
pub(super) use crate::unlearn::dual_limit::Direction;
use crate::unlearn::dual_limit::{DUAL_LIMIT, at_least};
use crate::unlearn::dual_point::DualResidual;
use crate::unlearn::gradient_operator::{ScaledGradient, dot_rounding};
use crate::unlearn::lanczos::{Keep, LanczosOptions};
use crate::unlearn::tall::Tall;

/// What the complement may exceed the limit by, tried from the largest: it costs little, and is
/// found sooner.
const EXCESS_ALLOWED: [f64; 4] = [3e-3, 1e-3, 3e-4, 1e-4];

/// Ritz vectors enter the deflation subspace from this share of the limit on.
const DEFLATED_SHARE: f64 = 0.97;

/// Steps of subspace iteration that tracked Ritz vectors take first: one after a local update, more
/// after sweeps, which move the model further.
const ITERATIONS_AS_FOUND: usize = 1;
const ITERATIONS: usize = 6;

/// A tracked Ritz vector is dropped when its coupling alone costs more than such a share of the gap that
/// the target allows: the worst ones first, and others only while the target is still out of reach.
const DROPPED_SHARES: [f64; 5] = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3];

/// Where vectors of less coupling than this share had to go, some that are near the limit are gone, too.
const EXPECTED_SHARE: f64 = 0.1;

/// Probability, over all random start vectors of all evaluations of one process, that a bound fails.
///
/// Whoever evaluates until a bound is low enough takes the first that passes, so each evaluation must
/// fail less and less often: the k-th with at most `6/(π²k²)` of it, which sums to 1.
pub(super) const FAILURE_PROBABILITY: f64 = 1e-9;

/// The bound that is claimed may take so many times the steps of one that looks for directions: its start
/// vectors are others, and what one run leaves just within the limit another may not.
const CONFIRMING_STEPS: usize = 2;

/// Block steps that count directions over the limit, and the share of the limit they have to exceed.
const COUNTING_STEPS: usize = 12;
const COUNTED_SHARE: f64 = 1.02;

/// Relative allowance for rounding in the gap itself, against the sum of its terms' sizes: sums in
/// f64 over chunks of chunks, each of some thousand terms.
const GAP_ALLOWANCE: f64 = 1e-12;

/// The weights on the observed pairs are worth counting where the bound is within this factor of its
/// target: they gain at most about so much.
const SHARPENED_UP_TO: f64 = 4.0;

/// Relative allowance for rounding in `‖F‖²` and in the part of it that is subtracted.
const NORM_ALLOWANCE: f64 = 1e-11;

/// Relative allowance for rounding in the dual point's norm: orthonormality of U and V holds to
/// about 1e-14, products with G̃ to about 1e-13.
const SCALING_ALLOWANCE: f64 = 1e-12;

/// How hard to work for the bound.
#[derive(Debug, Clone)]
pub struct GapOptions {
    /// Block Lanczos steps per round that looks for directions; twice as many at most where the bound that
    /// is claimed is not low enough before.
    pub lanczos_steps: usize,
    /// Most rounds of extending the deflation subspace.
    pub rounds_max: usize,
    /// Seed of the random start vectors that find directions. Those that a bound rests on are drawn
    /// from the operating system, so that no data can be made for them.
    pub seed: u64,
    /// A bound on the root mean square with which the work may end.
    pub target: f64,
    /// Whether the target is expected to be met with the directions that an evaluation of nearly the
    /// same model left: then the bound to be claimed is tried at once, and more directions are only
    /// looked for where it does not do.
    pub is_expected: bool,
}

impl Default for GapOptions {
    fn default() -> Self {
        Self {
            lanczos_steps: 60,
            rounds_max: 6,
            seed: 0,
            target: 0.0,
            is_expected: false,
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
    /// What the complement was divided by to be dual feasible; 1 is perfect.
    pub scale: f64,
    /// Bound on the largest singular value outside the subspace, over 2. Above 1, the model's
    /// dimension is too small for the data and λ.
    pub complement: f64,
    /// Probability that the bound fails, over the random start vectors.
    pub failure_probability: f64,
    /// Descent directions, in which the model carries little so far, steepest first; a new
    /// column along each lowers the objective.
    pub descent_directions: Vec<Direction>,
}

/// Ritz vectors near the dual limit that one evaluation found, to begin the next one with: near the same
/// model they are near the limit again, and Lanczos need not find them anew.
///
/// Any directions make a valid bound, these make it cheaper. They belong to the rows of one data
/// set; rows that were added since count as zero.
#[derive(Debug, Clone, Default)]
pub struct TrackedRitzVectors {
    directions: Option<Tall>,
    /// Evaluations so far: each draws its own random start vectors, independent of what it begins with.
    evaluations: u64,
    /// Bounds claimed so far: each spends a part of the failure probability.
    confirmations: u64,
}

impl TrackedRitzVectors {
    /// The failure probability that the next bound claimed may have.
    fn next_failure_probability(&self) -> f64 {
        let nth = (self.confirmations + 1) as f64;
        FAILURE_PROBABILITY * 6.0 / (std::f64::consts::PI * nth).powi(2)
    }

    /// Whether no evaluation was finished yet.
    pub fn is_empty(&self) -> bool {
        self.directions.is_none()
    }
}

/// What an evaluation of the certificate came to.
#[derive(Debug, Clone)]
pub(super) enum GapEvaluation {
    /// A bound that holds, whether it meets the target or not.
    Bounded(DualityGap),
    /// The model is too far from stationary for the target. This would be the bound if the
    /// complement were within the limit, which was not looked into: it proves nothing.
    TargetUnreachable(DualityGap),
}

impl GapEvaluation {
    /// The descent directions, where that was looked into.
    pub(super) fn descent_directions(&self) -> &[Direction] {
        match self {
            Self::Bounded(gap) => &gap.descent_directions,
            Self::TargetUnreachable(_) => &[],
        }
    }
}

/// Bounds the distance of `model` to the minimiser for `matrix`.
///
/// Cost: `|S|·d` to build the operator, products with `2(d + tracked)` vectors, at most
/// `lanczos_steps` normal products a round, and QR and SVD of size d. The bound holds save with
/// `FAILURE_PROBABILITY`, over `options.seed`.
pub fn duality_gap(model: &Ials, matrix: &InteractionMatrix, options: &GapOptions) -> DualityGap {
    let tracked = &mut TrackedRitzVectors::default();
    duality_gap_unless(model, matrix, options, tracked, &|| false).expect("nothing asks it to stop")
}

/// [`duality_gap`], begun with the vectors in `tracked`, or `None` when `should_stop`, asked
/// between its steps, turned true first.
pub(super) fn duality_gap_unless(
    model: &Ials,
    matrix: &InteractionMatrix,
    options: &GapOptions,
    tracked: &mut TrackedRitzVectors,
    should_stop: ShouldStop<'_>,
) -> Option<DualityGap> {
    let evaluation = Evaluation::begin(model, matrix, options, tracked, false, should_stop)?;
    evaluation.finish(options, tracked, should_stop)
}

/// [`duality_gap_unless`], which saves itself the complement where the rest already says that the
/// target is out of reach. Of a model `as_found`, which nothing was done to yet, nearly all tracked
/// directions are kept: sweeps cost less than finding others.
pub(super) fn evaluate_gap_unless(
    model: &Ials,
    matrix: &InteractionMatrix,
    options: &GapOptions,
    tracked: &mut TrackedRitzVectors,
    as_found: bool,
    should_stop: ShouldStop<'_>,
) -> Option<GapEvaluation> {
    let mut evaluation = Evaluation::begin(model, matrix, options, tracked, as_found, should_stop)?;
    let mut at_best = evaluation.bound(DUAL_LIMIT);
    if evaluation.sharpen(&at_best, options.target) {
        at_best = evaluation.bound(DUAL_LIMIT);
    }
    if at_best.root_mean_square > options.target {
        return Some(GapEvaluation::TargetUnreachable(at_best));
    }
    evaluation
        .finish(options, tracked, should_stop)
        .map(GapEvaluation::Bounded)
}

/// At least how many directions outside those that the model carries are over the dual limit by more
/// than 2 %: Ritz values never exceed singular values, so there are as many at least. Near a minimum
/// each of them wants a column. 0 where the model has columns to spare.
///
/// Cost: that of an evaluation without its last part, and a dozen block products.
pub(super) fn count_descent_directions(
    model: &Ials,
    matrix: &InteractionMatrix,
    seed: u64,
) -> usize {
    let operator = ScaledGradient::evaluate(model, matrix);
    let weighted = WeightedFactors::compute(model, &operator);
    let none = Tall::from_rows(operator.items(), 0, |_, _| {});
    let price = operator.typical_weight() / (4.0 * operator.alpha0);
    let subspace = DeflationSubspace::from_model(&weighted, &operator, price, &none, 0)
        .unwrap_or_else(|| DeflationSubspace::empty(&operator));
    let lanczos = LanczosOptions {
        steps_max: COUNTING_STEPS,
        seed,
        keep: Keep {
            limit: COUNTED_SHARE * DUAL_LIMIT,
            from_share: 1.0,
        },
        enough: 0.0,
        failure_probability: FAILURE_PROBABILITY,
    };
    let outside = Complement::build(&operator, &subspace.left, &subspace.right);
    let found = outside.largest_singular_value(&lanczos, &|| false);
    found.vectors.columns()
}

/// An evaluation before anything is known about the complement.
struct Evaluation<'a> {
    operator: ScaledGradient<'a>,
    weighted: WeightedFactors,
    sums: Sums,
    subspace: DeflationSubspace,
    /// What a coupling of the subspace to the rest costs in the gap, squared.
    coupling_price: f64,
    dual_residual: Option<DualResidual>,
    /// Whether the directions that are treated exactly are expected to do for the target.
    is_expected: bool,
}

impl<'a> Evaluation<'a> {
    fn begin(
        model: &Ials,
        matrix: &'a InteractionMatrix,
        options: &GapOptions,
        tracked: &TrackedRitzVectors,
        as_found: bool,
        should_stop: ShouldStop<'_>,
    ) -> Option<Self> {
        let operator = ScaledGradient::evaluate(model, matrix);
        if should_stop() {
            return None;
        }
        let pairs = matrix.active_users() as f64 * matrix.active_items() as f64;
        let sums = Sums::compute(model, &operator, pairs);
        let weighted = WeightedFactors::compute(model, &operator);
        let candidates = match &tracked.directions {
            Some(directions) => directions.with_rows(operator.items()),
            None => Tall::from_rows(operator.items(), 0, |_, _| {}),
        };
        let price = operator.typical_weight() / (4.0 * operator.alpha0);
        let iterations = if as_found {
            ITERATIONS_AS_FOUND
        } else {
            ITERATIONS
        };
        let subspace =
            DeflationSubspace::from_model(&weighted, &operator, price, &candidates, iterations)
                .unwrap_or_else(|| DeflationSubspace::empty(&operator));
        if should_stop() {
            return None;
        }
        let mut evaluation = Self {
            operator,
            weighted,
            sums,
            subspace,
            coupling_price: price,
            dual_residual: None,
            is_expected: options.is_expected && tracked.directions.is_some(),
        };
        evaluation.find_dual_residual();
        evaluation.drop_coupled(options.target, as_found);
        Some(evaluation)
    }

    /// Drops tracked Ritz vectors that are no longer near enough to singular vectors, where the target
    /// is out of reach with them: the worst ones first, those alone of a model `as_found`. Where many
    /// have to go, others have to be looked for.
    fn drop_coupled(&mut self, target: f64, as_found: bool) {
        let shares = if as_found { 1 } else { DROPPED_SHARES.len() };
        let allowed = target.powi(2) * self.sums.pairs * self.sums.alpha0;
        let mut costs = None;
        for share in &DROPPED_SHARES[..shares] {
            if self.bound(DUAL_LIMIT).root_mean_square <= target {
                return;
            }
            let (subspace, price) = (&mut self.subspace, self.coupling_price);
            let known = costs.get_or_insert_with(|| subspace.coupling_costs(price));
            if subspace.drop_coupled(known, share * allowed) {
                self.find_dual_residual();
                self.is_expected &= *share >= EXPECTED_SHARE;
                costs = None;
            }
        }
    }

    fn find_dual_residual(&mut self) {
        self.dual_residual = DualResidual::compute(
            &self.subspace,
            &self.weighted,
            &self.operator,
            self.sums.along - self.sums.regularisation,
            self.sums.gradient_norm,
        );
    }

    /// Bounds the complement, extending the deflation subspace while it is too large.
    fn finish(
        mut self,
        options: &GapOptions,
        tracked: &mut TrackedRitzVectors,
        should_stop: ShouldStop<'_>,
    ) -> Option<DualityGap> {
        if self.is_expected {
            let allowed = self.complement_allowed(options.target);
            let complement = self.confirmed(options, tracked, should_stop)?;
            if complement <= allowed {
                return Some(self.claimed(complement, tracked));
            }
        }
        let mut complement = f64::INFINITY;
        for round in 0..=options.rounds_max as u64 {
            if should_stop() {
                return None;
            }
            let allowed = self.complement_allowed(options.target);
            tracked.evaluations += 1;
            let lanczos = LanczosOptions {
                steps_max: options.lanczos_steps,
                seed: (options.seed)
                    .wrapping_add(tracked.evaluations.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                keep: Keep {
                    limit: DUAL_LIMIT,
                    from_share: DEFLATED_SHARE,
                },
                enough: allowed,
                // As strict as the bound that will be claimed: what passes here is to pass there.
                failure_probability: tracked.next_failure_probability(),
            };
            let outside =
                Complement::build(&self.operator, &self.subspace.left, &self.subspace.right);
            let found = outside.largest_singular_value(&lanczos, should_stop);
            drop(outside);
            complement = found.upper;
            let last = round == options.rounds_max as u64;
            if complement <= allowed || found.vectors.columns() == 0 || last || should_stop() {
                break;
            }
            if !self.subspace.extend(&self.operator, &found.vectors) {
                break;
            }
            self.find_dual_residual();
        }
        if should_stop() {
            return None;
        }
        let gap = self.bound(complement);
        self.sharpen(&gap, options.target);
        if gap.gap.is_finite() {
            complement = self.confirmed(options, tracked, should_stop)?;
        }
        Some(self.claimed(complement, tracked))
    }

    /// The bound that is claimed, given one on the complement's largest singular value; the directions
    /// are left to the next evaluation.
    fn claimed(self, complement: f64, tracked: &mut TrackedRitzVectors) -> DualityGap {
        tracked.directions = Some(self.subspace.tracked());
        let descent_directions = self.dual_residual.as_ref();
        let descent_directions = descent_directions.map(|taken| taken.descent_directions.clone());
        DualityGap {
            descent_directions: descent_directions.unwrap_or_default(),
            ..self.bound(complement)
        }
    }

    /// The bound on the complement's largest singular value that is claimed: from start vectors that
    /// nobody knows before, and with this evaluation's share of the failure probability. The one found
    /// with the public seed only says what to expect.
    fn confirmed(
        &self,
        options: &GapOptions,
        tracked: &mut TrackedRitzVectors,
        should_stop: ShouldStop<'_>,
    ) -> Option<f64> {
        let failure_probability = tracked.next_failure_probability();
        tracked.confirmations += 1;
        let lanczos = LanczosOptions {
            steps_max: CONFIRMING_STEPS * options.lanczos_steps,
            seed: rand::random(),
            keep: Keep {
                limit: DUAL_LIMIT,
                from_share: f64::INFINITY,
            },
            enough: self.complement_allowed(options.target),
            failure_probability,
        };
        let outside = Complement::build(&self.operator, &self.subspace.left, &self.subspace.right);
        let found = outside.largest_singular_value(&lanczos, should_stop);
        (!should_stop()).then_some(found.upper)
    }

    /// Counts the weights on the observed pairs where `bound` misses the target by so little that they
    /// may matter; true when the bound is another one now.
    fn sharpen(&mut self, bound: &DualityGap, target: f64) -> bool {
        let share = bound.root_mean_square / target;
        let worth_it = share > 1.0 && share <= SHARPENED_UP_TO;
        match &mut self.dual_residual {
            Some(taken) if worth_it && taken.observed == 0.0 => {
                taken.observe(&self.subspace, &self.operator);
                true
            }
            _ => false,
        }
    }

    /// How large the complement's singular value may be for the target to be met; the limit where
    /// nothing above it would do.
    fn complement_allowed(&self, target: f64) -> f64 {
        let share = EXCESS_ALLOWED
            .into_iter()
            .find(|excess| self.bound(DUAL_LIMIT * (1.0 + excess)).root_mean_square <= target);
        DUAL_LIMIT * (1.0 + share.unwrap_or(0.0))
    }

    /// The bound, given one on the complement's largest singular value.
    fn bound(&self, complement: f64) -> DualityGap {
        let scale = at_least(complement / DUAL_LIMIT, 1.0);
        let gap = match &self.dual_residual {
            Some(taken) if scale.is_finite() => self.sums.gap(taken, scale),
            _ => f64::INFINITY,
        };
        // NaN proves nothing: it counts as no bound at all.
        let gap = if gap.is_finite() { gap } else { f64::INFINITY };
        let frobenius = (gap / self.sums.alpha0).sqrt();
        DualityGap {
            gap,
            frobenius,
            root_mean_square: if self.sums.pairs > 0.0 {
                frobenius / self.sums.pairs.sqrt()
            } else {
                0.0
            },
            scale,
            complement: complement / DUAL_LIMIT,
            failure_probability: FAILURE_PROBABILITY,
            descent_directions: Vec::new(),
        }
    }
}

/// Sums over the model that the gap is made of.
struct Sums {
    /// `½Σ p·∂L/∂p + ½Σ q·∂L/∂q`, from residuals; `⟨X,G⟩` and the regularisation together.
    along: f64,
    /// `Σ λ_u‖p_u‖² + Σ λ_i‖q_i‖²`.
    regularisation: f64,
    /// ‖G‖_F.
    gradient_norm: f64,
    /// The sizes of everything summed up, for the allowance.
    magnitude: f64,
    alpha0: f64,
    /// What rounding of the scores adds to the gap, and to `√Σ F²/(4w)`.
    rounding_along: f64,
    rounding_weighted: f64,
    /// Active users times active items.
    pairs: f64,
}

impl Sums {
    fn compute(model: &Ials, operator: &ScaledGradient<'_>, pairs: f64) -> Self {
        let regularisation = weighted_squares(&operator.lambda_users, |u| model.users.row(u))
            + weighted_squares(&operator.lambda_items, |i| model.items.row(i));
        let (over_pairs, alpha0) = (operator.sums, operator.alpha0);
        // Each side's blocks add `Σ_S c(x−t)x + α₀‖X‖²` and their own regularisation.
        let dense = alpha0 * over_pairs.norm_squared;
        let gradient_squared = 4.0 * alpha0 * dense + over_pairs.gradient_correction;
        let gradient_norm = at_least(gradient_squared, 0.0).sqrt();
        let rounding = dot_rounding(model.hyper.dim);
        Self {
            along: 2.0 * (over_pairs.residual_along + dense) + regularisation,
            rounding_along: 4.0 * rounding * over_pairs.rounding_along,
            rounding_weighted: rounding * over_pairs.rounding_weighted.sqrt(),
            regularisation,
            gradient_norm,
            magnitude: 2.0 * (over_pairs.residual_along_absolute + dense.abs())
                + regularisation
                + gradient_norm,
            alpha0,
            pairs,
        }
    }

    /// The gap at the dual point with the complement divided by `scale`. With `F = G − Y`:
    /// `gap = along − ⟨X,F⟩ + Σ F²/(4w)`, `w = c + α₀` on S and α₀ elsewhere. The norm `√Σ F²/(4w)`
    /// is at most the sum of those of its parts; what the rounding of the scores adds to G is one of
    /// them, on S alone: whatever G was meant to be, Y is what was computed.
    fn gap(&self, taken: &DualResidual, scale: f64) -> f64 {
        let shrink = 1.0 - 1.0 / scale;
        let along_f = taken.inner_with_x + shrink * taken.complement_inner_with_x;
        // Rounding may leave the dual point that much above the limit; it is shrunk for that.
        let rounding = SCALING_ALLOWANCE * (self.gradient_norm + taken.norm);
        let squared = taken.norm * taken.norm * (1.0 + NORM_ALLOWANCE)
            - taken.observed * (1.0 - NORM_ALLOWANCE);
        let dense = at_least(squared, 0.0).sqrt() + shrink * taken.complement_norm + rounding;
        let norm = dense / (2.0 * self.alpha0.sqrt()) + self.rounding_weighted;
        let allowance = (GAP_ALLOWANCE + 2.0 * SCALING_ALLOWANCE) * self.magnitude;
        at_least(self.along - along_f + norm * norm, 0.0) + allowance + self.rounding_along
    }
}

fn weighted_squares<'a>(weights: &[f64], row: impl Fn(usize) -> &'a [f64]) -> f64 {
    weights
        .iter()
        .enumerate()
        .map(|(k, weight)| weight * dot_f64(row(k), row(k)))
        .sum()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha12Rng;
    use recant_types::IalsHyperparameters;

    use super::*;
    use crate::model::factors::Factors;
    use crate::model::interactions::Entry;
    use crate::model::side::Side;
    use crate::unlearn::converge::{Goal, Warm, converge};

    /// More items than a run of Lanczos decomposes whole, and a spectrum that is dense below the limit.
    fn trained(target: f64) -> (Ials, InteractionMatrix, TrackedRitzVectors) {
        let hyper = IalsHyperparameters {
            dim: 64,
            alpha0: 0.3,
            lambda: 0.035,
            nu: 1.0,
        };
        let (users, items) = (400, 700);
        let mut random = ChaCha12Rng::seed_from_u64(11);
        let mut matrix = InteractionMatrix::new();
        for user in 0..users {
            for item in 0..items {
                if random.random_bool(0.05) {
                    matrix.insert(user, Entry::wanted(item, 1.0));
                }
            }
        }
        let users = Factors::random(matrix.user_rows(), hyper.dim, 1, Side::Users);
        let items = Factors::random(matrix.item_rows(), hyper.dim, 1, Side::Items);
        let mut model = Ials::from_factors(hyper, users, items);
        let mut warm = Warm::new(1 << 26);
        let goal = Goal {
            root_mean_square: target,
            residual: 1e-6,
            max_sweeps: 500,
            seed: 1,
        };
        let observe = &mut |_: crate::unlearn::Progress<'_>| ControlFlow::Continue(());
        let converged = converge(&mut model, &matrix, &mut warm, &goal, &|| false, observe);
        let gap = converged.expect("finite").expect("not stopped").gap;
        assert!(gap.root_mean_square <= target, "{gap:?}");
        (model, matrix, warm.ritz_vectors)
    }

    /// A service that has claimed very many bounds must be surer of the next one, and still gets it
    /// without another sweep.
    #[test]
    fn a_process_that_has_claimed_many_bounds_still_claims_the_next() {
        let target = 1e-4;
        let (model, matrix, tracked) = trained(target);
        let options = GapOptions {
            target,
            is_expected: true,
            lanczos_steps: 30,
            ..GapOptions::default()
        };
        for confirmations in [0, 1 << 10, 1 << 20] {
            let mut tracked = TrackedRitzVectors {
                confirmations,
                ..tracked.clone()
            };
            let gap = duality_gap_unless(&model, &matrix, &options, &mut tracked, &|| false);
            let gap = gap.expect("not stopped");
            assert!(gap.root_mean_square <= target, "{confirmations}: {gap:?}");
        }
    }
}
