//! How a model is made to forget.

use serde::{Deserialize, Serialize};

use super::error::RecipeError;
use super::model::ModelSpec;
use recant_neural::forget::AltEraserOptions;

/// Most sweeps, steps, rounds, epochs or shards of one method.
const COUNT_MAX: usize = 1_000_000;

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
    /// Neural: fine-tuning from the present parameters.
    #[serde(rename = "adamw")]
    AdamW {
        /// Passes over the retained data.
        epochs: usize,
        /// Step size; that of the training unless given.
        #[serde(default)]
        learning_rate: Option<f32>,
        /// Whether every epoch meets the fixed negatives that the second-order methods work on,
        /// instead of its own.
        #[serde(default)]
        fixed_negatives: bool,
    },
    /// Neural: Newton-CG on all parameters at once.
    NewtonCg {
        /// Steps.
        steps: usize,
        /// Curvature products in a step.
        #[serde(default = "products")]
        products: usize,
        /// Damping per example.
        #[serde(default = "damping")]
        damping: f64,
        /// Strength, per example, of the proximal term that anchors the trained parameters: they count
        /// as a minimum, whatever gradient training left. Without, the objective is minimised as it is.
        #[serde(
            rename = "hold",
            alias = "proximal",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        proximal: Option<f32>,
    },
    /// Neural: L-BFGS on all parameters at once.
    Lbfgs {
        /// Steps.
        steps: usize,
        /// Strength, per example, of the proximal term that anchors the trained parameters: they count
        /// as a minimum, whatever gradient training left. Without, the objective is minimised as it is.
        #[serde(
            rename = "hold",
            alias = "proximal",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        proximal: Option<f32>,
    },
    /// Neural: second-order steps on one block after the other.
    #[serde(rename = "alteraser")]
    AltEraser {
        /// What solves a block.
        solver: SolverSpec,
        /// Rounds over the blocks.
        rounds: usize,
        /// Steps in a block and round.
        #[serde(default = "one")]
        steps: usize,
        /// Curvature products in a step.
        #[serde(default = "products")]
        products: usize,
        /// Damping per example.
        #[serde(default = "damping")]
        damping: f64,
        /// Which rows are taken.
        #[serde(default)]
        reach: ReachSpec,
        /// Rounds over everything that the acceleration looks back on; 0 for none.
        #[serde(default = "memory")]
        memory: usize,
        /// Strength, per example, of the proximal term that anchors the trained parameters: they count
        /// as a minimum, whatever gradient training left. Without, the objective is minimised as it is.
        #[serde(
            rename = "hold",
            alias = "proximal",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        proximal: Option<f32>,
    },
    /// Neural: one step by influence functions, in the manner of SCIF and IFRU.
    Influence {
        /// Curvature products for the inverse.
        #[serde(default = "influence_products")]
        products: usize,
        /// Damping per example.
        #[serde(default = "damping")]
        damping: f64,
        /// Whether only rows whose data changed are moved, each side for itself.
        #[serde(default)]
        touched_only: bool,
    },
    /// Neural: a model for each part of the data, in the manner of SISA; those that saw what was
    /// erased are retrained.
    Shards {
        /// How many.
        count: usize,
        /// How interactions are dealt.
        #[serde(default)]
        dealing: DealingSpec,
    },
}

/// What solves a block of AltEraser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SolverSpec {
    /// Newton's method, by conjugate gradients where rows depend on each other.
    NewtonCg,
    /// L-BFGS.
    Lbfgs,
}

/// Which rows the rounds of AltEraser take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReachSpec {
    /// Touched rows, then neighbours, then everything.
    #[default]
    Growing,
    /// Touched rows in every round.
    Touched,
    /// Everything in every round.
    Everything,
}

/// How interactions are dealt to shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DealingSpec {
    /// All of a user to one.
    #[default]
    ByUser,
    /// One by one; the shards' scores are averaged.
    ByPair,
}

fn budget_milliseconds() -> u64 {
    10
}

fn one() -> usize {
    1
}

fn products() -> usize {
    10
}

fn influence_products() -> usize {
    30
}

fn damping() -> f64 {
    1e-3
}

fn memory() -> usize {
    AltEraserOptions::default().memory
}

/// What a label says of a damping that is not the usual one, and of a proximal term.
fn particulars(damping: f64, proximal: Option<f32>) -> String {
    let mut said = String::new();
    if damping != self::damping() {
        said += &format!(", damping {damping}");
    }
    if let Some(strength) = proximal {
        said += &format!(", held by {strength}");
    }
    said
}

impl MethodSpec {
    /// What tables call it.
    pub fn label(&self) -> String {
        match self {
            Self::WarmSweeps { sweeps } => format!("warm start, {sweeps} sweeps"),
            Self::Stage1 {
                budget_milliseconds: budget,
            } => format!("stage 1, {budget} ms"),
            Self::Stages {
                budget_milliseconds: budget,
                polish_every: 1,
            } => format!("stage 1 + 2, {budget} ms"),
            Self::Stages {
                budget_milliseconds: budget,
                polish_every,
            } => format!("stage 1 + 2, {budget} ms, 2 every {polish_every}"),
            Self::AdamW {
                epochs,
                learning_rate,
                fixed_negatives,
            } => {
                let rate = learning_rate.map_or(String::new(), |rate| format!(" at {rate}"));
                let negatives = if *fixed_negatives {
                    ", fixed negatives"
                } else {
                    ""
                };
                format!("AdamW, {epochs} epochs{rate}{negatives}")
            }
            Self::NewtonCg {
                steps,
                products,
                damping,
                proximal,
            } => {
                let particulars = particulars(*damping, *proximal);
                format!("joint Newton-CG, {steps} × {products}{particulars}")
            }
            Self::Lbfgs { steps, proximal } => {
                let particulars = particulars(self::damping(), *proximal);
                format!("joint L-BFGS, {steps}{particulars}")
            }
            Self::AltEraser {
                solver,
                rounds,
                steps,
                damping,
                reach,
                memory,
                proximal,
                ..
            } => {
                let mut particulars = particulars(*damping, *proximal);
                if *memory == 0 {
                    particulars += ", not accelerated";
                }
                let solver = match solver {
                    SolverSpec::NewtonCg => "Newton",
                    SolverSpec::Lbfgs => "L-BFGS",
                };
                let reach = match reach {
                    ReachSpec::Growing => "",
                    ReachSpec::Touched => ", touched rows",
                    ReachSpec::Everything => ", all rows",
                };
                format!("AltEraser ({solver}), {rounds} × {steps}{reach}{particulars}")
            }
            Self::Influence { touched_only, .. } => {
                let rows = if *touched_only { ", touched rows" } else { "" };
                format!("influence step{rows}")
            }
            Self::Shards { count, dealing } => match dealing {
                DealingSpec::ByUser => format!("{count} shards by user"),
                DealingSpec::ByPair => format!("{count} shards by pair"),
            },
        }
    }

    /// Whether it can be tried on a model.
    pub fn fits(&self, model: &ModelSpec) -> bool {
        match self {
            Self::WarmSweeps { .. } | Self::Stage1 { .. } | Self::Stages { .. } => {
                !model.is_neural()
            }
            _ => model.is_neural(),
        }
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let invalid = |reason: String| {
            let place = format!("method {}", self.label());
            Err(RecipeError::Invalid { place, reason })
        };
        if !self
            .counts()
            .iter()
            .all(|count| (1..=COUNT_MAX).contains(count))
        {
            return invalid(format!("counts must be between 1 and {COUNT_MAX}"));
        }
        if self
            .proximal()
            .is_some_and(|strength| !(strength >= 0.0 && strength.is_finite()))
        {
            return invalid("proximal must be a finite number from 0 on".to_owned());
        }
        match self {
            Self::NewtonCg { damping, .. }
            | Self::AltEraser { damping, .. }
            | Self::Influence { damping, .. }
                if !(*damping >= 0.0 && damping.is_finite()) =>
            {
                invalid("damping must be a finite number from 0 on".to_owned())
            }
            Self::AdamW {
                learning_rate: Some(rate),
                ..
            } if !(*rate > 0.0 && *rate <= 1.0) => {
                invalid("learning_rate must be above 0 and at most 1".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Strength of its proximal term, if it has one.
    pub(in crate::experiment) fn proximal(&self) -> Option<f32> {
        match self {
            Self::NewtonCg { proximal, .. }
            | Self::Lbfgs { proximal, .. }
            | Self::AltEraser { proximal, .. } => *proximal,
            _ => None,
        }
    }

    /// Every number of things to do.
    fn counts(&self) -> Vec<usize> {
        match self {
            Self::WarmSweeps { sweeps } => vec![*sweeps],
            Self::Stage1 { .. } => vec![],
            Self::Stages { polish_every, .. } => vec![*polish_every],
            Self::AdamW { epochs, .. } => vec![*epochs],
            Self::NewtonCg {
                steps, products, ..
            } => vec![*steps, *products],
            Self::Lbfgs { steps, .. } => vec![*steps],
            Self::AltEraser {
                rounds,
                steps,
                products,
                ..
            } => vec![*rounds, *steps, *products],
            Self::Influence { products, .. } => vec![*products],
            Self::Shards { count, .. } => vec![*count],
        }
    }
}
