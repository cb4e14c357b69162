//! Rank correlation.

mod kendall;
mod spearman;

pub(crate) use kendall::kendall;
pub(crate) use spearman::spearman;
