//! Requests that go out: webhooks, and whom commands that call a server believe.
//!
//! An endpoint is called directly and at the address that was checked: no proxy of the environment, no
//! redirect, no answer that is read beyond its head.

mod address;
mod body;
mod client;
mod resolver;
mod retry_after;
mod trust;

pub use client::WebhookClient;
pub use trust::{TrustError, TrustedRoots, tls_with_anybody};
