//! How a node comes to lead: the log is silent, and it says so behind the last entry.

use std::time::Duration;

use super::exchange::{Appended, Output, Refusal, RequestId, Settled};
use super::leadership::Leading;
use super::pending::Pending;
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::entry::{Body, EntryHash, seal_entry};

/// Silence that is enough when nobody listens where the leader is reached.
const LEADER_GONE: Duration = Duration::from_secs(3);

/// What others give the one that was told to lead next.
const FOR_SUCCESSOR: Duration = Duration::from_millis(500);

impl Node {
    /// Claims to lead when the log was silent for long, and everything in it is applied: a node that leads
    /// lacks nothing that was ever acknowledged.
    pub(super) fn claim(&mut self, now: BootTime, out: &mut Vec<Output>) {
        if self.stopped.is_some() || !self.is_at_tail() {
            return;
        }
        match &self.role {
            Role::Following => {
                let may_claim = self.options.is_candidate && self.may_lead && !self.is_wrong;
                let may_claim = may_claim && !self.leaves_the_lead_to_others(now);
                if may_claim && now - self.heard >= self.silence_borne() {
                    let body = Body::Lead {
                        node: self.options.id.clone(),
                        boot: self.options.boot,
                        address: self.options.address.clone(),
                        signing: self.options.signing.clone(),
                        is_candidate: true,
                    };
                    let pending = self.append(now, self.read.term + 1, &body, out);
                    self.role = Role::Claiming(pending);
                }
            }
            Role::Claiming(pending) if pending.is_due(now) => self.append_again(now, out),
            Role::Claiming(_) | Role::Leading(_) => {}
        }
    }

    /// Whether it handed over, and others have still time to claim. When none of them does, it leads again.
    fn leaves_the_lead_to_others(&self, now: BootTime) -> bool {
        let timing = &self.options.timing;
        let is_silent = now - self.heard >= timing.takeover + timing.lease;
        self.handing_over.is_some() && !is_silent
    }

    /// How long the log must be silent before this node claims to lead. A leader that has put itself out is
    /// not waited for, but whoever it told to lead next is for a moment, and one whose process is gone not for long.
    ///
    /// Who lacks the version that was shown to be everywhere gives all others time: it would have to make it
    /// from its data first.
    fn silence_borne(&self) -> Duration {
        let timing = &self.options.timing;
        let leader = self.read.leader.as_ref();
        let is_handed_over = leader.is_some_and(|leader| self.read.current(leader).is_none());
        let is_successor = self.succeeds_in == Some(self.read.term);
        if is_handed_over && is_successor {
            return Duration::ZERO;
        }
        let for_leader = if is_handed_over {
            FOR_SUCCESSOR
        } else if self.leader_refuses {
            timing.takeover.min(LEADER_GONE)
        } else {
            timing.takeover
        };
        let is_behind = self.live.max(self.options.stored) < self.read.everywhere;
        let for_others = if is_behind {
            timing.lease
        } else {
            Duration::ZERO
        };
        for_leader + for_others + self.options.patience
    }

    /// Sends an entry after the last one that was read.
    pub(super) fn append(
        &mut self,
        now: BootTime,
        term: u64,
        body: &Body,
        out: &mut Vec<Output>,
    ) -> Pending {
        self.attempts += 1;
        let payload = seal_entry(self.read.next(term), body, &self.key);
        let attempt = self.attempts;
        out.push(Output::Append {
            attempt,
            tail: self.sequence,
            payload: payload.clone(),
        });
        Pending::new(payload, attempt, now, &self.options.timing)
    }

    /// Sends the entry that is on its way once more, behind the tail as it is now.
    pub(super) fn append_again(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let (attempt, tail) = (self.attempts + 1, self.sequence);
        let timing = self.options.timing;
        let Some(pending) = self.pending_mut() else {
            return;
        };
        pending.sent_again(attempt, now, &timing);
        let payload = pending.payload.clone();
        out.push(Output::Append {
            attempt,
            tail,
            payload,
        });
        self.attempts = attempt;
    }

    pub(super) fn appended(
        &mut self,
        now: BootTime,
        attempt: u64,
        outcome: Appended,
        out: &mut Vec<Output>,
    ) {
        if let Some(pending) = self.pending_mut() {
            pending.appended(now, attempt, outcome);
        }
        if let (Role::Leading(leading), Appended::Full) = (&mut self.role, outcome) {
            for request in leading.take_back() {
                let settled = Settled::Refused(Refusal::LogFull);
                out.push(Output::Settle { request, settled });
            }
        }
    }

    fn pending_mut(&mut self) -> Option<&mut Pending> {
        match &mut self.role {
            Role::Following => None,
            Role::Claiming(pending) => Some(pending),
            Role::Leading(leading) => leading.pending.as_mut(),
        }
    }

    /// The requests that the entry with this hash carries, if it is the one on its way.
    pub(super) fn requests_of(&mut self, hash: EntryHash) -> Vec<RequestId> {
        let pending = self.pending_mut().filter(|pending| pending.hash == hash);
        let requests = pending.into_iter().flat_map(|pending| &pending.requests);
        requests.map(|(request, _)| *request).collect()
    }

    /// An entry that counts was read. If it is the one on its way, that has arrived; if it is another's, the
    /// one on its way can never count.
    pub(super) fn read_back(
        &mut self,
        now: BootTime,
        hash: EntryHash,
        body: &Body,
        out: &mut Vec<Output>,
    ) {
        let is_mine = self
            .pending_mut()
            .is_some_and(|pending| pending.hash == hash);
        let found = self.pending_mut().filter(|_| is_mine);
        let was_in_doubt = found.is_some_and(|pending| pending.is_in_doubt);
        self.seen.found_mine += u64::from(was_in_doubt);
        match &mut self.role {
            Role::Following => {}
            Role::Claiming(pending) if is_mine => {
                let other = self.applied.current(&self.options.id);
                let has_other_life = other.is_some_and(|it| it.boot != self.options.boot);
                let timing = &self.options.timing;
                let leading = Leading::new(pending.sent, now, self.live, has_other_life, timing);
                self.lease.give_up();
                self.role = Role::Leading(Box::new(leading));
            }
            Role::Claiming(_) => self.role = Role::Following,
            Role::Leading(_) if is_mine && self.read.current(&self.options.id).is_none() => {
                self.lose_lead(out);
            }
            Role::Leading(leading) if is_mine => {
                leading.arrived(&self.options.timing, body, now);
            }
            Role::Leading(_) => self.lose_lead(out),
        }
    }

    /// Gives up the lead, and tells whoever waits.
    pub(super) fn lose_lead(&mut self, out: &mut Vec<Output>) {
        let role = std::mem::replace(&mut self.role, Role::Following);
        let Role::Leading(leading) = role else {
            return;
        };
        for (request, refusal) in leading.unanswered() {
            let settled = Settled::Refused(refusal);
            out.push(Output::Settle { request, settled });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Address, BootId, Incarnation, NodeId};
    use crate::mark::{Mark, Member, Standing};
    use crate::node::{Input, NodeOptions};
    use crate::ratchet::Ratchet;
    use crate::timing::Timing;
    use crate::version::Version;
    use uuid::Uuid;
    use zeroize::Zeroizing;

    fn boot() -> BootId {
        BootId {
            life: 1,
            process: Uuid::nil(),
        }
    }

    /// A candidate that follows another node, and whose readers see this version of 4.
    fn follower(live: u64) -> Node {
        let options = NodeOptions {
            id: NodeId(String::from("b")),
            boot: boot(),
            address: Address(String::new()),
            signing: Vec::new(),
            is_candidate: true,
            stored: Version::default(),
            patience: Duration::from_secs(1),
            timing: Timing::default(),
        };
        let leader = NodeId(String::from("a"));
        let member = Member {
            boot: boot(),
            address: Address(String::new()),
            signing: Vec::new(),
            is_candidate: true,
            joined: 1,
            applied: 0,
            standing: Standing::Current,
            debt: None,
        };
        let version = |number| Version { term: 1, number };
        let mut mark = Mark::new(Incarnation(Uuid::nil()));
        mark.term = 1;
        mark.everywhere = version(4);
        mark.members.insert(leader.clone(), member);
        mark.leader = Some(leader);
        let key = Ratchet::new(0, 0, Zeroizing::new([1; 32]));
        let mut node = Node::start(options, mark, key, None, BootTime::default());
        let version = version(live);
        let forgets = false;
        node.handle(BootTime::default(), Input::Live { version, forgets });
        node
    }

    fn claims_at(node: &mut Node, millis: u64) -> bool {
        let now = BootTime(Duration::from_millis(millis));
        let out = node.handle(now, Input::Tick);
        out.iter().any(|it| matches!(it, Output::Append { .. }))
    }

    fn at(millis: u64) -> BootTime {
        BootTime(Duration::from_millis(millis))
    }

    fn appended(out: &[Output]) -> Option<(u64, Vec<u8>)> {
        out.iter().find_map(|it| match it {
            Output::Append {
                attempt, payload, ..
            } => Some((*attempt, payload.clone())),
            _ => None,
        })
    }

    /// A node that leads, and sends an entry with request 7 at 12 s; which attempt that is.
    fn leader_that_sends() -> (Node, u64) {
        let mut node = follower(4);
        arrives(&mut node, at(11_000), Input::Tick);
        let submit = Input::Submit {
            request: RequestId(7),
            bytes: 1,
            erases: false,
            everywhere: None,
            settles: None,
        };
        let out = node.handle(at(12_000), submit);
        assert!(matches!(out[..], [Output::Decide(_)]), "{out:?}");
        let out = node.handle(at(12_000), Input::Decided(vec![Some(vec![1])]));
        let (attempt, _) = appended(&out).expect("a group");
        (node, attempt)
    }

    fn told_that_it_is_full(out: &[Output]) -> bool {
        let settled = Settled::Refused(Refusal::LogFull);
        let request = RequestId(7);
        let is_it = |it: &Output| matches!(it, Output::Settle { request: r, settled: s } if (*r, *s) == (request, settled));
        out.iter().any(is_it)
    }

    #[test]
    fn what_a_full_log_does_not_take_is_told_and_the_leader_goes_on() {
        let (mut node, attempt) = leader_that_sends();
        let outcome = Appended::Full;
        let out = node.handle(at(12_100), Input::Appended { attempt, outcome });
        assert!(told_that_it_is_full(&out), "{out:?}");
        let (_, beat) = appended(&node.handle(at(13_100), Input::Tick)).expect("a beat");
        let sequence = node.next_read();
        let payload = beat;
        node.handle(at(13_100), Input::Entry { sequence, payload });
        assert_eq!((node.leads(), node.read.number), (Some(2), 2));
    }

    #[test]
    fn what_may_be_in_the_log_all_the_same_is_sent_again() {
        let (mut node, attempt) = leader_that_sends();
        let outcome = Appended::Unknown;
        node.handle(at(12_100), Input::Appended { attempt, outcome });
        let later = 12_000 + node.options.timing.append.as_millis() as u64;
        let (attempt, _) = appended(&node.handle(at(later), Input::Tick)).expect("again");
        let outcome = Appended::Full;
        let out = node.handle(at(later), Input::Appended { attempt, outcome });
        assert!(!told_that_it_is_full(&out), "{out:?}");
        // And what was not answered before it was sent again.
        let (mut node, _) = leader_that_sends();
        let (attempt, _) = appended(&node.handle(at(later), Input::Tick)).expect("again");
        let out = node.handle(at(later), Input::Appended { attempt, outcome });
        assert!(!told_that_it_is_full(&out), "{out:?}");
    }

    /// What a node appends at a time is in the log at once, and applied.
    fn arrives(node: &mut Node, now: BootTime, input: Input) {
        let (_, payload) = appended(&node.handle(now, input)).expect("an entry");
        let sequence = node.next_read();
        node.handle(now, Input::Entry { sequence, payload });
        let number = node.read.number;
        node.handle(now, Input::Applied { number });
    }

    #[test]
    fn who_handed_over_leads_again_when_nobody_else_does() {
        let mut node = follower(4);
        arrives(&mut node, at(11_000), Input::Tick);
        arrives(&mut node, at(12_000), Input::HandOver { to: None });
        assert_eq!(node.leads(), Some(2));
        // Nobody is heard of who could lead.
        arrives(&mut node, at(14_000), Input::Tick);
        assert_eq!(node.leads(), None);
        let silence = node.options.timing.takeover + node.options.timing.lease;
        let until = 14_000 + silence.as_millis() as u64;
        assert!(!claims_at(&mut node, until - 100) && claims_at(&mut node, until));
    }

    #[test]
    fn a_leader_that_is_gone_is_waited_for_less_long() {
        let mut node = follower(4);
        assert!(!claims_at(&mut node, 10_900) && claims_at(&mut node, 11_000));
        let mut node = follower(4);
        node.handle(BootTime::default(), Input::LeaderRefuses);
        assert!(!claims_at(&mut node, 3_900) && claims_at(&mut node, 4_000));
    }

    /// A node that lacks the rest of the log, and an engine that takes what it appends, must not keep all others
    /// from leading.
    #[test]
    fn what_does_not_count_is_no_sign_of_a_leader() {
        let mut node = follower(4);
        let key = Ratchet::new(0, 0, Zeroizing::new([1; 32]));
        let stranger = Mark::new(Incarnation(Uuid::max())).next(1);
        let payload = seal_entry(stranger, &Body::Beat, &key);
        for seconds in 1..11 {
            let (sequence, payload) = (node.next_read(), payload.clone());
            let now = BootTime(Duration::from_secs(seconds));
            let out = node.handle(now, Input::Entry { sequence, payload });
            assert!(!out.iter().any(|it| matches!(it, Output::Append { .. })));
        }
        assert!(claims_at(&mut node, 11_000));
    }

    #[test]
    fn who_lacks_what_is_everywhere_lets_all_others_claim_first() {
        let mut node = follower(3);
        node.handle(BootTime::default(), Input::LeaderRefuses);
        assert!(!claims_at(&mut node, 18_900) && claims_at(&mut node, 19_000));
    }
}
