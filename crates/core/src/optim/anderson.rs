//! Anderson acceleration of a fixed-point map.

use std::collections::VecDeque;

use faer::Mat;
use faer::linalg::solvers::Solve;
use rayon::prelude::*;

/// Relative weight of the identity in the small least-squares problem. Large enough to survive
/// differences that are parallel to rounding, small enough not to slow convergence down.
const RIDGE: f64 = 1e-10;

/// Values a parallel task works on. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 16 * 1024;

/// Extrapolates the iterates of a fixed-point map `x ← T(x)` from a short history.
///
/// With residuals `f = T(x) − x`, the next iterate is `T(x) − ΔG γ`, where γ minimises
/// `‖f − ΔF γ‖₂` over the last `depth` differences (Anderson 1965; in the form of Walker & Ni,
/// "Anderson Acceleration for Fixed-Point Iterations", SIAM J. Numer. Anal. 49, 2011, eq. 2.2).
/// It has no safeguard of its own: the caller rejects an iterate that is worse and calls
/// [`Anderson::reset`]. Memory: `2·depth + 2` vectors; time: `depth²` dot products of one vector's
/// length a step, most of them kept from the step before.
#[derive(Debug)]
pub struct Anderson {
    depth: usize,
    residual_differences: VecDeque<Vec<f64>>,
    image_differences: VecDeque<Vec<f64>>,
    previous: Option<(Vec<f64>, Vec<f64>)>,
}

impl Anderson {
    /// An accelerator that looks back over at most `depth` steps.
    pub fn new(depth: usize) -> Self {
        Self {
            depth,
            residual_differences: VecDeque::new(),
            image_differences: VecDeque::new(),
            previous: None,
        }
    }

    /// Forgets the history.
    pub fn reset(&mut self) {
        self.residual_differences.clear();
        self.image_differences.clear();
        self.previous = None;
    }

    /// Whether the next step would be more than the map itself.
    pub fn has_history(&self) -> bool {
        self.previous.is_some()
    }

    /// The next iterate, given `x` and its `image` T(x) of the same length.
    pub fn next(&mut self, x: &[f64], image: &[f64]) -> Vec<f64> {
        let residual = difference(image, x);
        if let Some((last_residual, last_image)) = self.previous.take() {
            self.residual_differences
                .push_back(difference(&residual, &last_residual));
            self.image_differences
                .push_back(difference(image, &last_image));
            if self.residual_differences.len() > self.depth {
                self.residual_differences.pop_front();
                self.image_differences.pop_front();
            }
        }
        let mut next = image.to_vec();
        for (gamma, change) in self
            .mixing(&residual)
            .into_iter()
            .zip(&self.image_differences)
        {
            subtract_scaled(&mut next, gamma, change);
        }
        self.previous = Some((residual, image.to_vec()));
        next
    }

    /// γ, from the normal equations of the small least-squares problem.
    fn mixing(&self, residual: &[f64]) -> Vec<f64> {
        let differences = &self.residual_differences;
        let k = differences.len();
        if k == 0 {
            return Vec::new();
        }
        let mut gram = Mat::zeros(k, k);
        for i in 0..k {
            for j in 0..=i {
                let product = dot(&differences[i], &differences[j]);
                gram[(i, j)] = product;
                gram[(j, i)] = product;
            }
        }
        for i in 0..k {
            gram[(i, i)] *= 1.0 + RIDGE;
            gram[(i, i)] += f64::MIN_POSITIVE;
        }
        let right = Mat::from_fn(k, 1, |i, _| dot(&differences[i], residual));
        let solution = gram.partial_piv_lu().solve(&right);
        let gamma: Vec<f64> = (0..k).map(|i| solution[(i, 0)]).collect();
        if gamma.iter().all(|value| value.is_finite()) {
            gamma
        } else {
            vec![0.0; k]
        }
    }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    debug_assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

fn subtract_scaled(from: &mut [f64], scale: f64, what: &[f64]) {
    from.par_chunks_mut(CHUNK)
        .zip(what.par_chunks(CHUNK))
        .for_each(|(from, what)| {
            for (a, b) in from.iter_mut().zip(what) {
                *a -= scale * b;
            }
        });
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    let partial: Vec<f64> = a
        .par_chunks(CHUNK)
        .zip(b.par_chunks(CHUNK))
        .map(|(a, b)| a.iter().zip(b).map(|(x, y)| x * y).sum())
        .collect();
    partial.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x ← A x + b with a spectrum up to 0.99: thousands of plain steps, a handful accelerated.
    #[test]
    fn a_slow_linear_map_converges_in_about_as_many_steps_as_it_has_dimensions() {
        let rates = [0.99, 0.95, 0.9, 0.5, 0.1];
        let map = |x: &[f64]| -> Vec<f64> {
            x.iter()
                .zip(rates)
                .map(|(x, rate)| rate * x + 1.0)
                .collect()
        };
        let mut anderson = Anderson::new(5);
        let mut x = vec![0.0; rates.len()];
        for _ in 0..10 {
            x = anderson.next(&x.clone(), &map(&x));
        }
        for (value, rate) in x.iter().zip(rates) {
            let fixed_point = 1.0 / (1.0 - rate);
            assert!(
                (value - fixed_point).abs() < 1e-6 * fixed_point,
                "{value} {fixed_point}"
            );
        }
    }

    #[test]
    fn at_a_fixed_point_it_stays() {
        let mut anderson = Anderson::new(3);
        for _ in 0..5 {
            assert_eq!(anderson.next(&[1.0, 2.0], &[1.0, 2.0]), [1.0, 2.0]);
        }
    }
}
