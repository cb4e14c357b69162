//! The clock that leases are counted on.

use std::time::Duration;

use recant_cluster::BootTime;
use rustix::time::{ClockId, clock_gettime};

/// How long this machine has been running, suspension included where its system counts that.
pub fn boot_time() -> BootTime {
    // A clock that stood still while the machine was suspended would let a lease outlast its end.
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or_default();
    BootTime(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward() {
        let before = boot_time();
        assert!(before > BootTime::default());
        assert!(boot_time() >= before);
    }
}
