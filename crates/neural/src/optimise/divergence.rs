//! What ends a training that goes wrong.

/// An optimiser met a number that is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Divergence {
    /// The loss or a parameter is infinite or NaN.
    #[error("{optimiser} diverged: {what} is not finite; lower the learning rate, or raise lambda")]
    NotFinite {
        /// What was running.
        optimiser: &'static str,
        /// What it ran into.
        what: &'static str,
    },
}
