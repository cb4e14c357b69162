//! Trust-region Newton with preconditioned conjugate gradients: Nocedal & Wright, "Numerical
//! Optimization", 2nd edition, algorithms 4.1 and 7.2 (Steihaug), in the preconditioner's norm.

use rayon::prelude::*;
use recant_core::model::{Ials, InteractionMatrix, Side};
use recant_core::optim::als::CholeskyCache;
use recant_core::optim::{BlockSolver, PackedFactor, SharedHessian};

use super::vector::{add_scaled, dot, scale};
use super::{Joint, Residuals};

/// Conjugate gradients end when the gradient of the model has fallen to this share.
const FORCING: f64 = 1e-3;

/// Predicted decreases below this share of the objective are rounding.
const ROUNDING: f64 = 1e-14;

/// Block Jacobi: the Cholesky factor of every block's own part of the Hessian, taken from `kept`
/// where it serves.
pub struct Preconditioner<'a> {
    kept: &'a CholeskyCache,
    /// Those that were not kept, by block, users first.
    made: Vec<Option<PackedFactor>>,
    lengths: Vec<usize>,
    users: usize,
    dim: usize,
}

impl<'a> Preconditioner<'a> {
    /// For Hessians near that at `model`.
    pub fn new(model: &Ials, matrix: &InteractionMatrix, kept: &'a CholeskyCache) -> Self {
        let (mut made, mut lengths) = (Vec::new(), Vec::new());
        for side in [Side::Users, Side::Items] {
            let view = model.side(side, matrix);
            let shared = SharedHessian::new(view.gramian, view.hyper.alpha0, view.hyper.dim);
            let blocks: Vec<_> = (0..view.blocks() as u32)
                .into_par_iter()
                .map(|block| {
                    let length = view.entries(block).len();
                    if length == 0 || kept.factor(side, block, length).is_some() {
                        return (None, length);
                    }
                    let mut factor = PackedFactor::default();
                    let mut row = view.own.row(block as usize).to_vec();
                    BlockSolver::new(view.hyper.dim).solve_and_cache(
                        &view,
                        &shared,
                        block,
                        &mut row,
                        Some(&mut factor),
                    );
                    (Some(factor), length)
                })
                .collect();
            for (factor, length) in blocks {
                made.push(factor);
                lengths.push(length);
            }
        }
        Self {
            kept,
            made,
            lengths,
            users: model.users.rows(),
            dim: model.hyper.dim,
        }
    }

    /// `M⁻¹ r`; zero for blocks without interactions.
    fn apply(&self, residual: &[f64]) -> Vec<f64> {
        let mut result = vec![0.0; residual.len()];
        result
            .par_chunks_mut(self.dim)
            .zip(residual.par_chunks(self.dim))
            .enumerate()
            .with_min_len(64)
            .for_each(|(block, (into, residual))| {
                if let Some(factor) = self.factor(block) {
                    factor.step(residual, into);
                    into.iter_mut().for_each(|value| *value = -*value);
                }
            });
        result
    }

    fn factor(&self, block: usize) -> Option<&PackedFactor> {
        let length = self.lengths[block];
        let (side, row) = if block < self.users {
            (Side::Users, block)
        } else {
            (Side::Items, block - self.users)
        };
        let made = self.made[block]
            .as_ref()
            .filter(|made| made.is_fresh(length));
        made.or_else(|| self.kept.factor(side, row as u32, length))
    }
}

/// A step within the trust region, and what it is predicted to bring.
struct Step {
    step: Vec<f64>,
    predicted: f64,
    on_boundary: bool,
}

/// The quadratic model of the objective at one point.
struct Quadratic<'a> {
    joint: &'a Joint,
    point: &'a [f64],
    residuals: &'a Residuals,
    gradient: &'a [f64],
}

impl Quadratic<'_> {
    /// Minimises the model within `radius` in the norm of M, at most `steps` products. `M·vector`
    /// is never needed: the norms follow from recurrences (Conn, Gould & Toint, "Trust-Region
    /// Methods", 2000, equations 7.5.5 to 7.5.7).
    fn minimise(&self, preconditioner: &Preconditioner<'_>, radius: f64, steps: usize) -> Step {
        let mut step = vec![0.0; self.point.len()];
        let mut residual = self.gradient.to_vec();
        let mut solved = preconditioner.apply(&residual);
        let mut direction = solved.clone();
        scale(&mut direction, -1.0);
        let mut size = dot(&residual, &solved);
        let (first, mut predicted) = (size, 0.0);
        let (mut step_squared, mut cross, mut direction_squared) = (0.0, 0.0, size);
        let mut product = vec![0.0; step.len()];
        for _ in 0..steps {
            let (point, residuals) = (self.point, self.residuals);
            self.joint
                .hessian_product(point, residuals, &direction, &mut product);
            let curvature = dot(&direction, &product);
            let length = size / curvature;
            let next_squared =
                step_squared + 2.0 * length * cross + length * length * direction_squared;
            if curvature <= 0.0 || next_squared >= radius * radius {
                let root =
                    (cross * cross + direction_squared * (radius * radius - step_squared)).sqrt();
                let length = (root - cross) / direction_squared;
                add_scaled(&mut step, length, &direction);
                predicted += length * size - 0.5 * length * length * curvature;
                return Step {
                    step,
                    predicted,
                    on_boundary: true,
                };
            }
            add_scaled(&mut step, length, &direction);
            predicted += 0.5 * length * size;
            add_scaled(&mut residual, length, &product);
            solved = preconditioner.apply(&residual);
            let next = dot(&residual, &solved);
            let share = next / size;
            size = next;
            step_squared = next_squared;
            cross = share * (cross + length * direction_squared);
            direction_squared = size + share * share * direction_squared;
            if size <= FORCING * FORCING * first {
                break;
            }
            scale(&mut direction, share);
            add_scaled(&mut direction, -1.0, &solved);
        }
        Step {
            step,
            predicted,
            on_boundary: false,
        }
    }
}

/// At most `steps` Newton steps from `start`, each of at most `products` conjugate gradient steps.
pub fn minimise(
    joint: &Joint,
    start: &[f64],
    preconditioner: &Preconditioner<'_>,
    steps: usize,
    products: usize,
) -> Vec<f64> {
    let (mut point, mut gradient) = (start.to_vec(), vec![0.0; start.len()]);
    let mut residuals = joint.residuals();
    let mut value = joint.evaluate(&point, &mut residuals, &mut gradient);
    let mut radius = f64::INFINITY;
    for _ in 0..steps {
        let size = dot(&gradient, &preconditioner.apply(&gradient)).sqrt();
        // Ten block steps: far enough for what is near a minimum, and a bound along the gauge.
        radius = radius.min(10.0 * size);
        let quadratic = Quadratic {
            joint,
            point: &point,
            residuals: &residuals,
            gradient: &gradient,
        };
        let found = quadratic.minimise(preconditioner, radius, products);
        if found.predicted <= ROUNDING * value.abs() {
            break;
        }
        let mut next = point.clone();
        add_scaled(&mut next, 1.0, &found.step);
        let mut next_residuals = joint.residuals();
        let mut next_gradient = vec![0.0; next.len()];
        let next_value = joint.evaluate(&next, &mut next_residuals, &mut next_gradient);
        let ratio = (value - next_value) / found.predicted;
        if ratio < 0.25 {
            radius *= 0.25;
        } else if ratio > 0.75 && found.on_boundary {
            radius *= 2.0;
        }
        if ratio > 0.0 {
            (point, gradient, value) = (next, next_gradient, next_value);
            residuals = next_residuals;
        }
    }
    point
}
