//! Experiments with methods of unlearning, side by side, and a synthetic catalogue.

#![deny(unreachable_pub)]

pub mod demo;
pub mod experiment;
