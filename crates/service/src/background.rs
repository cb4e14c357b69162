//! Where refinements run: beside everything else, and behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::foreground::Foreground;

/// Priority of the threads that refine, as `nice` counts: who answers a request goes first, at three
/// times the share. Not lower: other programs on a busy machine would starve them.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Threads for refinements, which run one at a time, wait while a local update computes, and pause while
/// many requests are answered.
#[derive(Debug)]
pub(crate) struct Background {
    pool: rayon::ThreadPool,
    foreground: Foreground,
    gate: Gate,
    alone: Mutex<()>,
}

impl Background {
    /// `threads` threads, which make room for what `foreground` counts; 0 for as many as the machine
    /// has.
    pub(crate) fn new(
        threads: usize,
        foreground: Foreground,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("refine-{index}"))
            .start_handler(|_| step_back())
            .build()?;
        Ok(Self {
            pool,
            foreground,
            gate: Gate::default(),
            alone: Mutex::default(),
        })
    }

    /// Runs `work` on the threads, after whatever runs there.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        self.pool.install(work)
    }

    /// Keeps what runs there waiting at its next block, until the answer is dropped.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        self.gate.set(true);
        Held(Arc::clone(self))
    }

    /// Waits while somebody holds, and makes room for answers. To be called between blocks.
    pub(crate) fn pass(&self) {
        self.gate.pass();
        self.foreground.make_room();
    }
}

/// Keeps refinements waiting.
#[derive(Debug)]
pub(crate) struct Held(Arc<Background>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.gate.set(false);
    }
}

/// Open or closed. The worker alone closes it, so one flag is enough.
#[derive(Debug, Default)]
struct Gate {
    closed: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        // Under the lock, so that nobody falls asleep between the two.
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(closed, Ordering::Release);
        drop(guard);
        if !closed {
            self.opened.notify_all();
        }
    }

    fn pass(&self) {
        if !self.closed.load(Ordering::Acquire) {
            return;
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.closed.load(Ordering::Acquire) {
            guard = self
                .opened
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lets the scheduler prefer every other thread to this one.
pub(crate) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        // On Linux a priority belongs to a thread, and that of the caller may always be lowered.
        let lowered = rustix::process::setpriority_process(None, NICENESS);
        if let Err(error) = lowered {
            tracing::warn!(%error, "refinements run at the priority of everything else");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_there_waits_while_it_is_held() {
        let background = Arc::new(Background::new(1, Foreground::default()).expect("a pool"));
        let held = background.hold();
        let passed = Arc::new(AtomicBool::new(false));
        let (other, flag) = (Arc::clone(&background), Arc::clone(&passed));
        let thread = std::thread::spawn(move || {
            other.run(|| {
                other.pass();
                flag.store(true, Ordering::SeqCst);
            });
        });
        // The lock is free only while it waits, or before it has come so far.
        for _ in 0..1_000 {
            std::thread::yield_now();
            assert!(!passed.load(Ordering::SeqCst));
        }
        drop(held);
        thread.join().expect("it ends");
        assert!(passed.load(Ordering::SeqCst));
        background.pass();
    }
}
