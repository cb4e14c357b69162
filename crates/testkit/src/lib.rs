//! What tests of several crates share: problems with an independent solution, stores with known
//! contents, and the decoders that fuzzing calls.

#![deny(unreachable_pub)]
#![allow(missing_docs, reason = "the names of fixtures say it")]

pub mod adversary;
pub mod convex;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod shell;
pub mod store;
