//! How far training has come, how it ended, and why it failed.

/// How far training has come.
#[derive(Debug, Clone, Copy)]
pub struct SweepReport {
    /// Sweeps done when it was made.
    pub sweep: usize,
    /// The objective at the user factors that are optimal for the present item factors.
    pub objective: f64,
    /// `√(Σ gᵀH⁻¹g / |S|c̄)` on the users' side before their step, with c̄ the typical weight; the
    /// items' side was at zero.
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
