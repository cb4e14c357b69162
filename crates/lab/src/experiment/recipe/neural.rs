//! Neural models and how they are trained.

use serde::{Deserialize, Serialize};

use recant_neural::NeuralModel;
use recant_neural::optimise::AdamWOptions;

/// A neural model of one kind, with the hyper-parameters M.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuralSpec<M> {
    /// Its name, when a recipe has several.
    #[serde(default)]
    pub name: Option<String>,
    /// Its hyper-parameters.
    #[serde(default)]
    pub parameters: M,
    /// How it is trained from scratch, the first time and every time again.
    #[serde(default)]
    pub training: TrainingSpec,
    /// Temperature of the softmax that divergences are taken of. Scores are logits.
    #[serde(default = "one")]
    pub temperature: f64,
}

fn one() -> f64 {
    1.0
}

/// Training from scratch: AdamW with fresh negatives in every epoch; then, if asked for, L-BFGS on
/// the fixed examples that the second-order methods work on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSpec {
    /// Passes of AdamW; what suits the model unless given.
    pub epochs: Option<usize>,
    /// Examples in a batch; what suits the model unless given.
    pub batch: Option<usize>,
    /// Step size; what suits the model unless given.
    pub learning_rate: Option<f32>,
    /// Joint L-BFGS steps after that.
    pub polish: usize,
}

impl TrainingSpec {
    /// The options of AdamW for a model, with order and negatives by `seed`.
    pub(crate) fn adamw(&self, model: &dyn NeuralModel, seed: u64) -> AdamWOptions {
        let suits = AdamWOptions::for_model(model);
        AdamWOptions {
            epochs: self.epochs.unwrap_or(suits.epochs),
            batch: self.batch.unwrap_or(suits.batch),
            learning_rate: self.learning_rate.unwrap_or(suits.learning_rate),
            seed,
            ..suits
        }
    }

    /// What is out of range, if anything.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let is_rate = |rate: f32| rate > 0.0 && rate <= 1.0;
        if self
            .epochs
            .is_some_and(|epochs| !(1..=10_000).contains(&epochs))
        {
            Some("training.epochs must be between 1 and 10000")
        } else if self
            .batch
            .is_some_and(|batch| !(1..=1 << 24).contains(&batch))
        {
            Some("training.batch must be between 1 and 16777216")
        } else if self.learning_rate.is_some_and(|rate| !is_rate(rate)) {
            Some("training.learning_rate must be above 0 and at most 1")
        } else if self.polish > 100_000 {
            Some("training.polish must be at most 100000")
        } else {
            None
        }
    }
}
