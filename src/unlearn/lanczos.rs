//! The largest singular value of an operator, from below and, with a stated probability of
//! failure, from above.

use faer::{Col, Mat, Side};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// Probability with which an upper bound may fail, over the random start vector.
pub const FAILURE_PROBABILITY: f64 = 1e-9;

/// What Lanczos found of `A = CᵀC`.
#[derive(Debug, Clone)]
pub struct LargestSingularValue {
    /// The largest Ritz value's root: never above the largest singular value, up to rounding.
    pub lower: f64,
    /// Above the largest singular value, save with probability [`FAILURE_PROBABILITY`].
    pub upper: f64,
    /// Ritz vectors whose values are near the top, as columns, descending; orthonormal.
    pub vectors: Mat<f64>,
    /// The roots of their Ritz values.
    pub values: Vec<f64>,
}

impl LargestSingularValue {
    /// That of an operator that is zero.
    fn nothing(dimension: usize) -> Self {
        Self {
            lower: 0.0,
            upper: 0.0,
            vectors: Mat::zeros(dimension, 0),
            values: Vec::new(),
        }
    }
}

/// Relative allowance for rounding in a whole decomposition: eigenvalues are off by a small
/// multiple of the dimension times 2⁻⁵² of the largest.
const DECOMPOSITION_ALLOWANCE: f64 = 1e-12;

/// Relative excess ε such that `λ_max ≤ θ/(1−ε)` fails with probability at most
/// [`FAILURE_PROBABILITY`] after `steps` Lanczos steps on a positive semi-definite operator of
/// `dimension`, started from a vector uniform on the sphere; 1 when `steps` are too few to say.
///
/// Kuczyński & Woźniakowski, "Estimating the largest eigenvalue by the power and Lanczos
/// algorithms with a random start" (SIAM J. Matrix Anal. Appl. 13, 1992), Theorem 4.2: the
/// probability is at most `1.648 √n exp(−√ε (2k−1))`.
pub fn relative_excess(dimension: usize, steps: usize) -> f64 {
    let exponent = (1.648 * (dimension.max(1) as f64).sqrt() / FAILURE_PROBABILITY).ln();
    let root = exponent / (2.0 * steps as f64 - 1.0).max(1.0);
    (root * root).min(1.0)
}

/// Largest singular value of an operator C given by `normal`, the product with `CᵀC`, on the
/// subspace that `project` projects onto.
///
/// `steps` Lanczos steps with full reorthogonalisation; cost: as many products and
/// `steps²·dimension` multiply-adds. Ritz vectors are returned for values of at least
/// `keep_from`. The start vector is Gaussian from `seed`, projected: uniform on the subspace's
/// sphere, as the bound requires. An operator of no more dimensions than `steps` is decomposed
/// whole instead, with as many products, and the bound is sure. When `should_stop` turns true the bound is the weaker one of the
/// steps done so far.
pub fn largest_singular_value(
    dimension: usize,
    steps: usize,
    seed: u64,
    keep_from: f64,
    project: &dyn Fn(&mut Col<f64>),
    normal: &dyn Fn(&Col<f64>) -> Col<f64>,
    should_stop: &(dyn Fn() -> bool + Sync),
) -> LargestSingularValue {
    if dimension <= steps {
        return decomposed(dimension, keep_from, project, normal);
    }
    let mut basis: Vec<Col<f64>> = Vec::new();
    let (mut diagonal, mut off_diagonal) = (Vec::new(), Vec::new());
    let mut vector = gaussian(dimension, seed);
    project(&mut vector);
    let mut exhausted = false;
    for _ in 0..steps {
        if should_stop() {
            break;
        }
        let norm = vector.norm_l2();
        let scale = diagonal
            .first()
            .copied()
            .unwrap_or(1.0f64)
            .abs()
            .max(f64::MIN_POSITIVE);
        if norm <= f64::EPSILON * scale * 16.0 {
            exhausted = true;
            break;
        }
        if !basis.is_empty() {
            off_diagonal.push(norm);
        }
        let unit = &vector * faer::Scale(1.0 / norm);
        let mut next = normal(&unit);
        project(&mut next);
        diagonal.push(unit.transpose() * &next);
        basis.push(unit);
        orthogonalise(&mut next, &basis);
        vector = next;
    }
    read_off(
        dimension,
        &basis,
        &diagonal,
        &off_diagonal,
        exhausted,
        keep_from,
    )
}

/// The same from all eigenvalues of the operator's matrix. A negligible operator is all rounding,
/// on which Lanczos steps would find nothing to stand.
fn decomposed(
    dimension: usize,
    keep_from: f64,
    project: &dyn Fn(&mut Col<f64>),
    normal: &dyn Fn(&Col<f64>) -> Col<f64>,
) -> LargestSingularValue {
    let mut matrix = Mat::zeros(dimension, dimension);
    for column in 0..dimension {
        let mut vector = Col::from_fn(dimension, |row| f64::from(u8::from(row == column)));
        project(&mut vector);
        let mut image = normal(&vector);
        project(&mut image);
        matrix.col_mut(column).copy_from(&image);
    }
    let Ok(eigen) = matrix.self_adjoint_eigen(Side::Lower) else {
        return LargestSingularValue {
            upper: f64::INFINITY,
            ..LargestSingularValue::nothing(dimension)
        };
    };
    let roots: Vec<f64> = (0..dimension)
        .map(|index| eigen.S()[index].max(0.0).sqrt())
        .collect();
    let kept: Vec<usize> = (0..dimension)
        .rev()
        .filter(|index| roots[*index] >= keep_from)
        .collect();
    let lower = roots.last().copied().unwrap_or(0.0);
    LargestSingularValue {
        lower,
        upper: lower * (1.0 + DECOMPOSITION_ALLOWANCE),
        vectors: Mat::from_fn(dimension, kept.len(), |row, column| {
            eigen.U()[(row, kept[column])]
        }),
        values: kept.into_iter().map(|index| roots[index]).collect(),
    }
}

fn gaussian(dimension: usize, seed: u64) -> Col<f64> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    // Box–Muller, one half of each pair.
    Col::from_fn(dimension, |_| {
        let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    })
}

/// Twice is enough (Kahan): the second pass removes what rounding left of the first.
fn orthogonalise(vector: &mut Col<f64>, basis: &[Col<f64>]) {
    for _ in 0..2 {
        for direction in basis {
            let along: f64 = direction.transpose() * &*vector;
            *vector -= direction * faer::Scale(along);
        }
    }
}

fn read_off(
    dimension: usize,
    basis: &[Col<f64>],
    diagonal: &[f64],
    off_diagonal: &[f64],
    exhausted: bool,
    keep_from: f64,
) -> LargestSingularValue {
    let k = basis.len();
    if k == 0 {
        // Without a single step nothing is known, unless there is nothing to look at.
        return LargestSingularValue {
            upper: if exhausted { 0.0 } else { f64::INFINITY },
            ..LargestSingularValue::nothing(dimension)
        };
    }
    let tridiagonal = Mat::from_fn(k, k, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => off_diagonal[i.min(j)],
        _ => 0.0,
    });
    let Ok(eigen) = tridiagonal.self_adjoint_eigen(Side::Lower) else {
        return LargestSingularValue {
            upper: f64::INFINITY,
            ..LargestSingularValue::nothing(dimension)
        };
    };
    let root = |index: usize| eigen.S()[index].max(0.0).sqrt();
    let kept: Vec<usize> = (0..k)
        .rev()
        .filter(|index| root(*index) >= keep_from)
        .collect();
    let vectors = Mat::from_fn(dimension, kept.len(), |row, column| {
        (0..k)
            .map(|j| basis[j][row] * eigen.U()[(j, kept[column])])
            .sum()
    });
    let lower = root(k - 1);
    // An exhausted Krylov space holds the start vector's part of every eigenspace: with
    // probability one the top one among them.
    let excess = if exhausted {
        0.0
    } else {
        relative_excess(dimension, k)
    };
    let upper = if excess < 1.0 {
        lower / (1.0 - excess).sqrt()
    } else {
        f64::INFINITY
    };
    LargestSingularValue {
        lower,
        upper,
        vectors,
        values: kept.into_iter().map(root).collect(),
    }
}
