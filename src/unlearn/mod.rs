//! Updating a converged model after a change of its data: which blocks, in which order, how far;
//! and how far the result is from the model that never saw the data.

pub mod cold;
pub mod converge;
pub mod duality_gap;
pub mod gradient_operator;
pub mod lanczos;
pub mod rank;
mod subspace;
pub mod update;
