//! Several machines: real nodes and real servers of the log, which are killed, stopped, wiped and put back.
//!
//! One binary for all of them: linking is what a test costs most. Where there is no nats-server each says that
//! it was skipped.

mod contents;
mod joining;
mod kill_nine;
mod operations;
mod owing;
mod remnants;
mod stale;
mod support;
