//! Optimisers, each for every model: AdamW on mini-batches; Newton-CG and L-BFGS on the whole
//! objective or on a block of it; Newton's method for single rows.

pub(crate) mod adamw;
pub(crate) mod conjugate_gradients;
pub(crate) mod divergence;
pub(crate) mod lbfgs;
pub(crate) mod newton_cg;
pub(crate) mod rows;
pub(crate) mod selection;

pub use adamw::{AdamWOptions, EpochReport, adamw};
pub use conjugate_gradients::{Solution, Stopping, conjugate_gradients};
pub use divergence::Divergence;
pub use lbfgs::{LbfgsOptions, lbfgs};
pub use newton_cg::{NewtonOptions, SolverReport, newton_cg};
pub use rows::{RowOptions, is_separable, solve_rows};
pub use selection::Selection;
