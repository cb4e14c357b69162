//! What can be said about the live model's distance from the model that never saw the data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A statement about how well a model version fits the retained data, attached to the version and
/// to every erasure it covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Certificate {
    /// The measured gradient residual on the retained data. It is evidence of convergence, not a
    /// proof of distance: a non-convex objective can be stationary elsewhere.
    Residual {
        /// ‖∇L‖ / ‖b‖ over all blocks, where b is the linear term of the block systems.
        residual: f64,
        /// The tolerance that training works to.
        tolerance: f64,
        /// Says in words that this is no proof.
        note: String,
    },
}

impl Certificate {
    /// The residual certificate of a version measured at `residual`.
    pub fn residual(residual: f64, tolerance: f64) -> Self {
        Self::Residual {
            residual,
            tolerance,
            note: String::from("measured on the retained data; evidence of convergence, no proof"),
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Residual {
                residual,
                tolerance,
                note,
            } => {
                write!(
                    f,
                    "residual {residual:.2e}, tolerance {tolerance:.0e} ({note})"
                )
            }
        }
    }
}
