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
//! measured norms r, r'. The norm of the whole is at most that of `[[2, r'], [r, c]]`, which is
//! `2 + O(r r')` when c < 2: dividing by it, instead of by `σ_max(G̃)/2`, charges the residual only
//! in second order.

use faer::{Col, Mat, MatRef, Side};

use crate::model::factors::Factors;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::lanczos::{LargestSingularValue, largest_singular_value};

/// The dual norm's limit: 2, because the regulariser is twice the nuclear norm.
const DUAL_LIMIT: f64 = 2.0;

/// The complement is wanted below this share of the limit; nearer directions join the subspace.
const COMPLEMENT_SHARE: f64 = 0.98;

/// Directions of X are treated exactly from these shares of its largest singular value on. A small
/// share takes in dying columns, which are singular vectors of G̃ only roughly; a large one leaves
/// live ones to the complement. Each choice gives a valid bound; the best one is taken.
const DIRECTION_SHARES: [f64; 3] = [1e-9, 1e-4, 1e-2];

/// Ritz vectors join the subspace from this share of the limit on.
const JOIN_SHARE: f64 = 0.90;

/// Most directions that join in one round.
const JOIN_MAX: usize = 32;

/// Relative allowance for rounding in the dual scaling: orthonormality of U and V holds to about
/// 1e-14, products with G̃ to about 1e-13.
const SCALING_ALLOWANCE: f64 = 1e-12;

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
}

impl Default for GapOptions {
    fn default() -> Self {
        Self {
            lanczos_steps: 60,
            rounds_max: 4,
            seed: 0,
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
    /// The largest singular value over 2 that was seen outside the factors' own column spaces,
    /// with its singular vectors: where a new column would help most.
    pub growth: Option<Growth>,
}

/// A direction that the factors lack.
#[derive(Debug, Clone)]
pub struct Growth {
    /// Its singular value over 2; above 1 a new column lowers the objective.
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
    let operator = ScaledGradient::at(model, matrix);
    let sums = Sums::of(model, matrix, &operator);
    let mut best: Option<Bound> = None;
    for (attempt, share) in DIRECTION_SHARES.into_iter().enumerate() {
        let bound = bound_with(model, &operator, &sums, options, attempt as u64, share);
        if best.as_ref().is_none_or(|best| bound.gap < best.gap) {
            best = Some(bound);
        }
    }
    let Bound {
        gap,
        scale,
        complement,
        growth,
    } = best.expect("there is at least one share to try");
    let frobenius = (gap / model.hyper.alpha0).sqrt();
    let pairs = matrix.active_users() as f64 * matrix.active_items() as f64;
    let root_mean_square = if pairs > 0.0 {
        frobenius / pairs.sqrt()
    } else {
        0.0
    };
    DualityGap {
        gap,
        frobenius,
        root_mean_square,
        scale,
        complement,
        growth,
    }
}

/// One way to choose the subspace, and what it proves.
struct Bound {
    gap: f64,
    scale: f64,
    complement: f64,
    growth: Option<Growth>,
}

fn bound_with(
    model: &Ials,
    operator: &ScaledGradient<'_>,
    sums: &Sums,
    options: &GapOptions,
    attempt: u64,
    share: f64,
) -> Bound {
    let mut subspace = Subspace::of_factors(model, operator, share);
    let mut growth = None;
    let first_round = attempt * (options.rounds_max as u64 + 1);
    let mut complement = subspace.complement(operator, options, first_round);
    for round in 1..=options.rounds_max as u64 {
        if growth.is_none() {
            growth = subspace.growth(operator, &complement);
        }
        if complement.upper <= COMPLEMENT_SHARE * DUAL_LIMIT || complement.values.is_empty() {
            break;
        }
        subspace.join(operator, &complement.vectors);
        complement = subspace.complement(operator, options, first_round + round);
    }
    let cut = subspace.cut(operator);
    let scale = cut.scale(complement.upper);
    let gap = sums.gap(&cut, scale, model.hyper.alpha0);
    Bound {
        gap,
        scale,
        complement: complement.upper / DUAL_LIMIT,
        growth,
    }
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
    (0..a.rows()).map(|row| dot(a.row(row), b.row(row))).sum()
}

fn weighted_squares<'a>(weights: &[f64], row: impl Fn(usize) -> &'a [f64]) -> f64 {
    weights
        .iter()
        .enumerate()
        .map(|(k, weight)| weight * dot(row(k), row(k)))
        .sum()
}

/// ‖G‖_F with `G = 2c(x−1)·1_S + 2α₀X`: the dense part through the Gramians, S corrected.
fn gradient_norm(model: &Ials, matrix: &InteractionMatrix) -> f64 {
    let alpha0 = model.hyper.alpha0;
    let d = model.hyper.dim;
    let gram = |rows: usize, row: &dyn Fn(usize, usize) -> f64| {
        let factors = Mat::from_fn(rows, d, row);
        factors.transpose() * &factors
    };
    let users = gram(model.users.rows(), &|u, k| model.users.row(u)[k]);
    let items = gram(model.items.rows(), &|i, k| model.items.row(i)[k]);
    let mut squared = 4.0 * alpha0 * alpha0 * frobenius_inner(users.as_ref(), items.as_ref());
    for u in 0..model.users.rows() {
        for entry in matrix.user(u as u32) {
            let x = dot(model.users.row(u), model.items.row(entry.index as usize));
            let dense = 2.0 * alpha0 * x;
            let observed = 2.0 * f64::from(entry.weight) * (x - 1.0) + dense;
            squared += observed * observed - dense * dense;
        }
    }
    squared.max(0.0).sqrt()
}

/// Orthonormal bases of the directions treated exactly.
struct Subspace {
    /// users × k.
    left: Mat<f64>,
    /// items × k.
    right: Mat<f64>,
    /// Λ_u^{1/2} P and Λ_i^{1/2} Q, for the inner product with X.
    weighted_users: Mat<f64>,
    weighted_items: Mat<f64>,
}

impl Subspace {
    fn of_factors(model: &Ials, operator: &ScaledGradient<'_>, share: f64) -> Self {
        let d = model.hyper.dim;
        let weighted_users = Mat::from_fn(operator.users(), d, |u, k| {
            operator.lambda_users[u].sqrt() * model.users.row(u)[k]
        });
        let weighted_items = Mat::from_fn(operator.items(), d, |i, k| {
            operator.lambda_items[i].sqrt() * model.items.row(i)[k]
        });
        let (users, items) = (weighted_users.qr(), weighted_items.qr());
        let (left, right) = (users.compute_thin_Q(), items.compute_thin_Q());
        // The singular vectors of Λ_u^{1/2} X Λ_i^{1/2}; only those that carry something: the
        // others are arbitrary, and G̃ does not map them onto one another.
        let core = users.thin_R() * items.thin_R().transpose();
        let Ok(svd) = core.thin_svd() else {
            return Self {
                left,
                right,
                weighted_users,
                weighted_items,
            };
        };
        let largest = svd.S().column_vector().iter().copied().fold(0.0, f64::max);
        let kept = svd
            .S()
            .column_vector()
            .iter()
            .filter(|value| **value > share * largest)
            .count();
        Self {
            left: left * svd.U().get(.., ..kept),
            right: right * svd.V().get(.., ..kept),
            weighted_users,
            weighted_items,
        }
    }

    /// The largest singular value of `(I−UUᵀ) G̃ (I−VVᵀ)`.
    fn complement(
        &self,
        operator: &ScaledGradient<'_>,
        options: &GapOptions,
        round: u64,
    ) -> LargestSingularValue {
        let project_right = |vector: &mut Col<f64>| remove(vector, self.right.as_ref());
        let normal = |vector: &Col<f64>| {
            let mut image = column(operator.apply(vector.as_ref().as_mat()));
            remove(&mut image, self.left.as_ref());
            column(operator.apply_transposed(image.as_ref().as_mat()))
        };
        largest_singular_value(
            operator.items(),
            options.lanczos_steps,
            options
                .seed
                .wrapping_add(round.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            JOIN_SHARE * DUAL_LIMIT,
            &project_right,
            &normal,
        )
    }

    fn growth(
        &self,
        operator: &ScaledGradient<'_>,
        complement: &LargestSingularValue,
    ) -> Option<Growth> {
        let sigma = *complement.values.first()?;
        let right = complement.vectors.col(0);
        let mut left = column(operator.apply(right.as_mat()));
        remove(&mut left, self.left.as_ref());
        Some(Growth {
            sigma: sigma / DUAL_LIMIT,
            users: left.iter().map(|value| value / sigma).collect(),
            items: right.iter().copied().collect(),
        })
    }

    /// Lets `vectors` and their images join the two bases.
    fn join(&mut self, operator: &ScaledGradient<'_>, vectors: &Mat<f64>) {
        let joining = vectors.get(.., ..vectors.ncols().min(JOIN_MAX)).to_owned();
        let images = operator.apply(joining.as_ref());
        self.right = side_by_side(self.right.as_ref(), joining.as_ref())
            .qr()
            .compute_thin_Q();
        self.left = side_by_side(self.left.as_ref(), images.as_ref())
            .qr()
            .compute_thin_Q();
    }

    /// Cuts the block within the subspace to the dual limit and measures the coupling.
    fn cut(&self, operator: &ScaledGradient<'_>) -> Cut {
        let (left, right) = (self.left.as_ref(), self.right.as_ref());
        let image = operator.apply(right);
        let block = left.transpose() * &image;
        let coupling_left = spectral_norm(&image - left * &block);
        let back = operator.apply_transposed(left);
        let coupling_right = spectral_norm(&back - right * block.transpose());
        let Ok(svd) = block.svd() else {
            return Cut::unknown();
        };
        let excess = |k: usize| (svd.S()[k] - DUAL_LIMIT).max(0.0);
        let over: Vec<usize> = (0..block.ncols()).filter(|k| excess(*k) > 0.0).collect();
        let kept = (0..block.ncols())
            .map(|k| svd.S()[k].min(DUAL_LIMIT))
            .fold(0.0, f64::max);
        let lefts = left * Mat::from_fn(block.nrows(), over.len(), |r, k| svd.U()[(r, over[k])]);
        let rights = right * Mat::from_fn(block.ncols(), over.len(), |r, k| svd.V()[(r, over[k])]);
        let excesses: Vec<f64> = over.iter().map(|k| excess(*k)).collect();
        Cut {
            kept,
            coupling_left,
            coupling_right,
            inner_with_x: self.inner_with_x(&lefts, &rights, &excesses),
            norm: weighted_norm(operator, &lefts, &rights, &excesses),
        }
    }

    /// `⟨X, E⟩` for `E = Λ_u^{1/2} (Σ_k e_k a_k b_kᵀ) Λ_i^{1/2}`.
    fn inner_with_x(&self, lefts: &Mat<f64>, rights: &Mat<f64>, excesses: &[f64]) -> f64 {
        let users = self.weighted_users.transpose() * lefts;
        let items = self.weighted_items.transpose() * rights;
        let of = |k: usize| excesses[k] * (users.col(k).transpose() * items.col(k));
        (0..excesses.len()).map(of).sum()
    }
}

/// The block within the subspace after cutting, and what was cut off.
struct Cut {
    /// Largest singular value kept, at most the dual limit.
    kept: f64,
    coupling_left: f64,
    coupling_right: f64,
    /// ⟨X, E⟩.
    inner_with_x: f64,
    /// ‖E‖_F.
    norm: f64,
}

impl Cut {
    /// Nothing could be said about the block: the scale becomes infinite, and so does the gap.
    fn unknown() -> Self {
        Self {
            kept: f64::INFINITY,
            coupling_left: 0.0,
            coupling_right: 0.0,
            inner_with_x: 0.0,
            norm: 0.0,
        }
    }

    /// What the cut gradient must be divided by to be dual feasible: at least 1.
    fn scale(&self, complement: f64) -> f64 {
        let (a, b, c, d) = (
            self.kept,
            self.coupling_right,
            self.coupling_left,
            complement,
        );
        let sum = a * a + b * b + c * c + d * d;
        let determinant = a * d - b * c;
        let root = (sum * sum - 4.0 * determinant * determinant)
            .max(0.0)
            .sqrt();
        let norm = ((sum + root) / 2.0).sqrt();
        if norm.is_nan() {
            return f64::INFINITY;
        }
        (norm / DUAL_LIMIT).max(1.0) * (1.0 + SCALING_ALLOWANCE)
    }
}

/// ‖Λ_u^{1/2} (Σ e_k a_k b_kᵀ) Λ_i^{1/2}‖_F.
fn weighted_norm(
    operator: &ScaledGradient<'_>,
    lefts: &Mat<f64>,
    rights: &Mat<f64>,
    excesses: &[f64],
) -> f64 {
    let k = excesses.len();
    let users = Mat::from_fn(lefts.nrows(), k, |u, j| {
        operator.lambda_users[u].sqrt() * lefts[(u, j)] * excesses[j]
    });
    let items = Mat::from_fn(rights.nrows(), k, |i, j| {
        operator.lambda_items[i].sqrt() * rights[(i, j)]
    });
    let (users, items) = (users.transpose() * &users, items.transpose() * &items);
    frobenius_inner(users.as_ref(), items.as_ref())
        .max(0.0)
        .sqrt()
}

fn frobenius_inner(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols())
        .map(|k| a.col(k).transpose() * b.col(k))
        .sum()
}

/// The largest singular value of a tall matrix, through its Gram matrix.
fn spectral_norm(tall: Mat<f64>) -> f64 {
    let gram = tall.transpose() * &tall;
    match gram.self_adjoint_eigenvalues(Side::Lower) {
        Ok(values) => values.last().copied().unwrap_or(0.0).max(0.0).sqrt(),
        Err(_) => f64::INFINITY,
    }
}

fn side_by_side(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(a.nrows(), a.ncols() + b.ncols(), |row, column| {
        if column < a.ncols() {
            a[(row, column)]
        } else {
            b[(row, column - a.ncols())]
        }
    })
}

/// Removes from `vector` its part within the columns of `basis`; twice, for rounding.
fn remove(vector: &mut Col<f64>, basis: MatRef<'_, f64>) {
    for _ in 0..2 {
        let along = basis.transpose() * &*vector;
        *vector -= basis * along;
    }
}

fn column(matrix: Mat<f64>) -> Col<f64> {
    matrix.col(0).to_owned()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
