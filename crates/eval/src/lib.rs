//! How good a model is, and how like another: pure functions of arrays.
//!
//! Each measure is defined where it stands and tested against a naive form of its definition.

pub mod accuracy;
pub mod cohort;
pub mod comparison;
pub mod consistency;
pub mod correlation;
pub mod divergence;
pub mod held_out;
pub mod holdout;
pub mod leave_one_out;
pub mod lists;
pub mod membership;
pub mod numerical_rank;
pub mod ranking;
pub mod scorer;
