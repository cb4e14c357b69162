//! Optimisers, each for every model: AdamW on mini-batches; Newton-CG and L-BFGS on the whole
//! objective or on a block of it; Newton's method for single rows.

pub mod adamw;
pub mod conjugate_gradients;
pub(super) mod dense;
pub mod lbfgs;
pub mod newton_cg;
pub mod rows;
pub mod selection;
mod vectors;

/// The numbers went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    /// The loss or a parameter is infinite or not a number.
    #[error("{optimiser} diverged: {what} is not finite; lower the learning rate, or raise lambda")]
    NotFinite {
        /// What was running.
        optimiser: &'static str,
        /// What it ran into.
        what: &'static str,
    },
}
