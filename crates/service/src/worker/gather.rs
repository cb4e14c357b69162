//! Additions that come while a certificate is worked out share local updates.
//!
//! An update of one addition costs nearly what one of twenty does, most of it on the same neighbours, and
//! takes the processor from the refinement. So after an update additions are gathered for some times
//! as long as it took. Nobody waits for them; an erasure ends the gathering at once, and what was
//! gathered goes with it.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Worker, WorkerError, role_changed};
use recant_store::LogPosition;

/// Additions alone take one part in so many and one of the time, at most.
const REST: u32 = 4;

/// Longest that an addition is gathered.
const REST_MAX: Duration = Duration::from_millis(100);

/// How long additions are gathered after an update that took so long.
fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(REST).min(REST_MAX)
}

impl Worker {
    /// An update that began then has ended.
    pub(super) fn rest(&mut self, began: Instant) {
        self.gathers_until = Instant::now() + rest_after(began.elapsed());
    }

    /// Until when additions are gathered, if they are now: while a refinement is under way and no
    /// erasure waits.
    pub(super) fn gathering(&self) -> Option<Instant> {
        let gathers = self.refiner.is_running() && self.backlog.depth() == 0;
        (gathers && Instant::now() < self.gathers_until).then_some(self.gathers_until)
    }

    /// Waits until additions have been gathered, or something does not wait for it.
    pub(super) async fn gather(
        &mut self,
        log: &mut watch::Receiver<LogPosition>,
        until: Instant,
    ) -> Result<(), WorkerError> {
        let end = tokio::time::sleep_until(until.into());
        tokio::pin!(end);
        loop {
            tokio::select! {
                // An erasure enters the backlog before the log.
                changed = log.changed() => {
                    changed.map_err(|_| WorkerError::Stopped)?;
                    if self.backlog.depth() > 0 {
                        return Ok(());
                    }
                }
                () = self.refiner.ready() => return Ok(()),
                () = role_changed(&mut self.replica) => return Ok(()),
                () = self.committer.stopped() => return Err(WorkerError::Stopped),
                () = &mut end => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_some_times_as_long_as_the_update_and_short() {
        let rest = |milliseconds| rest_after(Duration::from_millis(milliseconds));
        assert_eq!(rest(0), Duration::ZERO);
        assert_eq!(rest(5), Duration::from_millis(20));
        assert_eq!(rest(60_000), REST_MAX);
    }
}
