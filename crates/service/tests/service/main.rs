//! The service over a real store, without HTTP.
//!
//! One binary for all of them: linking is what a test costs most.

mod add_and_erase;
mod arranged;
mod because;
mod catalogue_and_feedback;
mod certificates;
mod diversity;
mod erased_ahead;
mod explanation;
mod export_beside_erasures;
mod fast_clocks;
mod log_steps;
mod published_times;
mod refused;
mod replicas;
mod replicated;
mod replicated_webhooks;
mod restrictions;
mod stall;
mod state_machine;
mod support;
mod swap_under_readers;
mod ties;
