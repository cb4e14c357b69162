//! `recant`: an online recommender that can take back what it learnt.
//!
//! It serves exact top-k recommendations from factors in memory, learns new interactions while it
//! serves, and forgets on request: the data leaves the store and the live model is updated, in
//! milliseconds, to what it would be without them. ARCHITECTURE.md shows the way through the
//! modules.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod cli;
pub mod config;
pub mod demo;
pub mod erasure;
pub mod eval;
pub mod event;
pub mod experiment;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod ids;
pub mod import;
pub mod model;
pub mod neural;
pub mod optim;
pub mod receipt;
pub mod scan;
pub mod service;
pub mod simd;
pub mod store;
pub mod telemetry;
pub mod topk;
pub mod unlearn;
