//! Whether readers may be answered: asked by every reader, twice, without waiting for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use recant_cluster::BootTime;

use super::boot_clock::boot_time;

/// Until when this node may answer readers. A copy looks at the same.
#[derive(Debug, Clone, Default)]
pub struct LeaseGate {
    /// In nanoseconds of the machine's running time; 0 for not at all.
    ends: Arc<AtomicU64>,
}

impl LeaseGate {
    /// Whether readers may be answered now. To be asked before an answer is begun and again before it is
    /// sent: what was begun under a lease may be ready after its end.
    pub fn may_answer(&self) -> bool {
        let now = u64::try_from(boot_time().0.as_nanos()).unwrap_or(u64::MAX);
        now < self.ends.load(Ordering::Acquire)
    }

    /// How long readers are still answered.
    pub fn remaining(&self) -> Duration {
        let ends = Duration::from_nanos(self.ends.load(Ordering::Acquire));
        ends.saturating_sub(boot_time().0)
    }

    pub(crate) fn set(&self, ends: Option<BootTime>) {
        let ends = ends.map_or(0, |ends| {
            u64::try_from(ends.0.as_nanos()).unwrap_or(u64::MAX)
        });
        self.ends.store(ends, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_until_its_end_and_shut_without_one() {
        let gate = LeaseGate::default();
        assert!(!gate.may_answer());
        gate.set(Some(boot_time() + Duration::from_secs(3_600)));
        assert!(gate.clone().may_answer());
        gate.set(Some(boot_time()));
        assert!(!gate.may_answer());
        gate.set(None);
        assert!(!gate.may_answer());
    }
}
