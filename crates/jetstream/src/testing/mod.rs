//! Real servers for tests, which are started, killed, stopped and put back: every process that was
//! started ends with its [`NatsServers`], also when a test panics.

#![allow(missing_docs, reason = "the names of fixtures say it")]

mod binary;
mod group;
mod server;
mod store_copy;
mod waiting;

pub use binary::nats_server;
pub use group::{NatsOptions, NatsServers};
pub use server::NatsServer;
pub use store_copy::StoreCopy;
pub use waiting::wait_for;
