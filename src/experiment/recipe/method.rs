//! How a model is made to forget.

use serde::{Deserialize, Serialize};

use super::{ModelSpec, RecipeError};

/// Most sweeps or steps of one method.
const STEPS_MAX: usize = 1_000_000;

/// A way to unlearn. Each kind fits one family of models and is tried on those.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MethodSpec {
    /// iALS: plain exact sweeps over all blocks, from the present factors.
    WarmSweeps {
        /// How many.
        sweeps: usize,
    },
    /// iALS: the first stage of `recant`, blocks near the deletion alone.
    #[serde(rename = "stage_1")]
    Stage1 {
        /// Time after which it ends.
        #[serde(default = "budget_milliseconds")]
        budget_milliseconds: u64,
    },
    /// iALS: both stages of `recant`, to the certificate.
    Stages {
        /// Time after which the first stage ends.
        #[serde(default = "budget_milliseconds")]
        budget_milliseconds: u64,
        /// In a sequence, so many deletions between two runs of the second stage.
        #[serde(default = "one")]
        polish_every: usize,
    },
}

fn budget_milliseconds() -> u64 {
    10
}

fn one() -> usize {
    1
}

impl MethodSpec {
    /// What tables call it.
    pub fn label(&self) -> String {
        match self {
            Self::WarmSweeps { sweeps } => format!("warm start, {sweeps} sweeps"),
            Self::Stage1 {
                budget_milliseconds,
            } => format!("stage 1, {budget_milliseconds} ms"),
            Self::Stages {
                budget_milliseconds,
                polish_every: 1,
            } => format!("stage 1 + 2, {budget_milliseconds} ms"),
            Self::Stages {
                budget_milliseconds,
                polish_every,
            } => format!("stage 1 + 2, {budget_milliseconds} ms, 2 every {polish_every}"),
        }
    }

    /// Whether it can be tried on a model.
    pub fn fits(&self, model: &ModelSpec) -> bool {
        match self {
            Self::WarmSweeps { .. } | Self::Stage1 { .. } | Self::Stages { .. } => {
                matches!(model, ModelSpec::Ials { .. })
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let steps = match self {
            Self::WarmSweeps { sweeps } => *sweeps,
            Self::Stages { polish_every, .. } => *polish_every,
            Self::Stage1 { .. } => 1,
        };
        match (1..=STEPS_MAX).contains(&steps) {
            true => Ok(()),
            false => Err(RecipeError::invalid(
                format!("method {}", self.label()),
                format!("counts must be between 1 and {STEPS_MAX}"),
            )),
        }
    }
}
