//! The largest singular value of an operator, from below and, with a stated probability of
//! failure, from above.

use faer::{Mat, Side};
use pulp::Arch;
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use crate::optim::als::ShouldStop;
use crate::simd::{add_scaled_f64, dot_f64, vectorised};
use crate::unlearn::tall::Tall;

/// Steps before the first look at the bound, and between looks.
const FIRST_LOOK: usize = 30;
const STEPS_BETWEEN_LOOKS: usize = 15;

/// How hard to work for a bound.
#[derive(Debug, Clone, Copy)]
pub struct LanczosOptions {
    /// Most steps.
    pub steps_max: usize,
    /// Seed of the random start vector.
    pub seed: u64,
    /// Which Ritz vectors are returned.
    pub keep: Keep,
    /// An upper bound of at most this ends the work.
    pub enough: f64,
    /// Probability, over the start vector, with which the upper bound may fail.
    pub failure_probability: f64,
}

/// Ritz vectors worth having: singular vectors but for a coupling `r = ‖CᵀCv − θ²v‖/θ`.
///
/// One that stands far enough below the limit is kept when its coupling is small against that
/// distance, so that treating it apart cannot lift the norm of the whole; one that is near the
/// limit or above is kept in any case.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The limit for singular values θ.
    pub limit: f64,
    /// Least share of the limit.
    pub from_share: f64,
}

/// Share of the limit from which on a Ritz vector is kept whatever its coupling.
const NEAR_LIMIT_SHARE: f64 = 0.998;

/// Largest coupling, as a share of the distance to the limit.
const COUPLING_SHARE: f64 = 0.02;

impl Keep {
    fn keeps(&self, value: f64, coupling: f64) -> bool {
        let near = value >= NEAR_LIMIT_SHARE * self.limit;
        value >= self.from_share * self.limit
            && (near || coupling <= COUPLING_SHARE * (self.limit - value))
    }
}

/// What Lanczos found of `A = CᵀC`.
#[derive(Debug, Clone)]
pub(super) struct LargestSingularValue {
    /// Above the largest singular value, save with the probability asked for.
    pub(super) upper: f64,
    /// Ritz vectors whose values are near the top, as columns, descending; orthonormal.
    pub(super) vectors: Tall,
}

impl LargestSingularValue {
    fn without_vectors(dimension: usize, upper: f64) -> Self {
        Self {
            upper,
            vectors: Tall::from_rows(dimension, 0, |_, _| {}),
        }
    }
}

/// Relative allowance for rounding in a whole decomposition: eigenvalues are off by a small
/// multiple of the dimension times 2⁻⁵² of the largest.
const DECOMPOSITION_ALLOWANCE: f64 = 1e-12;

/// Relative excess ε such that `λ_max ≤ θ/(1−ε)` fails with probability at most `failure` after
/// `steps` Lanczos steps on a positive semi-definite operator of `dimension`, started from a
/// vector uniform on the sphere; 1 when `steps` are too few to say.
///
/// Kuczyński & Woźniakowski, "Estimating the largest eigenvalue by the power and Lanczos
/// algorithms with a random start" (SIAM J. Matrix Anal. Appl. 13, 1992), Theorem 4.2: the
/// probability is at most `1.648 √n exp(−√ε (2k−1))`.
pub fn relative_excess(dimension: usize, steps: usize, failure: f64) -> f64 {
    let exponent = (1.648 * (dimension.max(1) as f64).sqrt() / failure).ln();
    let root = exponent / (2.0 * steps as f64 - 1.0).max(1.0);
    (root * root).min(1.0)
}

/// Looks at the bound that a run may take at most.
fn looks_max(steps_max: usize) -> usize {
    steps_max.saturating_sub(FIRST_LOOK) / STEPS_BETWEEN_LOOKS + 2
}

/// Largest singular value of an operator C given by `normal`, the product with `CᵀC`, on the
/// subspace that `project` projects onto; `normal` must map into it.
///
/// Lanczos steps with full reorthogonalisation, until the bound is `enough` or the steps are used
/// up; cost: as many products and `2·steps²·dimension` multiply-adds. The start vector is Gaussian
/// from the seed, projected: uniform on the subspace's sphere, as the bound requires. Each look at
/// the bound may fail with an equal share of the failure probability, so that stopping at the
/// first that is good enough does not spend more. An operator of no more dimensions than steps is
/// decomposed whole instead, with as many products, and the bound is sure. When `should_stop`
/// turns true the bound is the weaker one of the steps done so far.
pub(super) fn largest_singular_value(
    dimension: usize,
    options: &LanczosOptions,
    project: &dyn Fn(&mut [f64]),
    normal: &dyn Fn(&[f64]) -> Vec<f64>,
    should_stop: ShouldStop<'_>,
) -> LargestSingularValue {
    if dimension == 0 {
        // There is nothing left to know of, and the decomposition panics on it.
        return LargestSingularValue::without_vectors(0, 0.0);
    }
    if dimension <= options.steps_max {
        return decomposed(dimension, options.keep, project, normal);
    }
    let mut krylov = Krylov::default();
    let mut vector = gaussian(dimension, options.seed);
    project(&mut vector);
    for step in 1..=options.steps_max {
        if should_stop() || !krylov.step(&mut vector, normal) {
            break;
        }
        let due = step >= FIRST_LOOK && (step - FIRST_LOOK).is_multiple_of(STEPS_BETWEEN_LOOKS);
        if due && krylov.upper(dimension, options) <= options.enough {
            break;
        }
    }
    LargestSingularValue {
        upper: krylov.upper(dimension, options),
        vectors: krylov.ritz_vectors(dimension, options.keep),
    }
}

/// An orthonormal basis of the Krylov space so far, and the operator within it: tridiagonal.
#[derive(Default)]
struct Krylov {
    basis: Vec<Vec<f64>>,
    diagonal: Vec<f64>,
    off_diagonal: Vec<f64>,
    /// Norm of what the last step leads to outside the space.
    next: f64,
    /// The space holds the start vector's part of every eigenspace: with probability one the top
    /// one among them.
    exhausted: bool,
}

impl Krylov {
    /// Adds the direction of `vector` and replaces it by the next one; false when there is none.
    fn step(&mut self, vector: &mut Vec<f64>, normal: &dyn Fn(&[f64]) -> Vec<f64>) -> bool {
        let norm = dot_f64(vector, vector).sqrt();
        let scale = self.diagonal.first().copied().unwrap_or(1.0f64).abs();
        if norm <= f64::EPSILON * scale.max(f64::MIN_POSITIVE) * 16.0 {
            self.exhausted = true;
            return false;
        }
        if !self.basis.is_empty() {
            self.off_diagonal.push(norm);
        }
        vector.iter_mut().for_each(|value| *value /= norm);
        let next = normal(vector);
        self.diagonal.push(dot_f64(vector, &next));
        self.basis.push(std::mem::replace(vector, next));
        let basis = &self.basis;
        vectorised(
            Arch::new(),
            #[inline(always)]
            || orthogonalise(vector, basis),
        );
        self.next = dot_f64(vector, vector).sqrt();
        true
    }

    /// Eigenvalues and eigenvectors of the tridiagonal matrix; `None` for one without steps, or
    /// when it cannot be decomposed.
    fn eigenvalues(&self) -> Option<Vec<f64>> {
        self.tridiagonal()
            .self_adjoint_eigenvalues(Side::Lower)
            .ok()
    }

    fn tridiagonal(&self) -> Mat<f64> {
        let k = self.basis.len();
        Mat::from_fn(k, k, |i, j| match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.off_diagonal[i.min(j)],
            _ => 0.0,
        })
    }

    /// The bound on the largest singular value after the steps so far.
    fn upper(&self, dimension: usize, options: &LanczosOptions) -> f64 {
        let steps = self.basis.len();
        if steps == 0 {
            // Without a single step nothing is known, unless there is nothing to look at.
            return if self.exhausted { 0.0 } else { f64::INFINITY };
        }
        let Some(top) = self.eigenvalues().and_then(|values| values.last().copied()) else {
            return f64::INFINITY;
        };
        let failure = options.failure_probability / looks_max(options.steps_max) as f64;
        let excess = match self.exhausted {
            true => 0.0,
            false => relative_excess(dimension, steps, failure),
        };
        if excess < 1.0 {
            (top.max(0.0) / (1.0 - excess)).sqrt()
        } else {
            f64::INFINITY
        }
    }

    fn ritz_vectors(&self, dimension: usize, keep: Keep) -> Tall {
        let k = self.basis.len();
        let eigen = match self.tridiagonal().self_adjoint_eigen(Side::Lower) {
            Ok(eigen) if k > 0 => eigen,
            _ => return LargestSingularValue::without_vectors(dimension, 0.0).vectors,
        };
        let kept: Vec<usize> = (0..k)
            .rev()
            .filter(|index| {
                let value = eigen.S()[*index].max(0.0).sqrt();
                let residual = self.next * eigen.U()[(k - 1, *index)].abs();
                value > 0.0 && keep.keeps(value, residual / value)
            })
            .collect();
        Tall::from_rows(dimension, kept.len(), |row, into| {
            for (value, column) in into.iter_mut().zip(&kept) {
                *value = (0..k)
                    .map(|j| self.basis[j][row] * eigen.U()[(j, *column)])
                    .sum();
            }
        })
    }
}

/// The same from all eigenvalues of the operator's matrix. A negligible operator is all rounding,
/// on which Lanczos steps would find nothing to stand.
fn decomposed(
    dimension: usize,
    keep: Keep,
    project: &dyn Fn(&mut [f64]),
    normal: &dyn Fn(&[f64]) -> Vec<f64>,
) -> LargestSingularValue {
    let mut matrix = Mat::zeros(dimension, dimension);
    for column in 0..dimension {
        let mut vector = vec![0.0; dimension];
        vector[column] = 1.0;
        project(&mut vector);
        let mut image = normal(&vector);
        project(&mut image);
        for (row, value) in image.into_iter().enumerate() {
            matrix[(row, column)] = value;
        }
    }
    let Ok(eigen) = matrix.self_adjoint_eigen(Side::Lower) else {
        return LargestSingularValue::without_vectors(dimension, f64::INFINITY);
    };
    let root = |index: usize| eigen.S()[index].max(0.0).sqrt();
    let kept: Vec<usize> = (0..dimension)
        .rev()
        .filter(|index| keep.keeps(root(*index), 0.0))
        .collect();
    let largest = if dimension > 0 {
        root(dimension - 1)
    } else {
        0.0
    };
    LargestSingularValue {
        upper: largest * (1.0 + DECOMPOSITION_ALLOWANCE),
        vectors: Tall::from_rows(dimension, kept.len(), |row, into| {
            for (value, column) in into.iter_mut().zip(&kept) {
                *value = eigen.U()[(row, *column)];
            }
        }),
    }
}

fn gaussian(dimension: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    // Box–Muller, one half of each pair.
    (0..dimension)
        .map(|_| {
            let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        })
        .collect()
}

/// Twice is enough (Kahan): the second pass removes what rounding left of the first.
#[inline(always)]
fn orthogonalise(vector: &mut [f64], basis: &[Vec<f64>]) {
    for _ in 0..2 {
        for direction in basis {
            let along = dot_f64(direction, vector);
            add_scaled_f64(vector, -along, direction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_has_no_singular_value() {
        let options = LanczosOptions {
            steps_max: 60,
            seed: 1,
            keep: Keep {
                limit: 1.0,
                from_share: 0.85,
            },
            enough: 0.0,
            failure_probability: 1e-9,
        };
        let found = largest_singular_value(0, &options, &|_| {}, &|_| Vec::new(), &|| false);
        assert_eq!((found.upper, found.vectors.columns()), (0.0, 0));
    }

    /// A diagonal operator C: the largest singular value is known, and so is what has to be kept.
    #[test]
    fn the_bound_is_above_and_near_for_every_seed() {
        let dimension = 400;
        let value = |k: usize| 1.0 / (1.0 + k as f64 / 10.0);
        let normal = |x: &[f64]| -> Vec<f64> {
            x.iter()
                .enumerate()
                .map(|(k, x)| value(k) * value(k) * x)
                .collect()
        };
        for seed in 0..50 {
            let options = LanczosOptions {
                steps_max: 60,
                seed,
                keep: Keep {
                    limit: 1.0,
                    from_share: 0.85,
                },
                enough: 0.0,
                failure_probability: 1e-9,
            };
            let found = largest_singular_value(dimension, &options, &|_| {}, &normal, &|| false);
            assert!((1.0..1.05).contains(&found.upper), "{}", found.upper);
            assert_eq!(found.vectors.columns(), 2);
            assert!(found.vectors.row(0)[0].abs() > 1.0 - 1e-9);
        }
    }

    /// More work is never done than what is asked for needs.
    #[test]
    fn a_bound_that_is_enough_ends_the_work() {
        let products = std::cell::Cell::new(0);
        let normal = |x: &[f64]| -> Vec<f64> {
            products.set(products.get() + 1);
            x.iter()
                .enumerate()
                .map(|(k, x)| x / (1.0 + k as f64))
                .collect()
        };
        let options = LanczosOptions {
            steps_max: 200,
            seed: 3,
            keep: Keep {
                limit: 2.0,
                from_share: 1.0,
            },
            enough: 1.2,
            failure_probability: 1e-9,
        };
        let found = largest_singular_value(1_000, &options, &|_| {}, &normal, &|| false);
        assert!((1.0..=1.2).contains(&found.upper), "{}", found.upper);
        assert!(products.get() <= 60, "{}", products.get());
        assert_eq!(found.vectors.columns(), 0);
    }
}
