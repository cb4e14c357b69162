//! Waiting for what servers do in their own time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything that servers are waited for may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for a condition, which is looked at often.
///
/// # Panics
///
/// When it is not met for long.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(met) = condition() {
            return met;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(20));
    }
}
