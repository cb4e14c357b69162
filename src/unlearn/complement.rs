//! The scaled gradient outside the directions treated exactly.

use crate::optim::als::ShouldStop;
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::lanczos::{LanczosOptions, LargestSingularValue, largest_singular_value};
use crate::unlearn::tall::{Tall, both};

/// `C = (I−UUᵀ) G̃ (I−VVᵀ)` for orthonormal U and V.
///
/// With `G̃ = S + 2α₀ P̃Q̃ᵀ` and v orthogonal to V, `Cv = (I−UUᵀ) S v + 2α₀ P̃' Q̃'ᵀ v`, where
/// `P̃' = (I−UUᵀ)P̃` and `Q̃' = (I−VVᵀ)Q̃` are computed once: one projection a product, on the
/// sparse part only.
pub(super) struct Complement<'a> {
    operator: &'a ScaledGradient<'a>,
    left: &'a Tall,
    right: &'a Tall,
    users: Tall,
    items: Tall,
}

impl<'a> Complement<'a> {
    /// The operator outside `left` (users × k) and `right` (items × k).
    /// Cost: `4(users+items)·d·k` multiply-adds.
    pub(super) fn of(operator: &'a ScaledGradient<'a>, left: &'a Tall, right: &'a Tall) -> Self {
        let outside = |factors: &Tall, basis: &Tall| {
            let mut outside = factors.clone();
            outside.remove(basis);
            outside
        };
        let (users, items) = both(
            || outside(&operator.scaled_users, left),
            || outside(&operator.scaled_items, right),
        );
        Self {
            operator,
            left,
            right,
            users,
            items,
        }
    }

    /// `CᵀC v` for v orthogonal to V. Cost: `2|S| + 2(users+items)(d+k)` multiply-adds.
    fn normal(&self, vector: &[f64]) -> Vec<f64> {
        let weight = 2.0 * self.operator.alpha0;
        let mut image = self.operator.sparse_apply(vector);
        let along = self.left.transposed_times_vector(&image);
        self.left.add_times_vector(&along, -1.0, &mut image);
        let inner = self.items.transposed_times_vector(vector);
        self.users.add_times_vector(&inner, weight, &mut image);
        let mut back = self.operator.sparse_apply_transposed(&image);
        let inner = self.users.transposed_times_vector(&image);
        self.items.add_times_vector(&inner, weight, &mut back);
        // What rounding left within V would grow from step to step: removed twice.
        self.right.remove_from(&mut back);
        back
    }

    /// Its largest singular value.
    pub(super) fn largest_singular_value(
        &self,
        options: &LanczosOptions,
        should_stop: ShouldStop<'_>,
    ) -> LargestSingularValue {
        largest_singular_value(
            self.operator.items(),
            options,
            &|vector| self.right.remove_from(vector),
            &|vector| self.normal(vector),
            should_stop,
        )
    }
}
