//! The score that is the inner product of two rows: what matrix factorisation and LightGCN share.

use pulp::Arch;

use crate::network::Batch;
use crate::parameters::Layout;
use recant_core::simd::vectorised;

/// `x · y` in f32, sixteen partial sums.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (head_a, head_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (tail_a, tail_b) = (head_a.remainder(), head_b.remainder());
    for (x, y) in head_a.zip(head_b) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let tail: f32 = tail_a.iter().zip(tail_b).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + tail
}

/// The parameters: a row of `dim` for everybody, and no layers.
pub fn layout(dim: usize, users: usize, items: usize) -> Layout {
    Layout {
        users,
        items,
        user_width: dim,
        item_width: dim,
        shared: 0,
    }
}

/// Scores of a batch of rows of `dim`.
pub fn forward(dim: usize, batch: &mut Batch) {
    let Batch {
        users,
        items,
        scores,
        ..
    } = batch;
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            let rows = users.chunks_exact(dim).zip(items.chunks_exact(dim));
            for (score, (user, item)) in scores.iter_mut().zip(rows) {
                *score = dot(user, item);
            }
        },
    );
}

/// Derivatives of the scores along the batch's tangents.
pub fn tangent(dim: usize, batch: &mut Batch) {
    let Batch {
        users,
        items,
        user_tangents,
        item_tangents,
        tangents,
        ..
    } = batch;
    if user_tangents.is_empty() {
        tangents.fill(0.0);
        return;
    }
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            let rows = users.chunks_exact(dim).zip(items.chunks_exact(dim));
            let ways = user_tangents
                .chunks_exact(dim)
                .zip(item_tangents.chunks_exact(dim));
            for (tangent, ((user, item), (user_way, item_way))) in
                tangents.iter_mut().zip(rows.zip(ways))
            {
                *tangent = dot(user_way, item) + dot(user, item_way);
            }
        },
    );
}

/// Gradients of the scores by both rows, times the coefficients.
pub fn backward(dim: usize, batch: &mut Batch) {
    let Batch {
        users,
        items,
        coefficients,
        user_gradients,
        item_gradients,
        ..
    } = batch;
    vectorised(
        Arch::new(),
        #[inline(always)]
        || {
            for (pair, coefficient) in coefficients.iter().enumerate() {
                let range = pair * dim..(pair + 1) * dim;
                let (user, item) = (&users[range.clone()], &items[range.clone()]);
                let user_gradient = &mut user_gradients[range.clone()];
                for (gradient, value) in user_gradient.iter_mut().zip(item) {
                    *gradient = coefficient * value;
                }
                for (gradient, value) in item_gradients[range].iter_mut().zip(user) {
                    *gradient = coefficient * value;
                }
            }
        },
    );
}
