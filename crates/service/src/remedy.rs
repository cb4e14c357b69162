//! What would close a certificate that the ceiling of d columns keeps open.
//!
//! At a stationary point the scaled gradient G̃ has singular values of at most 1 (its limit) if and
//! only if X is the minimiser of the convex problem. Where all d columns are taken and the k-th
//! direction outside them still has σ_k > 1, either of two things helps:
//!
//! - a larger λ. G̃ is divided by as much as λ is multiplied by, so `σ₁ λ` would do at this very X.
//!   But X shrinks under the larger λ, which leaves more of the data unexplained and raises G; the
//!   excess is therefore taken with a surcharge.
//! - more columns. Every direction over the limit asks for one. More may follow once those are in,
//!   hence a surcharge here too.
//!
//! Both are estimates and are called so: what they lead to is certified, or not, by its own
//! training. On ML-100k (α₀ = 0.3, unit weights) the λ named at d = 4, 8, 16, 24 for λ = 0.02 and
//! 0.03 closed the certificate every time, with at most one column to spare; the minimiser's
//! rank at λ = 0.02 is 33, and the dimensions named from d = 4 to 24 were 40 to 64. With more columns
//! wanting than there are, the λ named is too small: docs/quality.md.

use std::fmt;

use crate::digits::two_digits;
use recant_core::unlearn::Convergence;
use recant_types::{DIM_MAX, IalsHyperparameters};

/// Surcharge on the excess of σ over its limit.
const LAMBDA_SURCHARGE: f64 = 1.5;

/// Surcharge on the number of columns asked for.
const DIM_SURCHARGE: f64 = 1.5;

/// Dimensions are recommended in multiples of this: the kernels work on whole vectors.
const DIM_STEP: usize = 8;

/// Two ways to close the certificate; each does without the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Remedy {
    /// About the least λ for which the present number of dimensions would do.
    pub lambda: f64,
    /// About the number of dimensions that would do for the present λ, if there is one within
    /// [`DIM_MAX`].
    pub dim: Option<usize>,
    /// Directions that found no column.
    pub wanting: usize,
    /// Dimensions there are.
    pub taken: usize,
}

impl Remedy {
    /// The remedy for a convergence that ended because the ceiling bound; `None` when it did not,
    /// or when nothing is over the limit.
    pub fn of(convergence: &Convergence, hyper: &IalsHyperparameters) -> Option<Self> {
        let gap = &convergence.gap;
        let sigma = gap
            .descent_directions
            .iter()
            .map(|direction| direction.sigma)
            .fold(1.0, f64::max);
        if convergence.rank_overflows == 0 || sigma <= 1.0 {
            return None;
        }
        let lambda = hyper.lambda * (1.0 + LAMBDA_SURCHARGE * (sigma - 1.0));
        let wanting = gap.descent_directions.len();
        let more = (wanting as f64 * DIM_SURCHARGE).ceil() as usize;
        let dim = (hyper.dim + more).next_multiple_of(DIM_STEP);
        Some(Self {
            lambda: two_digits(lambda, f64::ceil),
            dim: (dim <= DIM_MAX).then_some(dim),
            wanting,
            taken: hyper.dim,
        })
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "all {} dimensions are taken and {} more are wanted; lambda {} or somewhat more would close it",
            self.taken, self.wanting, self.lambda
        )?;
        match self.dim {
            Some(dim) => write!(f, ", or dim {dim}"),
            None => Ok(()),
        }
    }
}
