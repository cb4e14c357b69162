//! Why a recipe cannot be used.

use std::path::PathBuf;

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file could not be read.
    #[error("cannot read the recipe {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The text is not TOML, has an unknown key, or a value that does not fit.
    #[error("line {line} of the recipe: {reason}")]
    Malformed {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The recipe asks for something that cannot be done.
    #[error("{place}: {reason}")]
    Invalid {
        /// Which part of the recipe.
        place: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },
}

impl RecipeError {
    pub(super) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            place: place.into(),
            reason: reason.into(),
        }
    }
}
