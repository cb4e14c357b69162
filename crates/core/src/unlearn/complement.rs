//! The scaled gradient outside the directions treated exactly.

use crate::control::ShouldStop;
use crate::unlearn::gradient_operator::ScaledGradient;
use crate::unlearn::lanczos::{LanczosOptions, LargestSingularValue, largest_singular_value};
use crate::unlearn::narrow::{Block, add_times, inner, remove};
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
    pub(super) fn build(operator: &'a ScaledGradient<'a>, left: &'a Tall, right: &'a Tall) -> Self {
        // Columns that the model does not use would only be carried along.
        let used: Vec<usize> = (operator.scaled_users.column_squares().iter())
            .zip(operator.scaled_items.column_squares())
            .enumerate()
            .filter(|(_, (users, items))| **users > 0.0 && *items > 0.0)
            .map(|(column, _)| column)
            .collect();
        let outside = |factors: &Tall, basis: &Tall| {
            let mut outside = factors.columns_at(&used);
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

    /// `CᵀC v` for each v of a block, orthogonal to V; out of that by what couples U and V.
    /// Cost for each: `2|S| + 2(users+items)(d+k)` multiply-adds.
    fn normal(&self, block: &Block) -> Block {
        let weight = 2.0 * self.operator.alpha0;
        let mut image = self.operator.sparse_apply(block);
        remove(self.left, self.left.columns(), &mut image);
        let along = inner(&self.items, self.items.columns(), block);
        add_times(&self.users, &along, weight, &mut image);
        let mut back = self.operator.sparse_apply_transposed(&image);
        let along = inner(&self.users, self.users.columns(), &image);
        add_times(&self.items, &along, weight, &mut back);
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
            &|block| remove(self.right, self.right.columns(), block),
            &|block| self.normal(block),
            should_stop,
        )
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    use super::*;
    use crate::model::factors::Factors;
    use crate::model::ials::Ials;
    use crate::model::interactions::{Entry, InteractionMatrix};
    use crate::unlearn::lanczos::Keep;
    use recant_types::IalsHyperparameters;

    fn random_factors(rows: usize, dim: usize, random: &mut ChaCha12Rng) -> Factors {
        let mut factors = Factors::zeros(rows, dim);
        let values = factors.as_mut_slice().iter_mut();
        values.for_each(|value| *value = random.random_range(-0.5..0.5));
        factors
    }

    /// A complement of more items than a run has products, against all of its singular values.
    #[test]
    fn lanczos_steps_bound_what_a_decomposition_finds() {
        let (users, items, dim) = (120, 300, 6);
        let mut random = ChaCha12Rng::seed_from_u64(5);
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = (0..users)
            .map(|_| {
                (0..items as u32)
                    .filter(|_| random.random_bool(0.1))
                    .map(entry)
                    .collect()
            })
            .collect();
        let matrix = InteractionMatrix::from_histories(histories, items);
        let hyper = IalsHyperparameters {
            dim,
            ..IalsHyperparameters::default()
        };
        let factors = random_factors(users, dim, &mut random);
        let model = Ials::from_factors(hyper, factors, random_factors(items, dim, &mut random));
        let operator = ScaledGradient::evaluate(&model, &matrix);
        let (left, _) = operator.scaled_users.orthonormalised();
        let (right, _) = operator.scaled_items.orthonormalised();
        let complement = Complement::build(&operator, &left, &right);
        let options = |steps_max, seed| LanczosOptions {
            steps_max,
            seed,
            keep: Keep {
                limit: 2.0,
                from_share: 0.9,
            },
            enough: 0.0,
            failure_probability: 1e-9,
        };
        let exact = complement
            .largest_singular_value(&options(items, 0), &|| false)
            .upper;
        for seed in 0..20 {
            let found = complement.largest_singular_value(&options(60, seed), &|| false);
            assert!(
                (exact..1.01 * exact).contains(&found.upper),
                "{exact} {}",
                found.upper
            );
        }
    }
}
