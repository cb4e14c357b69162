//! How far training has come, how it ended, and why it failed.

/// How far training has come.
#[derive(Debug, Clone, Copy)]
pub struct SweepReport {
    /// Sweeps done when it was made.
    pub sweep: usize,
    /// The objective at the user factors that are optimal for the present item factors.
    pub objective: f64,
    /// `√(Σ gᵀH⁻¹g / 2|S|c̄)` over the items before their step, with c̄ the typical weight: that of the
    /// whole model, since the users were solved for just before. Where an extrapolation was thrown
    /// away, that of the sweep before.
    pub residual: f64,
}

/// How training ended.
#[derive(Debug, Clone, Copy)]
pub struct TrainingReport {
    /// Sweeps done altogether.
    pub sweeps: usize,
    /// The objective of the trained model.
    pub objective: f64,
    /// Its relative residual over all blocks, measured.
    pub residual: f64,
    /// Whether the residual is at most the tolerance.
    pub converged: bool,
}

/// Why training has no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainingError {
    /// A value became infinite or undefined.
    #[error("training diverged in sweep {sweep}: try a larger lambda or smaller weights")]
    Diverged {
        /// The sweep in which it was noticed.
        sweep: usize,
    },
}
