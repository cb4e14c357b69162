//! What a leader does: it appends, grants leases, and answers when everybody who may answer readers is there.

use std::time::Duration;

use super::checks::Finding;
use super::exchange::{Output, Refusal, RequestId, Settled};
use super::leadership::{Follower, Joining, Queued, Waiting};
use super::{Node, Role};
use crate::boot_time::BootTime;
use crate::entry::{Body, Change, Group};
use crate::messages::{Beat, BeatAnswer};

impl Node {
    pub(super) fn submit(&mut self, asked: Queued, out: &mut Vec<Output>) {
        let term = self.read.term;
        match &mut self.role {
            Role::Leading(leading)
                if self.handing_over.is_none() && leading.has_said(asked.everywhere, term) =>
            {
                leading.queue.push_back(asked);
            }
            _ => {
                let (request, settled) = (asked.request, Settled::Refused(Refusal::NotLeading));
                out.push(Output::Settle { request, settled });
            }
        }
    }

    /// What a leader does next: one thing at a time is on its way.
    pub(super) fn lead(&mut self, now: BootTime, out: &mut Vec<Output>) {
        let (is_at_tail, timing) = (self.is_at_tail(), self.options.timing);
        let has_successor = self.has_successor(now);
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
        if has_successor && change.is_none() && leading.has_answered() {
            // Readers first: whoever reads that this node is out may lead at once.
            leading.own_lease.give_up();
            let (node, applied) = (self.options.id.clone(), self.applied.number);
            let change = Change::Out { applied };
            self.append_as_leader(now, &Body::Member { node, change }, Vec::new(), out);
            return;
        }
        if change.is_none()
            && let Some(first) = self.next_series(out)
        {
            self.append_as_leader(now, &Body::Rekey(first), Vec::new(), out);
            return;
        }
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        if change.is_none()
            && let Some(slice) = leading.checks.wanted.take()
        {
            self.append_as_leader(now, &Body::Check(slice), Vec::new(), out);
            return;
        }
        if change.is_none() && !leading.queue.is_empty() {
            leading.deciding = leading.take_queued();
            let requests = leading.deciding.iter().map(|it| it.request).collect();
            out.push(Output::Decide(requests));
            return;
        }
        let is_quiet = now - leading.sent >= timing.log_beat;
        if let Some((node, change)) = change {
            let removal = match &change {
                Change::Removed { .. } => leading.removing.remove(&node),
                Change::Joined { .. } | Change::Out { .. } => None,
            };
            let requests = removal.into_iter().map(|it| (it.request, false)).collect();
            self.append_as_leader(now, &Body::Member { node, change }, requests, out);
        } else if is_quiet {
            self.append_as_leader(now, &Body::Beat, Vec::new(), out);
        }
        self.settle(now, out);
    }

    /// The store has decided: what it takes becomes an entry.
    pub(super) fn decided(
        &mut self,
        now: BootTime,
        decided: Vec<Option<Vec<u8>>>,
        out: &mut Vec<Output>,
    ) {
        let Role::Leading(leading) = &mut self.role else {
            return;
        };
        let deciding = std::mem::take(&mut leading.deciding);
        let confirmed = leading.confirmed(&self.applied, &self.options.id);
        let (mut taken, mut requests, mut everywhere) = (Vec::new(), Vec::new(), None);
        let mut settled = Vec::new();
        for (asked, decided) in deciding.into_iter().zip(decided) {
            let request = asked.request;
            if let Some(decided) = decided {
                taken.push(decided);
                everywhere = everywhere.max(asked.everywhere);
                settled.extend(asked.settles);
                requests.push((request, asked.erases));
            } else {
                let settled = Settled::Refused(Refusal::ByStore);
                out.push(Output::Settle { request, settled });
            }
        }
        if taken.is_empty() {
            return;
        }
        let erases = requests.iter().any(|(_, erases)| *erases);
        let body = Body::Group(Group {
            decided: taken,
            erases,
            everywhere,
            settled,
            confirmed,
        });
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
        pending.is_group = matches!(body, Body::Group(_));
        if let Role::Leading(leading) = &mut self.role {
            if let Body::Member {
                node,
                change: Change::Out { .. } | Change::Removed { .. },
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
                self.seen.accept_waits.push(now - waits.since);
                out.push(Output::Settle { request, settled });
            } else {
                leading.waiting.push(waits);
            }
        }
    }

    /// Notes how far a node is, and grants it what is left of the leader's own lease.
    pub(super) fn answer_beat(&mut self, now: BootTime, beat: &Beat, out: &mut Vec<Output>) {
        let term = self.read.term;
        self.hear_digest(now, beat, out);
        let left = self.granted(now, beat);
        let succeeds = left.is_some() && self.succeeds(&beat.node);
        let differs = match &self.role {
            Role::Leading(leading) => {
                leading.checks.finding(&beat.node, beat.boot) == Some(Finding::Wrong)
            }
            Role::Following | Role::Claiming(_) => false,
        };
        out.push(Output::Answer(BeatAnswer {
            term,
            left,
            succeeds,
            differs,
            leader_differs: self.is_wrong,
            offer: left.and_then(|_| self.offer()),
        }));
        self.settle(now, out);
    }

    fn granted(&mut self, now: BootTime, beat: &Beat) -> Option<Duration> {
        let (timing, floor) = (self.options.timing, self.floor());
        let Role::Leading(leading) = &mut self.role else {
            return None;
        };
        if beat.term != self.read.term {
            return None;
        }
        let Some(member) = self.read.current(&beat.node) else {
            let (beat, heard) = (beat.clone(), now);
            leading
                .joining
                .insert(beat.node.clone(), Joining { beat, heard });
            return None;
        };
        if member.boot != beat.boot || leading.leaving.as_ref() == Some(&beat.node) {
            return None;
        }
        let follower = leading.followers.entry(beat.node.clone());
        let follower = follower.or_insert_with(|| Follower::new(beat.boot, now));
        follower.heard = now;
        follower.applied = follower.applied.max(beat.applied);
        follower.live = follower.live.max(beat.live);
        follower.keeps = beat.keeps;
        let (applied, live) = (follower.applied, follower.live);
        let is_behind = applied < member.joined || live < floor;
        if is_behind
            || leading.checks.finding(&beat.node, beat.boot).is_some()
            || leading.removing.contains_key(&beat.node)
            || leading.is_held_up_at(applied, live, now, &timing)
        {
            return None;
        }
        let own = leading.own_ends;
        let follower = leading.followers.get_mut(&beat.node)?;
        follower.grant.extend(own, now)
    }
}
