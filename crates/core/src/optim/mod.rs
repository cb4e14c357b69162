//! Minimising the objective: the block system, its solution, and sweeps to a tolerance.

mod accelerated;
pub mod als;
pub mod anderson;
pub mod block;
pub mod fold_in;
pub mod half_sweep;
pub mod kernel;
mod report;
