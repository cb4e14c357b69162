//! The log on real servers: who wins, what survives, what is refused.
//!
//! They need nats-server 2.14 or later, in `RECANT_NATS_SERVER` or on the path, and say so where it is not.

mod durable;
mod fitness;
mod latency;
mod limits;
mod lost_acks;
mod races;
mod settings;
mod support;
mod survival;
mod went_back;
