//! What a leader does: it appends, grants leases, and answers when everybody who may answer readers is there.

use std::time::Duration;

use super::exchange::{Output, Refusal, RequestId, Settled};
use super::leadership::{Follower, Queued, Waiting};
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::entry::{Body, Change, Group};
use crate::messages::{Beat, BeatAnswer};

/// A node that joins may be so many entries behind: from further off it is not waited for.
const JOIN_WITHIN: u64 = 1_000;

impl Node {
    pub(super) fn submit(
        &mut self,
        request: RequestId,
        asked: Vec<u8>,
        erases: bool,
        out: &mut Vec<Output>,
    ) {
        match &mut self.role {
            Role::Leading(leading) => leading.queue.push_back(Queued {
                request,
                asked,
                erases,
            }),
            Role::Following | Role::Claiming(_) => {
                let settled = Settled::Refused(Refusal::NotLeading);
                out.push(Output::Settle { request, settled });
            }
        }
    }

    /// What a leader does next: one thing at a time is on its way.
    pub(super) fn lead(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let (is_at_tail, timing) = (self.is_at_tail(), self.options.timing);
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        if let Some(pending) = &leading.pending {
            if pending.is_due(now) && is_at_tail {
                self.append_again(now, out);
            }
            return;
        }
        if !is_at_tail || !leading.deciding.is_empty() {
            return;
        }
        let change = leading.next_change(now, &self.read, &self.options.id, &timing);
        if change.is_none() && !leading.queue.is_empty() {
            leading.deciding = leading.take_queued();
            let asked = leading.deciding.iter().map(|it| it.asked.clone()).collect();
            out.push(Output::Decide(asked));
            return;
        }
        let is_quiet = now - leading.sent >= timing.log_beat;
        if let Some(body) = change.or(is_quiet.then_some(Body::Beat)) {
            self.append_as_leader(now, &body, Vec::new(), out);
        }
        self.settle(now, out);
    }

    /// The store has decided: that becomes an entry.
    pub(super) fn decided(&mut self, now: BootTime, decided: Vec<Vec<u8>>, out: &mut Vec<Output>) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let deciding = std::mem::take(&mut leading.deciding);
        if deciding.is_empty() {
            return;
        }
        let erases = deciding.iter().any(|it| it.erases);
        let requests = deciding.iter().map(|it| (it.request, it.erases)).collect();
        let body = Body::Group(Group { decided, erases });
        self.append_as_leader(now, &body, requests, out);
    }

    fn append_as_leader(
        &mut self,
        now: BootTime,
        body: &Body,
        requests: Vec<(RequestId, bool)>,
        out: &mut Vec<Output>,
    ) {
        let mut pending = self.append(now, self.read.term, body, out);
        pending.requests = requests;
        if let Role::Leading(leading) = &mut self.role {
            if let Body::Member {
                node,
                change: Change::Out,
            } = body
            {
                leading.leaving = Some(node.clone());
            }
            leading.pending = Some(pending);
            leading.sent = now;
        }
    }

    /// The store has applied an entry of this leader: additions are answered, erasures wait for the others.
    pub(super) fn answer_what_is_applied(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let number = self.applied.number;
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        for (request, erases) in std::mem::take(&mut leading.applying) {
            if erases {
                leading.waiting.push(Waiting {
                    request,
                    number,
                    since: now,
                });
            } else {
                let settled = Settled::Accepted;
                out.push(Output::Settle { request, settled });
            }
        }
        self.settle(now, out);
    }

    /// Answers the erasures that everybody has applied.
    fn settle(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        if now < leading.alone_from {
            return;
        }
        let waiting = std::mem::take(&mut leading.waiting);
        for waits in waiting {
            if leading.is_everywhere(waits.number, &self.applied, &self.options.id) {
                let (request, settled) = (waits.request, Settled::Accepted);
                out.push(Output::Settle { request, settled });
            } else {
                leading.waiting.push(waits);
            }
        }
    }

    /// Notes how far a node is, and grants it what is left of the leader's own lease.
    pub(super) fn answer_beat(&mut self, now: BootTime, beat: &Beat, out: &mut Vec<Output>) {
        let term = self.read.term;
        let left = self.granted(now, beat);
        out.push(Output::Answer(BeatAnswer { term, left }));
        self.settle(now, out);
    }

    fn granted(&mut self, now: BootTime, beat: &Beat) -> Option<Duration> {
        let timing = self.options.timing;
        let Role::Leading(leading) = &mut self.role else {
            return None;
        };
        if beat.term != self.read.term {
            return None;
        }
        let Some(member) = self.read.current(&beat.node) else {
            if beat.applied + JOIN_WITHIN >= self.read.number {
                leading.joining.insert(beat.node.clone(), beat.boot);
            }
            return None;
        };
        if member.boot != beat.boot || leading.leaving.as_ref() == Some(&beat.node) {
            return None;
        }
        let follower = leading.followers.entry(beat.node.clone());
        let follower = follower.or_insert_with(|| Follower::new(beat.boot, now));
        follower.heard = now;
        follower.applied = follower.applied.max(beat.applied);
        let applied = follower.applied;
        if applied < member.joined || leading.is_held_up_at(applied, now, &timing) {
            return None;
        }
        let own = leading.own_ends;
        let follower = leading.followers.get_mut(&beat.node)?;
        follower.grant.extend(own, now)
    }
}
