//! What kills a server and checks it afterwards: processes that may die at any moment, callers that
//! remember what they were answered, and the comparison of the two.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod ledger;
pub mod load;
pub mod process;
