//! Rank correlation.

mod kendall;
mod spearman;

pub use kendall::kendall;
pub use spearman::spearman;
