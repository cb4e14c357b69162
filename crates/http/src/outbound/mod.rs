//! Requests that go out: webhooks.
//!
//! An endpoint is called directly and at the address that was checked: no proxy of the environment, no
//! redirect, no answer that is read beyond its head.

mod address;
mod body;
mod client;
mod resolver;
mod retry_after;
mod trust;

pub use client::{WebhookClient, WebhookClientError};
