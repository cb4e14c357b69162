//! The directions of the scaled gradient that are treated exactly, and what it takes to cut them to
//! the dual limit; see [`duality_gap`](super::duality_gap) for why.

use faer::{Col, Mat, MatRef, Side};

use crate::model::ials::Ials;
use crate::optim::als::ShouldStop;
use crate::unlearn::duality_gap::{DUAL_LIMIT, Direction, GapOptions};
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::lanczos::{LargestSingularValue, largest_singular_value};

/// Ritz vectors join the subspace from this share of the limit on.
const JOIN_SHARE: f64 = 0.97;

/// Most directions that join in one round.
const JOIN_MAX: usize = 32;

/// Singular values from this share of the limit on count as at the limit.
const AT_LIMIT_SHARE: f64 = 1.0 - 1e-6;

/// Relative allowance for rounding in the dual scaling: orthonormality of U and V holds to about
/// 1e-14, products with G̃ to about 1e-13.
const SCALING_ALLOWANCE: f64 = 1e-12;

/// X lacks a direction when it carries less along it than this share of what it carries along the
/// fullest of those over the limit.
const LACKING_SHARE: f64 = 1e-2;

/// Orthonormal bases of the directions treated exactly.
pub(super) struct Subspace {
    /// users × k.
    left: Mat<f64>,
    /// items × k.
    right: Mat<f64>,
    /// Λ_u^{1/2} P and Λ_i^{1/2} Q, for the inner product with X.
    weighted_users: Mat<f64>,
    weighted_items: Mat<f64>,
}

impl Subspace {
    pub(super) fn of_factors(model: &Ials, operator: &ScaledGradient<'_>, share: f64) -> Self {
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
    pub(super) fn complement(
        &self,
        operator: &ScaledGradient<'_>,
        options: &GapOptions,
        round: u64,
        should_stop: ShouldStop<'_>,
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
            should_stop,
        )
    }

    /// Lets `vectors` and their images join the two bases.
    pub(super) fn join(&mut self, operator: &ScaledGradient<'_>, vectors: &Mat<f64>) {
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
    pub(super) fn cut(&self, operator: &ScaledGradient<'_>) -> Cut {
        let (left, right) = (self.left.as_ref(), self.right.as_ref());
        let image = operator.apply(right);
        let block = left.transpose() * &image;
        let Ok(svd) = block.svd() else {
            return Cut::unknown();
        };
        let out_left = (&image - left * &block) * svd.V();
        let back = operator.apply_transposed(left);
        let out_right = (&back - right * block.transpose()) * svd.U();
        let values: Vec<f64> = (0..block.ncols()).map(|k| svd.S()[k]).collect();
        let over = values.iter().filter(|value| **value > DUAL_LIMIT).count();
        let lefts = left * svd.U().get(.., ..over);
        let rights = right * svd.V().get(.., ..over);
        let excesses: Vec<f64> = values[..over]
            .iter()
            .map(|value| value - DUAL_LIMIT)
            .collect();
        let carried = self.carried(&lefts, &rights);
        Cut {
            arrow: arrow(&values, &out_left, &out_right),
            growth: growth(&lefts, &rights, &excesses, &carried),
            inner_with_x: excesses.iter().zip(&carried).map(|(e, x)| e * x).sum(),
            norm: weighted_norm(operator, &lefts, &rights, &excesses),
        }
    }

    /// `a_kᵀ Λ_u^{1/2} X Λ_i^{1/2} b_k`, how much X carries along each pair of columns.
    fn carried(&self, lefts: &Mat<f64>, rights: &Mat<f64>) -> Vec<f64> {
        let users = self.weighted_users.transpose() * lefts;
        let items = self.weighted_items.transpose() * rights;
        (0..lefts.ncols())
            .map(|k| users.col(k).transpose() * items.col(k))
            .collect()
    }
}

/// The pairs whose singular value is over the limit although X carries next to nothing along
/// them. Along those that X does carry, an excess is residual, which the block systems see to.
fn growth(
    lefts: &Mat<f64>,
    rights: &Mat<f64>,
    excesses: &[f64],
    carried: &[f64],
) -> Vec<Direction> {
    let most = carried.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let lacking = (0..excesses.len()).filter(|k| carried[*k].abs() <= LACKING_SHARE * most);
    let mut directions: Vec<Direction> = lacking
        .map(|k| Direction {
            sigma: 1.0 + excesses[k] / DUAL_LIMIT,
            users: lefts.col(k).iter().copied().collect(),
            items: rights.col(k).iter().copied().collect(),
        })
        .collect();
    directions.sort_by(|a, b| b.sigma.total_cmp(&a.sigma));
    directions
}

/// The block within the subspace after cutting, and what was cut off.
pub(super) struct Cut {
    /// What is left within the subspace, and how it is coupled to the complement.
    arrow: Vec<Spoke>,
    /// Directions that X lacks.
    pub(super) growth: Vec<Direction>,
    /// ⟨X, E⟩ for the part E that was cut off.
    pub(super) inner_with_x: f64,
    /// ‖E‖_F.
    pub(super) norm: f64,
}

impl Cut {
    /// Nothing could be said about the block: the scale becomes infinite, and so does the gap.
    fn unknown() -> Self {
        let spoke = Spoke {
            value: f64::INFINITY,
            out_left: 0.0,
            out_right: 0.0,
        };
        Self {
            arrow: vec![spoke],
            growth: Vec::new(),
            inner_with_x: 0.0,
            norm: 0.0,
        }
    }

    /// What the cut gradient must be divided by to be dual feasible: at least 1. The norm of a
    /// matrix of blocks is at most the norm of the matrix of their norms, an arrow here.
    pub(super) fn scale(&self, complement: f64) -> f64 {
        let k = self.arrow.len();
        let finite = self.arrow.iter().all(|spoke| spoke.value.is_finite());
        if !finite || !complement.is_finite() {
            return f64::INFINITY;
        }
        let norms = Mat::from_fn(k + 1, k + 1, |i, j| match (i < k, j < k) {
            (true, true) if i == j => self.arrow[i].value,
            (true, true) => 0.0,
            (true, false) => self.arrow[i].out_right,
            (false, true) => self.arrow[j].out_left,
            (false, false) => complement,
        });
        let norm = match norms.singular_values() {
            Ok(values) => values.into_iter().fold(0.0, f64::max),
            Err(_) => return f64::INFINITY,
        };
        (norm / DUAL_LIMIT).max(1.0) * (1.0 + SCALING_ALLOWANCE)
    }
}

/// A part of the subspace: its largest singular value after the cut, and the norms of what leads
/// from it into the complement on either side.
#[derive(Debug, Clone, Copy)]
struct Spoke {
    value: f64,
    out_left: f64,
    out_right: f64,
}

/// One spoke for all singular vectors at the limit, for there it is only their norm together that
/// counts, and one for each of the others: a direction below the limit may be coupled to the
/// complement without the whole coming above it. `values` descend.
fn arrow(values: &[f64], out_left: &Mat<f64>, out_right: &Mat<f64>) -> Vec<Spoke> {
    let at_limit = values
        .iter()
        .filter(|value| **value >= AT_LIMIT_SHARE * DUAL_LIMIT)
        .count();
    let spoke = |from: usize, to: usize| Spoke {
        value: values[from].min(DUAL_LIMIT),
        out_left: spectral_norm(out_left.get(.., from..to)),
        out_right: spectral_norm(out_right.get(.., from..to)),
    };
    let first = (at_limit > 0).then(|| spoke(0, at_limit));
    first
        .into_iter()
        .chain((at_limit..values.len()).map(|k| spoke(k, k + 1)))
        .collect()
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

pub(super) fn frobenius_inner(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    (0..a.ncols())
        .map(|k| a.col(k).transpose() * b.col(k))
        .sum()
}

/// The largest singular value of a tall matrix, through its Gram matrix.
fn spectral_norm(tall: MatRef<'_, f64>) -> f64 {
    let gram = tall.transpose() * tall;
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
