//! What the worker needs to know besides its store.

use std::time::Duration;

/// How the worker computes.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Time the first stage may take before it publishes what it has.
    pub update_budget: Duration,
    /// The first stage ends earlier when the affected blocks are solved to this.
    pub update_tolerance: f64,
    /// The residual that refining works to.
    pub tolerance: f64,
    /// Most rounds of refinement of a neural model after a change. With none it is not refinement, and held
    /// while it forgets.
    pub refinement_rounds: usize,
    /// The certified root mean square that refining works to.
    pub certificate_target: f64,
    /// Threads for arithmetic; 0 takes as many as the machine has.
    pub threads: usize,
    /// Memory for factors of block matrices that are kept between updates; see
    /// [`CholeskyCache`](recant_core::optim::als::CholeskyCache).
    pub cholesky_cache_bytes_max: usize,
}
