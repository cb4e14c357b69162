//! How good a model is, and how like another: pure functions of arrays.
//!
//! Each measure is defined where it stands and tested against a naive form of its definition.

pub mod accuracy;
pub mod comparison;
pub mod correlation;
pub mod holdout;
pub mod lists;
pub mod numerical_rank;
pub mod ranking;
