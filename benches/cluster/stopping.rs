//! The end of threads that go on until they are told to stop.

use std::sync::atomic::{AtomicBool, Ordering};

/// Tells them when it goes, also when whoever holds it panics: else a scope would wait for them for ever.
pub struct Stopping<'a>(pub &'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
