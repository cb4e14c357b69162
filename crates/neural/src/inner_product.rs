//! The score that is the inner product of two rows: what matrix factorisation and LightGCN share.

use pulp::Arch;

use crate::network::Batch;
use crate::parameters::Layout;
use recant_core::simd::{dot_f32, vectorised};

/// The parameters: a row of `dim` for everybody, and no layers.
pub(crate) fn layout(dim: usize, users: usize, items: usize) -> Layout {
    Layout {
        users,
        items,
        user_width: dim,
        item_width: dim,
        shared: 0,
    }
}

/// Scores of a batch of rows of `dim`.
pub(crate) fn forward(dim: usize, batch: &mut Batch) {
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
                *score = dot_f32(user, item);
            }
        },
    );
}

/// Derivatives of the scores along the batch's tangents.
pub(crate) fn tangent(dim: usize, batch: &mut Batch) {
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
            let directions = user_tangents
                .chunks_exact(dim)
                .zip(item_tangents.chunks_exact(dim));
            for (tangent, ((user, item), (user_direction, item_direction))) in
                tangents.iter_mut().zip(rows.zip(directions))
            {
                *tangent = dot_f32(user_direction, item) + dot_f32(user, item_direction);
            }
        },
    );
}

/// Gradients of the scores by both rows, times the coefficients.
pub(crate) fn backward(dim: usize, batch: &mut Batch) {
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
