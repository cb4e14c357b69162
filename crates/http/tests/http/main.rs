//! Routes on real sockets, before there is a service.
//!
//! One binary for all of them: linking is what a test costs most.

mod access;
mod allowances;
mod console;
mod description;
mod drp;
mod gorse;
mod limits;
mod membership;
mod metrics;
mod nodes;
mod problems;
mod support;
mod tls;
