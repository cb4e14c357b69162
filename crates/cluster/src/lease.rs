//! Who may answer readers, and until when: as a node sees it, and as its leader does.
//!
//! A node asks its leader at `sent`, and is answered "so much is left". The node's lease ends at `sent +
//! left` on its own clock. The leader computed `left` later than `sent`, so on its own clock the lease
//! is over when `left` has passed since the answer, but for what the two clocks gain on one another:
//! the margin. The node always stops first.

use std::time::Duration;

use super::boot_time::BootTime;

/// The lease that a node holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldLease {
    ends: Option<BootTime>,
}

impl HeldLease {
    /// What the leader answered to a message that was sent at `sent`. A lease is never made shorter: what
    /// was granted was granted.
    pub fn renew(&mut self, sent: BootTime, left: Duration) {
        self.ends = self.ends.max(Some(sent + left));
    }

    /// Whether the lease lasts at `now`.
    pub fn holds(&self, now: BootTime) -> bool {
        self.ends.is_some_and(|ends| now < ends)
    }

    /// When it ends, if there is one.
    pub fn ends(&self) -> Option<BootTime> {
        self.ends
    }

    /// Ends it.
    pub fn give_up(&mut self) {
        self.ends = None;
    }
}

/// What a leader granted to one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grant {
    ends: Option<BootTime>,
}

impl Grant {
    /// Grants what is left of the leader's own lease, which ends at `own`: for the answer. `None` when it
    /// is over.
    pub fn extend(&mut self, own: BootTime, now: BootTime) -> Option<Duration> {
        if own <= now {
            return None;
        }
        self.ends = self.ends.max(Some(own));
        Some(own - now)
    }

    /// Whether whoever it was granted to has stopped answering for sure.
    pub fn is_over(&self, now: BootTime, margin: Duration) -> bool {
        self.ends.is_none_or(|ends| ends + margin < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A clock that started somewhere, and gains `drift` parts in ten thousand.
    fn on_clock(offset: u64, drift: i64, real: u64) -> BootTime {
        let gained = i128::from(real) * i128::from(10_000 + drift) / 10_000;
        BootTime(Duration::from_micros(offset + gained as u64))
    }

    proptest! {
        /// Whatever the delays, and with clocks that gain a part in fifty on one another: when the leader
        /// thinks a lease is over, its holder does so already.
        #[test]
        fn a_node_stops_before_its_leader_counts_it_out(
            offsets in (0u64..1 << 40, 0u64..1 << 40),
            drift in -99i64..=99,
            asked in 0u64..30_000_000,
            there in 0u64..20_000_000,
            own_left in 0u64..15_000_000,
            later in 0u64..60_000_000,
        ) {
            let node = |real| on_clock(offsets.0, drift, real);
            let leader = |real| on_clock(offsets.1, -drift, real);
            let answered = asked + there;
            let own = leader(answered) + Duration::from_micros(own_left);
            let mut grant = Grant::default();
            let mut held = HeldLease::default();
            if let Some(left) = grant.extend(own, leader(answered)) {
                held.renew(node(asked), left);
            }
            let at = answered + later;
            let margin = crate::Timing::default().margin;
            if grant.is_over(leader(at), margin) {
                prop_assert!(!held.holds(node(at)));
            }
        }
    }
}
