//! What starts a cluster, harms it and checks it afterwards: processes that may die at any moment, callers that
//! remember what they were answered, and the comparison of the two.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod checks;
pub mod cluster;
pub mod faults;
#[path = "../../crash/kill_support/ledger.rs"]
pub mod ledger;
pub mod load;
pub mod node;
pub mod process;
pub mod wire;

pub use checks::check_alike;
pub use cluster::{ClusterOptions, ClusterProcesses};
pub use process::Caller;

/// Number that the environment gives, or this one.
pub fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}
