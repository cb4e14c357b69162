//! Kills, power cuts and full disks.
//!
//! One binary for all of them: linking is what a test costs most.

mod attack;
mod kill_nine;
mod kill_support;
mod power_cut;
mod simulated_disk;
mod store_disk_full;
mod webhooks;

#[path = "../server/webhook_receiver.rs"]
mod webhook_receiver;

#[path = "../server/support.rs"]
mod support;
