//! Work beside a running service: the search for hyper-parameters and the audit of a stored model.

#![deny(unreachable_pub)]

pub mod audit;
pub mod tuning;
