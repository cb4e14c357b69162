//! How long leases last, and how long silence is borne.

use std::time::Duration;

/// The least and the most that a lease may last.
const LEASE_LEAST: Duration = Duration::from_secs(5);
const LEASE_MOST: Duration = Duration::from_secs(3_600);

/// What a lease must be longer than the silence after which another node claims to lead.
const LEASE_OVER_TAKEOVER: Duration = Duration::from_secs(3);

/// The margin between what a node and its leader think of a lease is at least so long.
const MARGIN_LEAST: Duration = Duration::from_millis(500);

/// Of a lease, what two clocks may gain on one another while it lasts: one part in so many.
const DRIFT_PARTS: u32 = 50;

/// Times of the protocol; all of them are lengths, on any clock that gains or loses at most one part in
/// fifty against another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease lasts: so long an erasure may have to wait for a node that cannot be reached.
    pub lease: Duration,
    /// How long after its end the leader counts a lease as over: the clocks of two machines gain on one another.
    pub margin: Duration,
    /// How long the log is silent before a candidate claims to lead.
    pub takeover: Duration,
    /// How far behind the log a node may be and still be waited for.
    pub forget: Duration,
    /// Between two messages of a node to its leader.
    pub beat: Duration,
    /// The longest silence of a leader in the log.
    pub log_beat: Duration,
    /// How long an append may be unanswered before the leader looks what became of it.
    pub append: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(Duration::from_secs(15), Duration::from_secs(10))
    }
}

impl Timing {
    /// The times that go with a lease and a silence of this length.
    pub fn new(lease: Duration, takeover: Duration) -> Self {
        Self {
            lease,
            margin: MARGIN_LEAST.max(lease / DRIFT_PARTS),
            takeover,
            forget: Duration::from_secs(2),
            beat: Duration::from_millis(500),
            log_beat: Duration::from_secs(1),
            append: Duration::from_secs(5),
        }
    }
}

/// Times that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTiming {
    /// A lease of this length is of no use.
    #[error("cluster.lease_seconds must be 5 to 3600")]
    Lease,
    /// A change of leaders would end every lease.
    #[error("cluster.lease_seconds must be more than cluster.takeover_seconds + 3")]
    Takeover,
}

impl Timing {
    /// Refuses times that do not go together.
    pub fn check(&self) -> Result<(), InvalidTiming> {
        if !(LEASE_LEAST..=LEASE_MOST).contains(&self.lease) {
            return Err(InvalidTiming::Lease);
        }
        if self.lease <= self.takeover + LEASE_OVER_TAKEOVER {
            return Err(InvalidTiming::Takeover);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_must_outlast_a_change_of_leaders() {
        assert_eq!(Timing::default().check(), Ok(()));
        let lease = |seconds| Timing::new(Duration::from_secs(seconds), Duration::from_secs(10));
        assert_eq!(lease(4).check(), Err(InvalidTiming::Lease));
        assert_eq!(lease(3_601).check(), Err(InvalidTiming::Lease));
        assert_eq!(lease(13).check(), Err(InvalidTiming::Takeover));
        assert_eq!(lease(14).check(), Ok(()));
        assert_eq!(lease(15).margin, Duration::from_millis(500));
        assert_eq!(lease(100).margin, Duration::from_secs(2));
    }
}
