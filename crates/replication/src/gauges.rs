//! Where a node stands, as its metrics show it.

use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use recant_cluster::{MemberState, Seen, Version};
use recant_types::UnixMillis;

use super::lease_gate::LeaseGate;
use super::metric_names as names;
use super::status::{Role, Status};

/// Between two looks at what changes by itself.
const EACH: Duration = Duration::from_millis(500);

/// What was shown last.
#[derive(Default)]
pub(crate) struct Gauges {
    led: bool,
    owing: Option<Owing>,
    shown_at: Option<Instant>,
}

/// What some node owes.
struct Owing {
    /// It lies behind this entry.
    after: u64,
    noticed: Instant,
    /// When the first of it was accepted, once the store was asked.
    accepted_at: Option<UnixMillis>,
}

impl Owing {
    fn age(&self, now: Instant) -> Duration {
        match self.accepted_at {
            Some(at) => {
                let age = UnixMillis::now().0.saturating_sub(at.0);
                Duration::from_millis(u64::try_from(age).unwrap_or_default())
            }
            None => now - self.noticed,
        }
    }
}

impl Gauges {
    /// Notices what nodes owe; the entry behind which they do, when it has to be asked since when.
    pub(crate) fn notice(&mut self, status: &Status) -> Option<u64> {
        let members = status.members.iter().filter(|it| !is_gone(it));
        let after = members.filter_map(|it| it.owes_after).min();
        if self.owing.as_ref().map(|it| it.after) == after {
            return None;
        }
        self.owing = after.map(|after| Owing {
            after,
            noticed: Instant::now(),
            accepted_at: None,
        });
        after
    }

    /// When the first erasure behind an entry was accepted.
    pub(crate) fn owed_since(&mut self, after: u64, accepted_at: Option<UnixMillis>) {
        if let Some(owing) = self.owing.as_mut().filter(|it| it.after == after) {
            owing.accepted_at = accepted_at;
        }
    }

    /// Shows where the node stands, if it is time.
    pub(crate) fn show(&mut self, status: &Status, gate: &LeaseGate) {
        let leads = matches!(status.role, Role::Leader { .. });
        if leads && !self.led {
            counter!(names::CLUSTER_TAKEOVERS_TOTAL).increment(1);
        }
        let has_role_changed = leads != self.led;
        self.led = leads;
        let now = Instant::now();
        let is_due = self.shown_at.is_none_or(|shown| now - shown >= EACH);
        if !is_due && !has_role_changed {
            return;
        }
        self.shown_at = Some(now);
        let flag = |is: bool| f64::from(u8::from(is));
        // One whose lease is over leads nobody, whatever it has not heard yet.
        let is_leader = leads && gate.may_answer();
        gauge!(names::CLUSTER_ROLE, "role" => "leader").set(flag(is_leader));
        gauge!(names::CLUSTER_ROLE, "role" => "follower").set(flag(!is_leader));
        gauge!(names::CLUSTER_TERM).set(status.term as f64);
        gauge!(names::CLUSTER_LEASE_REMAINING_SECONDS).set(gate.remaining().as_secs_f64());
        gauge!(names::CLUSTER_ENTRIES_APPLIED).set(status.applied as f64);
        gauge!(names::CLUSTER_ENTRIES_BEHIND).set(status.behind as f64);
        gauge!(names::CLUSTER_LOG_BYTES).set(status.log_bytes as f64);
        gauge!(names::CLUSTER_LOG_FULL).set(flag(status.is_log_full));
        gauge!(names::CLUSTER_LOG_SILENT).set(flag(status.is_log_silent));
        self.show_members(status, now);
    }

    /// Counts what a node has seen, after each thing that happens: mostly nothing.
    pub(crate) fn count(&self, seen: &Seen) {
        if *seen == Seen::default() {
            return;
        }
        counter!(names::CLUSTER_VOID_ENTRIES_TOTAL).increment(seen.void_entries);
        counter!(names::CLUSTER_LOG_FOUND_MINE_TOTAL).increment(seen.found_mine);
        for waited in &seen.accept_waits {
            histogram!(names::CLUSTER_ACCEPT_WAIT_SECONDS).record(waited.as_secs_f64());
        }
        for waited in &seen.everywhere_waits {
            histogram!(names::CLUSTER_EVERYWHERE_WAIT_SECONDS).record(waited.as_secs_f64());
        }
    }

    fn show_members(&mut self, status: &Status, now: Instant) {
        let members = || status.members.iter().filter(|it| !is_gone(it));
        for (state, name) in [
            (MemberState::Current, "current"),
            (MemberState::Out, "out"),
            (MemberState::Owing, "owing"),
        ] {
            let count = members().filter(|it| it.state == state).count();
            gauge!(names::CLUSTER_NODES, "state" => name).set(count as f64);
        }
        let owing = self.owing.as_ref();
        let owing = owing.map_or(Duration::ZERO, |owing| owing.age(now));
        gauge!(names::CLUSTER_OWING_OLDEST_SECONDS).set(owing.as_secs_f64());
        if self.led {
            for member in members() {
                let lag = lag(status.live, member.live.unwrap_or_default());
                gauge!(names::CLUSTER_NODE_LAG_VERSIONS, "node" => member.node.0.clone())
                    .set(lag as f64);
            }
        }
    }
}

/// Whether nothing is expected from a node any more.
fn is_gone(member: &recant_cluster::MemberStatus) -> bool {
    member.is_removed && member.state == MemberState::Out
}

/// Versions from one to another; numbers go on over terms.
fn lag(leader: Version, other: Version) -> u64 {
    leader.number.saturating_sub(other.number)
}
