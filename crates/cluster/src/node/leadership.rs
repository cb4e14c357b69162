//! What a leader knows beside what the log says: who follows how far, what waits, what is on its way.

use std::collections::{BTreeMap, VecDeque};

use super::exchange::{Refusal, RequestId};
use super::pending::Pending;
use crate::boot_time::BootTime;
use crate::entry::{Body, BootId, Change, NodeId};
use crate::lease::{Grant, HeldLease};
use crate::mark::Mark;
use crate::timing::Timing;

/// Requests that become one entry at most.
const REQUESTS_PER_GROUP: usize = 1_024;

/// Bytes of requests that become one entry at most, but for a single request that is longer.
const BYTES_PER_GROUP: usize = 768 * 1024;

/// Beats after which a node that says nothing is thought to be away.
const BEATS_MISSED: u32 = 4;

/// What a leader knows, beside what the log says.
#[derive(Debug)]
pub(super) struct Leading {
    /// Until when this node may answer readers: it counts from its last entry.
    pub(super) own_lease: HeldLease,
    pub(super) own_ends: BootTime,
    /// By when every lease of earlier terms is over.
    others_end: BootTime,
    /// By when nobody answers any more under the name of this node but itself.
    pub(super) alone_from: BootTime,
    pub(super) followers: BTreeMap<NodeId, Follower>,
    /// Whom the entry on its way puts out: there is no lease for it any more, whether or not it has arrived.
    pub(super) leaving: Option<NodeId>,
    /// Nodes that want to be waited for.
    pub(super) joining: BTreeMap<NodeId, BootId>,
    pub(super) queue: VecDeque<Queued>,
    /// Requests that the store decides.
    pub(super) deciding: Vec<Queued>,
    pub(super) pending: Option<Pending>,
    /// Requests whose entry was read back, and is being applied.
    pub(super) applying: Vec<(RequestId, bool)>,
    /// Erasures that are applied here.
    pub(super) waiting: Vec<Waiting>,
    pub(super) sent: BootTime,
}

/// A request that is not on its way yet.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: RequestId,
    pub(super) asked: Vec<u8>,
    pub(super) erases: bool,
}

/// An erasure that not everybody has applied.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) number: u64,
    pub(super) since: BootTime,
}

/// A node, as its leader sees it in this term.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) boot: BootId,
    pub(super) applied: u64,
    pub(super) heard: BootTime,
    pub(super) grant: Grant,
}

impl Follower {
    pub(super) fn new(boot: BootId, now: BootTime) -> Self {
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
    pub(super) fn is_everywhere(&self, number: u64, mark: &Mark, me: &NodeId) -> bool {
        let mut others = mark.members.iter().filter(|(node, _)| *node != me);
        others.all(|(node, member)| {
            let follower = self.followers.get(node);
            member.is_out
                || follower.is_some_and(|it| it.boot == member.boot && it.applied >= number)
        })
    }

    /// Whether erasures have waited too long for a follower that has applied no more than this entry.
    pub(super) fn is_held_up_at(&self, applied: u64, now: BootTime, timing: &Timing) -> bool {
        self.waiting
            .iter()
            .any(|it| it.number > applied && now - it.since >= timing.forget)
    }

    /// The next change in who is waited for: somebody whose lease is over for sure, and who is away or held
    /// up others; or somebody who wants to join.
    pub(super) fn next_change(
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
                now - it.heard > timing.beat * BEATS_MISSED
                    || self.is_held_up_at(it.applied, now, timing)
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
    pub(super) fn take_queued(&mut self) -> Vec<Queued> {
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

    /// Requests without an answer, and what is to be said of each.
    pub(super) fn unanswered(self) -> impl Iterator<Item = (RequestId, Refusal)> {
        let lost = |request| (request, Refusal::LeadershipLost);
        let sent = self
            .pending
            .into_iter()
            .flat_map(|pending| pending.requests);
        let sent = sent.chain(self.applying).map(|(request, _)| request);
        let waiting = self.waiting.into_iter().map(|waiting| waiting.request);
        let queued = self.deciding.into_iter().chain(self.queue);
        let queued = queued.map(|queued| (queued.request, Refusal::NotLeading));
        sent.chain(waiting).map(lost).chain(queued)
    }
}
