//! A trained model to hold on to: how one that is at no minimum can be unlearnt by methods that lead to
//! minima.
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

use crate::forget::Touched;
use crate::objective::{Hold, Objective};
use crate::optimise::rows::{is_separable, row_gradient};
use crate::parameters::{Block, Parameters};
use recant_core::model::factors::Side;

/// A trained model, as what it adds to objectives.
#[derive(Debug, Clone)]
pub struct Trained {
    strength: f32,
    /// `∇L(θ₀) / n + μ θ₀`: with less data each row keeps its share.
    per_example: Parameters,
}

impl Trained {
    /// The model `at`, where training on `objective` ended, to be held with `strength` μ per example.
    /// Cost: a gradient.
    pub fn new(objective: &Objective<'_>, at: &Parameters, strength: f32) -> Self {
        let mut per_example = Parameters::zeros(*at.layout());
        objective.at(at).gradient(Block::All, &mut per_example);
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

    /// The same for some rows only, and nothing that holds the others: for methods that move no
    /// other. Cost: where rows can be solved for one by one, the gradients of these; a whole gradient
    /// otherwise.
    pub fn of_rows(
        objective: &Objective<'_>,
        at: &Parameters,
        strength: f32,
        rows: &Touched,
    ) -> Self {
        if !is_separable(objective) {
            return Self::new(objective, at, strength);
        }
        let mut per_example = Parameters::zeros(*at.layout());
        let mut hold = |side, row: u32, weight: f32| {
            let slopes = row_gradient(objective, at, side, row);
            let values = per_example.row_mut(side, row).iter_mut();
            let places = values.zip(slopes.iter().zip(at.row(side, row)));
            places.for_each(|(value, (slope, at))| {
                *value = *slope as f32 / weight.max(1.0) + strength * at;
            });
        };
        for row in &rows.users {
            hold(Side::Users, *row, objective.user_weight(*row as usize));
        }
        for row in &rows.items {
            hold(Side::Items, *row, objective.item_weight(*row as usize));
        }
        Self {
            strength,
            per_example,
        }
    }

    /// The pull on parameters of the shape of `at`, which may have more rows than there were, with
    /// the examples of `objective`. A row without examples is not pulled, nor is a new one.
    /// O(parameters).
    pub fn pull(&self, objective: &Objective<'_>, at: &Parameters) -> Parameters {
        let layout = at.layout();
        let mut pull = self.per_example.grown(layout.users, layout.items);
        objective.visit_weights(at, Block::All, |range, weight| {
            let values = pull.values_mut()[range].iter_mut();
            values.for_each(|value| *value *= weight);
        });
        pull
    }

    /// What holds an objective with this pull.
    pub fn hold<'a>(&self, pull: &'a Parameters) -> Hold<'a> {
        Hold {
            strength: self.strength,
            pull,
        }
    }
}
