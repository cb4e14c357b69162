//! What a leader does: it appends, grants leases, and answers when everybody who may answer readers is there.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::pending::Pending;
use super::{Node, Output, Refusal, RequestId, Role, Settled};
use crate::boot_time::BootTime;
use crate::entry::{Body, BootId, Change, Group, NodeId};
use crate::lease::{Grant, HeldLease};
use crate::mark::Mark;
use crate::messages::{Beat, BeatAnswer};
use crate::timing::Timing;

/// Requests that become one entry at most.
const REQUESTS_PER_GROUP: usize = 1_024;

/// Bytes of requests that become one entry at most, but for a single request that is longer.
const BYTES_PER_GROUP: usize = 768 * 1024;

/// A node that joins may be so many entries behind: from further off it is not waited for.
const JOIN_WITHIN: u64 = 1_000;

/// Beats after which a node that says nothing is thought to be away.
const BEATS_MISSED: u32 = 4;

/// What a leader knows, beside what the log says.
#[derive(Debug)]
pub(super) struct Leading {
    /// Until when this node may answer readers: it counts from its last entry.
    pub(super) own_lease: HeldLease,
    own_ends: BootTime,
    /// By when every lease of earlier terms is over.
    others_end: BootTime,
    /// By when nobody answers any more under the name of this node but itself.
    alone_from: BootTime,
    followers: BTreeMap<NodeId, Follower>,
    /// Whom the entry on its way puts out: there is no lease for it any more, whether or not it has arrived.
    leaving: Option<NodeId>,
    /// Nodes that want to be waited for.
    joining: BTreeMap<NodeId, BootId>,
    pub(super) queue: VecDeque<Queued>,
    /// Requests that the store decides.
    pub(super) deciding: Vec<Queued>,
    pub(super) pending: Option<Pending>,
    /// Requests whose entry was read back, and is being applied.
    pub(super) applying: Vec<(RequestId, bool)>,
    /// Erasures that are applied here.
    pub(super) waiting: Vec<Waiting>,
    sent: BootTime,
}

/// A request that is not on its way yet.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: RequestId,
    asked: Vec<u8>,
    erases: bool,
}

/// An erasure that not everybody has applied.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    number: u64,
    since: BootTime,
}

/// A node, as its leader sees it in this term.
#[derive(Debug)]
struct Follower {
    boot: BootId,
    applied: u64,
    heard: BootTime,
    grant: Grant,
}

impl Follower {
    fn new(boot: BootId, now: BootTime) -> Self {
        Self {
            boot,
            applied: 0,
            heard: now,
            grant: Grant::default(),
        }
    }
}

impl Leading {
    /// The entry that says so was sent at `sent`, and read back now. Another life of this node, of which the
    /// log knew before, may be a copy of its directory that still runs.
    pub(super) fn new(
        sent: BootTime,
        now: BootTime,
        has_other_life: bool,
        timing: &Timing,
    ) -> Self {
        let others_end = now + timing.lease + timing.margin;
        let mut leading = Self {
            own_lease: HeldLease::default(),
            own_ends: BootTime::default(),
            others_end,
            alone_from: if has_other_life { others_end } else { now },
            followers: BTreeMap::new(),
            leaving: None,
            joining: BTreeMap::new(),
            queue: VecDeque::new(),
            deciding: Vec::new(),
            pending: None,
            applying: Vec::new(),
            waiting: Vec::new(),
            sent,
        };
        leading.renew(sent, timing);
        leading
    }

    /// An entry that was sent at `sent` has arrived: nobody else led until then.
    fn renew(&mut self, sent: BootTime, timing: &Timing) {
        self.own_ends = self.own_ends.max(sent + timing.lease);
        self.own_lease.renew(sent, timing.lease);
    }

    /// The entry on its way was read back, and counts.
    pub(super) fn arrived(&mut self, timing: &Timing, body: &Body, now: BootTime) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        self.renew(pending.sent, timing);
        self.applying = pending.requests;
        self.leaving = None;
        if let Body::Member { node, change } = body {
            self.followers.remove(node);
            if let Change::Joined { boot } = change {
                self.joining.remove(node);
                let follower = Follower::new(*boot, now);
                self.followers.insert(node.clone(), follower);
            }
        }
    }

    /// Whether every node that may answer readers has applied entry `number`.
    fn is_everywhere(&self, number: u64, mark: &Mark, me: &NodeId) -> bool {
        let mut others = mark.members.iter().filter(|(node, _)| *node != me);
        others.all(|(node, member)| {
            let follower = self.followers.get(node);
            member.is_out
                || follower.is_some_and(|it| it.boot == member.boot && it.applied >= number)
        })
    }

    /// Whether what is asked of a follower has waited for it for too long.
    fn is_held_up_by(&self, follower: &Follower, now: BootTime, timing: &Timing) -> bool {
        self.waiting
            .iter()
            .any(|it| it.number > follower.applied && now - it.since >= timing.forget)
    }

    /// The next change in who is waited for: somebody whose lease is over for sure, and who is away or held
    /// up others; or somebody who wants to join.
    fn next_change(
        &self,
        now: BootTime,
        mark: &Mark,
        me: &NodeId,
        timing: &Timing,
    ) -> Option<Body> {
        let margin = timing.margin;
        for (node, member) in mark.members.iter().filter(|(node, _)| *node != me) {
            if member.is_out || now < self.others_end {
                continue;
            }
            let follower = self.followers.get(node);
            let is_over = follower.is_none_or(|it| it.grant.is_over(now, margin));
            let is_away = follower.is_none_or(|it| {
                now - it.heard > timing.beat * BEATS_MISSED || self.is_held_up_by(it, now, timing)
            });
            if is_over && is_away {
                let (node, change) = (node.clone(), Change::Out);
                return Some(Body::Member { node, change });
            }
        }
        let joining = self
            .joining
            .iter()
            .find(|(node, _)| mark.current(node).is_none());
        joining.map(|(node, boot)| Body::Member {
            node: node.clone(),
            change: Change::Joined { boot: *boot },
        })
    }

    /// Requests for one entry.
    fn take_queued(&mut self) -> Vec<Queued> {
        let mut bytes = 0;
        let mut taken = Vec::new();
        while let Some(next) = self.queue.front() {
            bytes += next.asked.len();
            let is_full = taken.len() >= REQUESTS_PER_GROUP || bytes > BYTES_PER_GROUP;
            if is_full && !taken.is_empty() {
                break;
            }
            taken.extend(self.queue.pop_front());
        }
        taken
    }
}

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
        let is_there = follower.applied >= member.joined;
        let follower = leading.followers.get(&beat.node)?;
        if !is_there || leading.is_held_up_by(follower, now, &timing) {
            return None;
        }
        let own = leading.own_ends;
        let follower = leading.followers.get_mut(&beat.node)?;
        follower.grant.extend(own, now)
    }
}
