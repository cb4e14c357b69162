//! Updating a converged model after a change of its data: which blocks, in which order, how far;
//! and how far the result is from the model that never saw the data.

pub mod cold;
mod complement;
pub mod converge;
mod dual_point;
pub mod duality_gap;
mod gradient_operator;
pub mod lanczos;
mod narrow;
mod neighbourhood;
pub mod rank;
mod strengths;
mod subspace;
mod tall;
pub mod update;
