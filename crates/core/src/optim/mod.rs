//! Minimising the objective: the block system, its solution, and sweeps to a tolerance.

mod accelerated;
pub mod als;
mod anderson;
mod block;
mod fold_in;
mod half_sweep;
mod kernel;
mod report;
mod shares;

pub use anderson::Anderson;
pub use block::{BlockSolver, PackedFactor, SharedHessian, Step};
pub use fold_in::fold_in;
pub use shares::score_shares;
