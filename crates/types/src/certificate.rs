//! What can be said about the live model's distance from the model that never saw the data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A statement about how well a model version fits the retained data, attached to the version and
/// to every erasure it covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Certificate {
    /// A bound on the distance to the one minimiser for the retained data: to the model that a
    /// retrain without the erased data converges to, whatever its seed.
    DualityGap(GapCertificate),
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

/// What a duality gap proves about a model version. X are the scores of the model, X* those of
/// the minimiser, over all active users and items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapCertificate {
    /// Whether the target is met.
    pub holds: bool,
    /// The target for the root mean square.
    pub target: f64,
    /// Bound on the root mean square of X − X*.
    pub root_mean_square: f64,
    /// Bound on ‖X − X*‖_F.
    pub frobenius: f64,
    /// The duality gap, L(P,Q) − D.
    pub gap: f64,
    /// What the gradient was divided by to be dual feasible; 1 when nothing is amiss.
    pub dual_scale: f64,
    /// Relative gradient residual.
    pub residual: f64,
    /// Probability that the bound fails, over the random start vectors it was computed with.
    pub failure_probability: f64,
    /// Why the target is not met, and what would meet it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate: Option<String>,
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

    /// The bound on ‖X − X*‖_F, when there is one.
    pub fn frobenius(&self) -> Option<f64> {
        match self {
            Self::DualityGap(gap) => Some(gap.frobenius),
            Self::Residual { .. } => None,
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DualityGap(gap) => write!(f, "{gap}"),
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

impl fmt::Display for GapCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "scores within {:.1e} root mean square ({:.1e} in Frobenius norm) of the one minimiser",
            self.root_mean_square, self.frobenius
        )?;
        match &self.approximate {
            Some(reason) => write!(
                f,
                "; approximate, the target is {:.0e}: {reason}",
                self.target
            ),
            None => write!(f, "; the target is {:.0e}", self.target),
        }
    }
}
