//! The largest singular value of an operator, from below and, with a stated probability of
//! failure, from above.

use faer::{Mat, Side};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

use crate::control::ShouldStop;
use crate::random::standard_normal;
use crate::unlearn::narrow::{Block, WIDTH, remove};
use crate::unlearn::tall::Tall;

/// Steps before the bound is first evaluated, and between evaluations.
const FIRST_BOUND: usize = 12;
const STEPS_BETWEEN_BOUNDS: usize = 4;

/// How hard to work for a bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct LanczosOptions {
    /// Most steps, each of four products.
    pub steps_max: usize,
    /// Seed of the random start vectors.
    pub seed: u64,
    /// Which Ritz vectors are returned.
    pub keep: Keep,
    /// An upper bound of at most this ends the work.
    pub enough: f64,
    /// Probability, over the start vectors, with which the upper bound may fail.
    pub failure_probability: f64,
}

/// Ritz vectors worth having: singular vectors but for a coupling `r = ‖CᵀCv − θ²v‖/θ`.
///
/// One that stands far enough below the limit is kept when its coupling is small against that
/// distance, so that treating it apart cannot lift the norm of the whole; one that is near the
/// limit or above is kept in any case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
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

/// What one step's products, of vectors of norm 1, are off at most, relative to the largest
/// singular value squared. A direction that is weaker than this is taken to be rounding.
const STEP_ALLOWANCE: f64 = 1e-12;

/// A direction weaker than this share carries along what is left of its neighbours' rounding, which
/// is projected away once more.
const WEAK_SHARE: f64 = 1e-4;

/// Relative excess ε such that `λ_max ≤ θ/(1−ε)` fails with probability at most `failure` after
/// `steps` Lanczos steps on a positive semi-definite operator of `dimension`, started from `starts`
/// independent vectors uniform on the sphere; 1 when `steps` are too few to say.
///
/// Kuczyński & Woźniakowski, "Estimating the largest eigenvalue by the power and Lanczos
/// algorithms with a random start" (SIAM J. Matrix Anal. Appl. 13, 1992), Theorem 4.2: from one
/// vector the probability is at most `1.648 √n exp(−√ε (2k−1))`. The space that a block spans holds
/// the one of each of its vectors, so its θ is at least each of theirs; and all of them fail at
/// once with at most the product of their probabilities.
pub(super) fn relative_excess(dimension: usize, steps: usize, starts: usize, failure: f64) -> f64 {
    let exponent = (1.648 * (dimension.max(1) as f64).sqrt()).ln() - failure.ln() / starts as f64;
    let root = exponent / (2.0 * steps as f64 - 1.0).max(1.0);
    (root * root).min(1.0)
}

/// Evaluations of the bound that a run may take at most.
fn bounds_max(steps_max: usize) -> usize {
    steps_max.saturating_sub(FIRST_BOUND) / STEPS_BETWEEN_BOUNDS + 2
}

/// Largest singular value of an operator C given by `normal`, the product with `CᵀC`, on the
/// subspace that `project` projects onto. `normal` may lead out of it by rounding.
///
/// Block Lanczos with full reorthogonalisation, until the bound is `enough` or the steps are used
/// up; cost: [`WIDTH`] products a step and `4·(WIDTH·steps)²·dimension` multiply-adds. The start
/// vectors are Gaussian from the seed, projected: uniform on the subspace's sphere and independent,
/// as the bound requires. Each evaluation of the bound may fail with an equal share of the failure
/// probability, so that stopping at the first that is good enough does not spend more. An operator
/// of no more dimensions than products is decomposed whole instead, and the bound is sure. When
/// `should_stop` turns true the bound is the weaker one of the steps done so far.
pub(super) fn largest_singular_value(
    dimension: usize,
    options: &LanczosOptions,
    project: &dyn Fn(&mut Block),
    normal: &dyn Fn(&Block) -> Block,
    should_stop: ShouldStop<'_>,
) -> LargestSingularValue {
    if dimension == 0 {
        // There is nothing left to know of, and the decomposition panics on it.
        return LargestSingularValue::without_vectors(0, 0.0);
    }
    if dimension <= WIDTH * options.steps_max {
        return decomposed(dimension, options.keep, project, normal);
    }
    let mut krylov = Krylov::new(dimension, options.steps_max);
    let mut block = gaussian(dimension, options.seed);
    project(&mut block);
    for step in 1..=options.steps_max {
        if should_stop() || !krylov.step(&mut block, project, normal) {
            break;
        }
        let due = step >= FIRST_BOUND && (step - FIRST_BOUND).is_multiple_of(STEPS_BETWEEN_BOUNDS);
        if due && krylov.upper(options) <= options.enough {
            break;
        }
    }
    LargestSingularValue {
        upper: krylov.upper(options),
        vectors: krylov.ritz_vectors(options.keep, block),
    }
}

/// A square matrix between two blocks.
type Small = [[f64; WIDTH]; WIDTH];

/// An orthonormal basis of the block Krylov space so far, and the operator within it: block
/// tridiagonal. Where a block lost a direction its column is zero, and so are row and column of the
/// matrix.
struct Krylov {
    dimension: usize,
    /// The blocks side by side, with room for those to come.
    basis: Tall,
    diagonal: Vec<Small>,
    off_diagonal: Vec<Small>,
    /// The space holds the start vectors' parts of every eigenspace: with probability one the top
    /// one among them.
    exhausted: bool,
    /// A product was not finite: nothing is known of the operator.
    broken: bool,
}

impl Krylov {
    fn new(dimension: usize, steps_max: usize) -> Self {
        Self {
            dimension,
            basis: Tall::from_rows(dimension, WIDTH * steps_max, |_, _| {}),
            diagonal: Vec::new(),
            off_diagonal: Vec::new(),
            exhausted: false,
            broken: false,
        }
    }

    fn steps(&self) -> usize {
        self.diagonal.len()
    }

    /// Columns of the basis so far.
    fn columns(&self) -> usize {
        WIDTH * self.steps()
    }

    /// Adds the directions of `block` and replaces it by the next ones; false when there are none.
    fn step(
        &mut self,
        block: &mut Block,
        project: &dyn Fn(&mut Block),
        normal: &dyn Fn(&Block) -> Block,
    ) -> bool {
        let scale = match self.diagonal.first() {
            Some(first) => first[0][0].abs(),
            None => block.column_inner(0, block, 0).sqrt(),
        };
        if !(0..WIDTH).all(|k| block.column_inner(k, block, k).is_finite()) {
            self.broken = true;
            return false;
        }
        let triangle = orthonormalise(block, STEP_ALLOWANCE * scale);
        let weakest = (0..WIDTH).map(|k| triangle[k][k]).fold(f64::MAX, f64::min);
        if (0..WIDTH).all(|k| triangle[k][k] == 0.0) {
            self.exhausted = true;
            return false;
        }
        if weakest < WEAK_SHARE * scale {
            project(block);
            self.orthogonalise(block);
            orthonormalise(block, 0.5);
        }
        if self.steps() > 0 {
            self.off_diagonal.push(triangle);
        }
        self.append(block);
        let mut next = normal(block);
        project(&mut next);
        self.diagonal.push(symmetric(block, &next));
        self.orthogonalise(&mut next);
        *block = next;
        true
    }

    fn append(&mut self, block: &Block) {
        let from = self.columns();
        self.basis.set_columns(from, |row, into| {
            into[..WIDTH].copy_from_slice(block.row(row));
        });
    }

    /// Twice is enough (Kahan): the second pass removes what rounding left of the first.
    fn orthogonalise(&self, block: &mut Block) {
        for _ in 0..2 {
            remove(&self.basis, self.columns(), block);
        }
    }

    fn block_tridiagonal(&self) -> Mat<f64> {
        let columns = self.columns();
        Mat::from_fn(columns, columns, |i, j| {
            let (row, column) = (i.max(j), i.min(j));
            match row / WIDTH - column / WIDTH {
                0 => self.diagonal[row / WIDTH][row % WIDTH][column % WIDTH],
                1 => self.off_diagonal[column / WIDTH][column % WIDTH][row % WIDTH],
                _ => 0.0,
            }
        })
    }

    /// The bound on the largest singular value after the steps so far.
    fn upper(&self, options: &LanczosOptions) -> f64 {
        if self.broken {
            return f64::INFINITY;
        }
        if self.steps() == 0 {
            // Without a single step nothing is known, unless there is nothing left of the operator.
            return if self.exhausted { 0.0 } else { f64::INFINITY };
        }
        let Ok(values) = self
            .block_tridiagonal()
            .self_adjoint_eigenvalues(Side::Lower)
        else {
            return f64::INFINITY;
        };
        if !values.iter().all(|value| value.is_finite()) {
            return f64::INFINITY;
        }
        let top = values.last().copied().unwrap_or(f64::INFINITY).max(0.0);
        let failure = options.failure_probability / bounds_max(options.steps_max) as f64;
        let excess = if self.exhausted {
            0.0
        } else {
            relative_excess(self.dimension, self.steps(), WIDTH, failure)
        };
        let allowance = 1.0 + STEP_ALLOWANCE * self.columns() as f64;
        if excess < 1.0 {
            (allowance * top / (1.0 - excess)).sqrt()
        } else {
            f64::INFINITY
        }
    }

    /// The Ritz vectors to keep; `next` is what the last step leads to outside the space.
    fn ritz_vectors(&self, keep: Keep, mut next: Block) -> Tall {
        let next = orthonormalise(&mut next, 0.0);
        let columns = self.columns();
        let eigen = match self.block_tridiagonal().self_adjoint_eigen(Side::Lower) {
            Ok(eigen) if columns > 0 => eigen,
            _ => return LargestSingularValue::without_vectors(self.dimension, 0.0).vectors,
        };
        let kept: Vec<usize> = (0..columns)
            .rev()
            .filter(|index| {
                let value = eigen.S()[*index].max(0.0).sqrt();
                let last = |k: usize| eigen.U()[(columns - WIDTH + k, *index)];
                let leaves = |row: usize| {
                    let along: f64 = (0..WIDTH).map(|k| next[k][row] * last(k)).sum();
                    along * along
                };
                let residual = (0..WIDTH).map(leaves).sum::<f64>().sqrt();
                value > 0.0 && keep.keeps(value, residual / value)
            })
            .collect();
        let coefficients = Mat::from_fn(self.basis.columns(), kept.len(), |row, column| {
            if row < columns {
                eigen.U()[(row, kept[column])]
            } else {
                0.0
            }
        });
        self.basis.times(coefficients.as_ref())
    }
}

/// Makes the block's columns orthonormal, in order; `triangle[b][a]` is what column b had along the
/// new column a. What is left of a column, when it is at most `negligible`, is set to zero.
fn orthonormalise(block: &mut Block, negligible: f64) -> Small {
    let mut triangle = Small::default();
    for (column, had) in triangle.iter_mut().enumerate() {
        for _ in 0..2 {
            for (before, had) in had[..column].iter_mut().enumerate() {
                let along = block.column_inner(before, block, column);
                block.add_column(column, -along, before);
                *had += along;
            }
        }
        let norm = block.column_inner(column, block, column).sqrt();
        let kept = norm > negligible;
        block.scale_column(column, if kept { 1.0 / norm } else { 0.0 });
        had[column] = if kept { norm } else { 0.0 };
    }
    triangle
}

/// `VᵀAV` from V and AV, made symmetric.
fn symmetric(block: &Block, image: &Block) -> Small {
    let product = |a: usize, b: usize| block.column_inner(a, image, b);
    std::array::from_fn(|a| std::array::from_fn(|b| 0.5 * (product(a, b) + product(b, a))))
}

/// The same from all eigenvalues of the operator's matrix. A negligible operator is all rounding,
/// on which Lanczos steps would find nothing to stand.
fn decomposed(
    dimension: usize,
    keep: Keep,
    project: &dyn Fn(&mut Block),
    normal: &dyn Fn(&Block) -> Block,
) -> LargestSingularValue {
    let mut matrix = Mat::zeros(dimension, dimension);
    for first in (0..dimension).step_by(WIDTH) {
        let mut block = Block::zeros(dimension);
        let columns = WIDTH.min(dimension - first);
        (0..columns).for_each(|k| block.row_mut(first + k)[k] = 1.0);
        project(&mut block);
        let mut image = normal(&block);
        project(&mut image);
        for row in 0..dimension {
            (0..columns).for_each(|k| matrix[(row, first + k)] = image.row(row)[k]);
        }
    }
    let unknown = || LargestSingularValue::without_vectors(dimension, f64::INFINITY);
    if !matrix.norm_max().is_finite() || matrix.norm_l2().is_nan() {
        return unknown();
    }
    let Ok(eigen) = matrix.self_adjoint_eigen(Side::Lower) else {
        return unknown();
    };
    if !eigen
        .S()
        .column_vector()
        .iter()
        .all(|value| value.is_finite())
    {
        return unknown();
    }
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

fn gaussian(dimension: usize, seed: u64) -> Block {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut block = Block::zeros(dimension);
    for row in 0..dimension {
        *block.row_mut(row) = std::array::from_fn(|_| standard_normal(&mut random));
    }
    block
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
        let found = largest_singular_value(0, &options, &|_| {}, &|_| Block::zeros(0), &|| false);
        assert_eq!((found.upper, found.vectors.columns()), (0.0, 0));
    }

    /// A diagonal operator C: the largest singular value is known, and so is what has to be kept.
    #[test]
    fn the_bound_is_above_and_near_for_every_seed() {
        let dimension = 400;
        let value = |k: usize| 1.0 / (1.0 + k as f64 / 10.0);
        let normal =
            |x: &Block| Block::from_rows(x.rows(), |k| x.row(k).map(|x| value(k) * value(k) * x));
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
        let normal = |x: &Block| {
            products.set(products.get() + WIDTH);
            Block::from_rows(x.rows(), |k| x.row(k).map(|x| x / (1.0 + k as f64)))
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
