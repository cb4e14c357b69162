//! Updating a converged model after a change of its data: which blocks, in which order, how far;
//! and how far the result is from the model that never saw the data.

pub mod cold;
mod column_weights;
mod complement;
pub mod converge;
mod deflation_subspace;
mod dual_limit;
mod dual_point;
pub mod duality_gap;
mod gradient_operator;
pub mod lanczos;
mod narrow;
mod neighbourhood;
pub mod rank;
mod tall;
pub mod update;
