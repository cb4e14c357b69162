//! Updating a converged model after a change of its data: which blocks, in which order, how far;
//! and how far the result is from the model that never saw the data.

pub mod cold;
mod column_weights;
mod complement;
mod converge;
mod deflation_subspace;
mod dual_limit;
mod dual_point;
mod duality_gap;
mod gradient_operator;
mod lanczos;
mod narrow;
mod neighbourhood;
mod rank;
mod tall;
mod update;

pub use converge::{
    CertificateEvaluation, Convergence, Goal, Progress, REFINED_SHARE, Warm, converge,
};
pub use dual_limit::Direction;
pub use duality_gap::{DualityGap, GapOptions, TrackedRitzVectors, duality_gap};
pub use rank::RankReport;
pub use update::{UpdateOptions, UpdateReport, update};
