//! A proximal term that anchors the minimum to the trained parameters: how a model that is at no minimum
//! can be unlearnt by methods that lead to minima.
//!
//! Training by AdamW meets fresh negatives in every epoch and ends early, so the gradient of the
//! fixed objective is not zero where it ends. A method that minimises that objective would go on
//! training on its few negatives, which moves the model far more than a deletion does. So the
//! gradient that training left is taken as given: `L(θ) − ⟨∇L(θ₀), θ⟩` is stationary at θ₀, and the
//! change of the data is the only cause of motion (its first Newton step is that of influence
//! functions, Koh & Liang 2017). But θ₀ is then a saddle as a rule, left by ever larger steps along
//! what training had not yet grown; a proximal term `μ/2 Σ n ‖θ − θ₀‖²`, strong enough, makes it a
//! minimum. Both are the additions of DANE (Shamir, Srebro & Zhang 2014, equation 13) to a local
//! objective.

use crate::objective::{Objective, ProximalTerm};
use crate::optimise::rows::{is_separable, row_gradient};
use crate::parameters::{Block, Parameters};
use recant_core::model::{RowSets, Side};

/// The parameters θ₀ where training ended, as what they add to objectives.
#[derive(Debug, Clone)]
pub struct Anchor {
    strength: f32,
    /// `∇L(θ₀) / n + μ θ₀`: with less data each row keeps its share.
    per_example: Parameters,
}

impl Anchor {
    /// Anchors to `at`, where training on `objective` ended, with `strength` μ per example. Cost: a
    /// gradient.
    pub fn new(objective: &Objective<'_>, at: &Parameters, strength: f32) -> Self {
        let mut per_example = Parameters::zeros(*at.layout());
        objective.prepare(at).gradient(Block::All, &mut per_example);
        objective.visit_weights(at, Block::All, |range, weight| {
            let places = at.values()[range.clone()].iter();
            let values = per_example.values_mut()[range].iter_mut().zip(places);
            values.for_each(|(value, at)| *value = *value / weight.max(1.0) + strength * at);
        });
        Self {
            strength,
            per_example,
        }
    }

    /// Anchors some rows only, and not the others: for methods that move no other. Cost: where rows can be solved for one by one, the gradients of these; a whole gradient
    /// otherwise.
    pub fn for_rows(
        objective: &Objective<'_>,
        at: &Parameters,
        strength: f32,
        rows: &RowSets,
    ) -> Self {
        if !is_separable(objective) {
            return Self::new(objective, at, strength);
        }
        let mut per_example = Parameters::zeros(*at.layout());
        let mut anchor = |side, row: u32, weight: f32| {
            let gradient = row_gradient(objective, at, side, row);
            let values = per_example.row_mut(side, row).iter_mut();
            let places = values.zip(gradient.iter().zip(at.row(side, row)));
            places.for_each(|(value, (derivative, at))| {
                *value = *derivative as f32 / weight.max(1.0) + strength * at;
            });
        };
        for row in &rows.users {
            anchor(Side::Users, *row, objective.user_weight(*row as usize));
        }
        for row in &rows.items {
            anchor(Side::Items, *row, objective.item_weight(*row as usize));
        }
        Self {
            strength,
            per_example,
        }
    }

    /// The linear part r of the proximal term, for parameters of the shape of `at`, which may have more
    /// rows than there were, and the examples of `objective`. Zero for rows without examples and for
    /// new ones. O(parameters).
    pub fn linear_part(&self, objective: &Objective<'_>, at: &Parameters) -> Parameters {
        let layout = at.layout();
        let mut linear = self.per_example.grown(layout.users, layout.items);
        objective.visit_weights(at, Block::All, |range, weight| {
            let values = linear.values_mut()[range].iter_mut();
            values.for_each(|value| *value *= weight);
        });
        linear
    }

    /// The proximal term with this linear part.
    pub fn proximal_term<'a>(&self, linear: &'a Parameters) -> ProximalTerm<'a> {
        ProximalTerm {
            strength: self.strength,
            linear,
        }
    }
}
