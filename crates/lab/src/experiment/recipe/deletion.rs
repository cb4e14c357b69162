//! What is deleted.

use serde::{Deserialize, Serialize};

use super::error::RecipeError;

/// Most deletions of one sequence.
const SEQUENCE_MAX: usize = 1_000;

/// A kind of deletion; which pairs it takes follows from data and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DeletionSpec {
    /// One interaction.
    Pair,
    /// Everything of one user.
    User,
    /// A share of all interactions.
    Pairs {
        /// Which.
        share: f64,
    },
    /// Everything of a share of the users.
    Users {
        /// Which.
        share: f64,
        /// Which users.
        choice: UserChoice,
    },
    /// Single interactions one after the other, each taken back before the next.
    Sequence {
        /// How many.
        count: usize,
        /// After how many of them the model is compared; the last is always among them.
        #[serde(default)]
        checkpoints: Vec<usize>,
    },
}

/// Which users are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserChoice {
    /// Any, with equal chances.
    Random,
    /// Those with the most interactions.
    MostActive,
    /// Those with the fewest.
    LeastActive,
}

impl UserChoice {
    fn words(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::MostActive => "most active",
            Self::LeastActive => "least active",
        }
    }
}

impl DeletionSpec {
    /// What tables call it.
    pub fn label(&self) -> String {
        let percent = |share: &f64| (share * 1e6).round() / 1e4;
        match self {
            Self::Pair => "one pair".to_owned(),
            Self::User => "one user".to_owned(),
            Self::Pairs { share } => format!("{} % of pairs", percent(share)),
            Self::Users { share, choice } => {
                format!("{} % of users, {}", percent(share), choice.words())
            }
            Self::Sequence { count, .. } => format!("{count} pairs one by one"),
        }
    }

    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let invalid = |reason: String| {
            let place = format!("deletion {}", self.label());
            Err(RecipeError::Invalid { place, reason })
        };
        match self {
            Self::Pairs { share } | Self::Users { share, .. }
                if !(*share > 0.0 && *share <= 0.5) =>
            {
                invalid(format!(
                    "share must be above 0 and at most 0.5, got {share}"
                ))
            }
            Self::Sequence { count, .. } if !(1..=SEQUENCE_MAX).contains(count) => {
                invalid(format!("count must be between 1 and {SEQUENCE_MAX}"))
            }
            Self::Sequence { count, checkpoints } => {
                let rises = checkpoints.is_sorted_by(|a, b| a < b);
                let inside = checkpoints.iter().all(|at| (1..=*count).contains(at));
                if rises && inside {
                    Ok(())
                } else {
                    invalid(format!("checkpoints must rise from 1 to {count} at most"))
                }
            }
            _ => Ok(()),
        }
    }
}
