//! When a refinement begins, that there is only one, and what comes of it.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::background::Background;
use crate::checkpoint::{Checkpoint, Refined};
use crate::dirty::Changes;
use crate::learning::RefinementGoal;

/// First and longest pause after a refinement whose certificate was refused.
const REFUSED_PAUSE_MIN: Duration = Duration::from_secs(1);
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Longest pause after a refinement when only additions came meanwhile; it is as long as the
/// refinement was, so that additions alone take half of the spare time at most.
const ADDITIONS_PAUSE_MAX: Duration = Duration::from_secs(60);

/// What refinement is at.
#[derive(Debug)]
enum State {
    /// Nothing happened since the last certificate.
    Idle,
    /// Wanted from this moment on.
    Due(Instant),
    /// Under way.
    Running(Running),
    /// Waits to be made the live model.
    Finished(Box<Finished>),
}

/// A refinement under way. Dropping it ends it.
#[derive(Debug)]
struct Running {
    task: JoinHandle<Option<Refined>>,
    since: Changes,
    cancelled: Arc<AtomicBool>,
    started: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Release);
    }
}

/// A refinement that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// What came out; none when it panicked.
    pub(super) refined: Option<Refined>,
    /// What the log brought since its checkpoint.
    pub(super) since: Changes,
    /// How long it took.
    pub(super) took: Duration,
}

/// Decides when to refine, and holds the one refinement there is.
#[derive(Debug)]
pub(crate) struct Refiner {
    background: Arc<Background>,
    state: State,
    /// The pause after the next refusal; `None` while the last certificate was not refused.
    refused: Option<Duration>,
}

impl Refiner {
    /// Refinement is wanted at once: nothing is known of the model.
    pub(crate) fn new(background: Arc<Background>) -> Self {
        Self {
            background,
            state: State::Due(Instant::now()),
            refused: None,
        }
    }

    /// Nothing is known of the model any more: a refinement is wanted at once. None may be under way.
    pub(super) fn begin_anew(&mut self) {
        self.state = State::Due(Instant::now());
        self.refused = None;
    }

    /// Where refinements run.
    pub(super) fn background(&self) -> &Arc<Background> {
        &self.background
    }

    /// The log brought changes; with `is_erasure` somebody waits for a certificate.
    pub(super) fn changed(&mut self, changes: &Changes, is_erasure: bool) {
        let now = Instant::now();
        match &mut self.state {
            State::Idle => self.state = State::Due(now),
            State::Due(at) if is_erasure && self.refused.is_none() => *at = now.min(*at),
            State::Due(_) => {}
            State::Running(running) => running.since.merge(changes),
            State::Finished(finished) => finished.since.merge(changes),
        }
    }

    /// Whether a refinement should begin.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.state, State::Due(at) if at <= Instant::now())
    }

    /// Whether one is under way.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Whether one has ended and waits.
    pub(super) fn is_finished(&self) -> bool {
        match &self.state {
            State::Running(running) => running.task.is_finished(),
            State::Finished(_) => true,
            State::Idle | State::Due(_) => false,
        }
    }

    /// Begins to refine `checkpoint`, within `span`.
    pub(super) fn start(
        &mut self,
        checkpoint: Checkpoint,
        goal: RefinementGoal,
        span: tracing::Span,
    ) {
        let background = Arc::clone(&self.background);
        let cancelled = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&cancelled);
        let task = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let should_stop = || {
                background.pass();
                stop.load(Ordering::Acquire)
            };
            background.run(|| checkpoint.refine(&goal, &should_stop))
        });
        self.state = State::Running(Running {
            task,
            since: Changes::default(),
            cancelled,
            started: Instant::now(),
        });
    }

    /// Returns when there is something to do: a refinement is due, or has ended.
    pub(super) async fn ready(&mut self) {
        match &mut self.state {
            State::Idle => pending().await,
            State::Due(at) => tokio::time::sleep_until((*at).into()).await,
            State::Finished(_) => {}
            State::Running(running) => {
                let refined = (&mut running.task).await;
                if refined.is_err() {
                    tracing::error!("a refinement panicked");
                }
                self.state = State::Finished(Box::new(Finished {
                    refined: refined.unwrap_or_default(),
                    since: std::mem::take(&mut running.since),
                    took: running.started.elapsed(),
                }));
            }
        }
    }

    /// What has ended, if something has.
    pub(super) async fn take_finished(&mut self) -> Option<Box<Finished>> {
        if !self.is_finished() {
            return None;
        }
        self.ready().await;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Finished(finished) => Some(finished),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// A certificate was given after a refinement of `took`. With `changed` there are changes since,
    /// and with `is_waited_for` erasures among them.
    pub(super) fn certified(&mut self, changed: bool, is_waited_for: bool, took: Duration) {
        self.refused = None;
        self.state = if !changed {
            State::Idle
        } else if is_waited_for {
            State::Due(Instant::now())
        } else {
            State::Due(Instant::now() + took.min(ADDITIONS_PAUSE_MAX))
        };
    }

    /// A certificate was refused: it is tried again later, each time later.
    pub(super) fn refused(&mut self) {
        let pause = self.refused.unwrap_or(REFUSED_PAUSE_MIN);
        self.refused = Some((2 * pause).min(REFUSED_PAUSE_MAX));
        self.state = State::Due(Instant::now() + pause);
    }

    /// Ends what runs and waits until it has ended.
    pub(super) async fn stop(&mut self) {
        if let State::Running(running) = &mut self.state {
            running.cancelled.store(true, Ordering::Release);
            // What came of it is of no use any more, a panic neither.
            let _ = (&mut running.task).await;
        }
        self.state = State::Idle;
    }
}
