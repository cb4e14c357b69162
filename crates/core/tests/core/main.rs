//! The mathematics against oracles computed another way.
//!
//! One binary for all of them: linking is what a test costs most.

mod adversary;
mod certificate;
mod stages;
mod top_k;
