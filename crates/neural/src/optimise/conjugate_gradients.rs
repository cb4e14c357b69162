//! Conjugate gradients for `(H + μ D) x = b`, H known by its products, D a diagonal.

use crate::objective::Point;
use crate::optimise::selection::Selection;
use crate::parameters::Parameters;
use crate::vectors::{add_scaled, divided, par_dot, scale_and_add};

/// When conjugate gradients end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stopping {
    /// Most products with H.
    pub products_max: usize,
    /// The residual, relative to b, in the norm of D⁻¹.
    pub tolerance: f64,
}

/// What conjugate gradients found.
#[derive(Debug)]
pub struct Solution {
    /// x; zero outside the selection.
    pub x: Parameters,
    /// Products with H that it took.
    pub products: usize,
    /// `bᵀx − ½ xᵀ(H + μD)x`: how much the quadratic model falls by the step.
    pub decrease: f64,
}

/// Solves `(H + μ D) x = b` for the Gauss–Newton matrix H at `point` within the selection, D how
/// many examples name each parameter; preconditioned by D (Nocedal & Wright 2006, algorithm 5.3).
/// `b` is zero outside the selection. Cost: one Gauss–Newton product an iteration.
pub fn conjugate_gradients(
    point: &Point<'_>,
    selection: &Selection,
    scales: &[f32],
    damping: f64,
    b: &Parameters,
    stopping: Stopping,
) -> Solution {
    let block = selection.block;
    let mut x = Parameters::zeros(*b.layout());
    let mut residual = b.block(block).to_vec();
    let mut direction = Parameters::zeros(*b.layout());
    let mut product = Parameters::zeros(*b.layout());
    let mut preconditioned = divided(&residual, scales);
    direction.block_mut(block).copy_from_slice(&preconditioned);
    let mut energy = par_dot(&residual, &preconditioned);
    let enough = energy * stopping.tolerance * stopping.tolerance;
    let (mut products, mut decrease) = (0, 0.0);
    while products < stopping.products_max && energy > enough && energy > 0.0 {
        point.gauss_newton_product(block, &direction, &mut product);
        selection.restrict(&mut product);
        products += 1;
        let along = direction.block(block);
        add_damping(product.block_mut(block), damping, scales, along);
        let curvature = par_dot(along, product.block(block));
        if !(curvature > 0.0 && curvature.is_finite()) {
            break;
        }
        let step = energy / curvature;
        add_scaled(x.block_mut(block), step, along);
        add_scaled(&mut residual, -step, product.block(block));
        decrease += 0.5 * step * energy;
        preconditioned = divided(&residual, scales);
        let next = par_dot(&residual, &preconditioned);
        scale_and_add(direction.block_mut(block), next / energy, &preconditioned);
        energy = next;
    }
    Solution {
        x,
        products,
        decrease,
    }
}

fn add_damping(into: &mut [f32], damping: f64, scales: &[f32], along: &[f32]) {
    let damping = damping as f32;
    for (sum, (scale, value)) in into.iter_mut().zip(scales.iter().zip(along)) {
        *sum += damping * scale * value;
    }
}
