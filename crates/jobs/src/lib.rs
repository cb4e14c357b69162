//! Work beside a running service: the search for hyper-parameters and the audit of a stored model.

pub mod audit;
pub mod tuning;
