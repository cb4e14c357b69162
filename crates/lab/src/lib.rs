//! Experiments with methods of unlearning, side by side, and a synthetic catalogue.

pub mod demo;
pub mod experiment;
