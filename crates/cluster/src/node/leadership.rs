//! What a leader knows beside what the log says: who follows how far, what waits, what is on its way.

use std::collections::{BTreeMap, VecDeque};

use super::checks::Checks;
use super::exchange::{Refusal, RequestId};
use super::pending::Pending;
use super::published::Published;
use crate::boot_time::BootTime;
use crate::entry::{Body, BootId, Change, NodeId};
use crate::lease::{Grant, HeldLease};
use crate::mark::{Mark, Member, Standing};
use crate::messages::{Beat, Offer};
use crate::ratchet::FreshKeyName;
use crate::timing::Timing;
use crate::version::Version;

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
    pub(super) own_ends: BootTime,
    /// By when every lease of earlier terms is over.
    others_end: BootTime,
    /// By when nobody answers any more under the name of this node but itself.
    pub(super) alone_from: BootTime,
    pub(super) followers: BTreeMap<NodeId, Follower>,
    /// Whom the entry on its way puts out: there is no lease for it any more, whether or not it has arrived.
    pub(super) leaving: Option<NodeId>,
    /// What nodes said last that are not waited for, and want to be.
    pub(super) joining: BTreeMap<NodeId, Joining>,
    /// Whom an operator removes: there is no lease for it any more.
    pub(super) removing: BTreeMap<NodeId, Removal>,
    /// The key of the next series, while one is wanted.
    pub(super) offer: Option<Offer>,
    /// What readers of this node saw when it took the lead, and were shown since.
    pub(super) published: Published,
    /// What was said to be everywhere in this term.
    pub(super) everywhere: Version,
    pub(super) queue: VecDeque<Queued>,
    /// Requests that the store decides.
    pub(super) deciding: Vec<Queued>,
    pub(super) pending: Option<Pending>,
    pub(super) checks: Checks,
    /// Requests whose entry was read back, and is being applied.
    pub(super) applying: Vec<(RequestId, bool)>,
    /// Erasures that are applied here.
    pub(super) waiting: Vec<Waiting>,
    pub(super) sent: BootTime,
    /// When to say next which part of the log nobody needs.
    pub(super) trim_next: BootTime,
}

/// A request that is not on its way yet.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) request: RequestId,
    pub(super) bytes: usize,
    pub(super) erases: bool,
    pub(super) everywhere: Option<Version>,
    pub(super) settles: Option<(NodeId, u64)>,
}

/// An erasure that not everybody has applied.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) number: u64,
    pub(super) since: BootTime,
}

/// A removal that is not in the log.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) request: RequestId,
    pub(super) attested: bool,
}

/// A node that is not waited for, as its leader heard it last in this term.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) beat: Beat,
    pub(super) heard: BootTime,
}

impl Joining {
    /// Whether it is near enough the end of the log to be waited for.
    pub(super) fn is_near(&self, mark: &Mark) -> bool {
        self.beat.applied + JOIN_WITHIN >= mark.number
    }
}

/// A node that is waited for, as its leader sees it in this term.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) boot: BootId,
    pub(super) applied: u64,
    pub(super) live: Version,
    /// The key that it keeps for the next series.
    pub(super) keeps: Option<FreshKeyName>,
    pub(super) heard: BootTime,
    pub(super) grant: Grant,
}

impl Follower {
    pub(super) fn new(boot: BootId, now: BootTime) -> Self {
        Self {
            boot,
            applied: 0,
            live: Version::default(),
            keeps: None,
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
        live: Version,
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
            removing: BTreeMap::new(),
            offer: None,
            published: Published::new(live, now),
            everywhere: Version::default(),
            queue: VecDeque::new(),
            deciding: Vec::new(),
            pending: None,
            checks: Checks::default(),
            applying: Vec::new(),
            waiting: Vec::new(),
            sent,
            // Until then whoever is there has said how far it is.
            trim_next: now + timing.beat * BEATS_MISSED,
        };
        leading.renew(sent, timing);
        leading
    }

    /// Whether everybody who asked has an answer.
    pub(super) fn has_answered(&self) -> bool {
        let has_told = self.queue.is_empty() && self.removing.is_empty();
        has_told && self.applying.is_empty() && self.waiting.is_empty()
    }

    /// An entry that was sent at `sent` has arrived: nobody else led until then.
    fn renew(&mut self, sent: BootTime, timing: &Timing) {
        self.own_ends = self.own_ends.max(sent + timing.lease);
        self.own_lease.renew(sent, timing.lease);
    }

    /// The requests of the group on its way, which the log has no room for: others may be shorter, and what
    /// else a leader has to say is. Nothing when it carries none, or may be in the log all the same.
    pub(super) fn take_back(&mut self) -> Vec<RequestId> {
        let has_requests = |pending: &Pending| pending.is_group && pending.is_nowhere();
        let pending = self.pending.take_if(|pending| has_requests(pending));
        let requests = pending.into_iter().flat_map(|pending| pending.requests);
        requests.map(|(request, _)| request).collect()
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
            self.joining.remove(node);
            if let Change::Joined { boot, .. } = change {
                let follower = Follower::new(*boot, now);
                self.followers.insert(node.clone(), follower);
            }
        }
    }

    /// Whether every node that may answer readers has applied entry `number`.
    pub(super) fn is_everywhere(&self, number: u64, mark: &Mark, me: &NodeId) -> bool {
        let mut others = mark.members.iter().filter(|(node, _)| *node != me);
        others.all(|(node, member)| {
            let follower = self.follower(node, member);
            member.standing != Standing::Current || follower.is_some_and(|it| it.applied >= number)
        })
    }

    /// The last entry that every other node has applied that is waited for, as far as they were heard; 0 when one
    /// of them was not.
    pub(super) fn confirmed(&self, mark: &Mark, me: &NodeId) -> u64 {
        let others = mark.members.iter().filter(|(node, _)| *node != me);
        let current = others.filter(|(_, member)| member.standing == Standing::Current);
        let applied = current.map(|(node, member)| self.heard_of(node, member).unwrap_or_default());
        applied.min().unwrap_or(mark.number)
    }

    /// The last entry that a member has applied in its present life, if it was heard.
    pub(super) fn heard_of(&self, node: &NodeId, member: &Member) -> Option<u64> {
        self.follower(node, member).map(|it| it.applied)
    }

    /// A member as it was heard in its present life.
    pub(super) fn follower(&self, node: &NodeId, member: &Member) -> Option<&Follower> {
        let follower = self.followers.get(node);
        follower.filter(|it| it.boot == member.boot)
    }

    /// Whether a version of this `term` was said to be everywhere.
    pub(super) fn has_said(&self, version: Option<Version>, term: u64) -> bool {
        version.is_none_or(|it| it.term == term && it <= self.everywhere)
    }

    /// The oldest version that readers of other nodes may see; nothing when there are no others.
    pub(super) fn live_of_others(&self, mark: &Mark, me: &NodeId) -> Option<Version> {
        let others = mark.members.iter().filter(|(node, _)| *node != me);
        let current = others.filter(|(_, member)| member.standing == Standing::Current);
        let live = current.map(|(node, member)| {
            let follower = self.follower(node, member);
            follower.map(|it| it.live).unwrap_or_default()
        });
        live.min()
    }

    /// The last entry that a node is known to have applied.
    pub(super) fn applied_by(&self, node: &NodeId, member: &Member) -> u64 {
        let follower = self.followers.get(node).map(|it| it.applied);
        let joining = self.joining.get(node).map(|it| it.beat.applied);
        let heard = follower.or(joining).unwrap_or_default();
        heard.max(member.applied)
    }

    /// The version that readers of a node see, if it was heard.
    pub(super) fn live_of(&self, node: &NodeId) -> Option<Version> {
        let follower = self.followers.get(node).map(|it| it.live);
        follower.or_else(|| Some(self.joining.get(node)?.beat.live))
    }

    /// Whether erasures have waited too long for a follower that has applied no more than this entry, or whose
    /// readers see no later version than this.
    pub(super) fn is_held_up_at(
        &self,
        applied: u64,
        live: Version,
        now: BootTime,
        timing: &Timing,
    ) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|it| it.number > applied && now - it.since >= timing.forget)
            || self.published.is_held_up_at(live, now)
    }

    /// The next change in who is waited for: somebody whose lease is over for sure, and who is away, held up
    /// others, or is removed; or somebody who wants to join.
    pub(super) fn next_change(
        &self,
        now: BootTime,
        mark: &Mark,
        me: &NodeId,
        timing: &Timing,
    ) -> Option<(NodeId, Change)> {
        for (node, member) in mark.members.iter().filter(|(node, _)| *node != me) {
            if member.standing == Standing::Current && !self.is_lease_over(node, now, timing) {
                continue;
            }
            let node = node.clone();
            if let Some(removal) = self.removing.get(&node) {
                let attested = removal.attested;
                let applied = self.applied_by(&node, member);
                return Some((node, Change::Removed { attested, applied }));
            }
            if member.standing == Standing::Current && self.is_away(&node, now, timing) {
                let applied = self.applied_by(&node, member);
                return Some((node, Change::Out { applied }));
            }
        }
        let mut joining = self.joining.iter();
        let joins = joining.find(|(node, it)| {
            mark.current(node).is_none() && !mark.is_removed(node) && {
                let is_there = now - it.heard <= timing.beat * BEATS_MISSED;
                let differs = self.checks.finding(node, it.beat.boot).is_some();
                let has_version = it.beat.live >= self.published.due(now);
                it.is_near(mark) && is_there && has_version && !differs
            }
        });
        joins.map(|(node, it)| (node.clone(), joined(&it.beat)))
    }

    /// Whether a current member holds no lease for sure.
    fn is_lease_over(&self, node: &NodeId, now: BootTime, timing: &Timing) -> bool {
        let follower = self.followers.get(node);
        let is_over = follower.is_none_or(|it| it.grant.is_over(now, timing.margin));
        is_over && now >= self.others_end
    }

    /// Whether a current member says nothing, holds up others, or holds something else.
    fn is_away(&self, node: &NodeId, now: BootTime, timing: &Timing) -> bool {
        self.followers.get(node).is_none_or(|it| {
            now - it.heard > timing.beat * BEATS_MISSED
                || self.checks.finding(node, it.boot).is_some()
                || self.is_held_up_at(it.applied, it.live, now, timing)
        })
    }

    /// Requests for one entry.
    pub(super) fn take_queued(&mut self) -> Vec<Queued> {
        let mut bytes = 0;
        let mut taken = Vec::new();
        while let Some(next) = self.queue.front() {
            bytes += next.bytes;
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
        let queued = queued.map(|queued| queued.request);
        let removing = self.removing.into_values().map(|removal| removal.request);
        let unsent = queued.chain(removing);
        let unsent = unsent.map(|request| (request, Refusal::NotLeading));
        sent.chain(waiting).map(lost).chain(unsent)
    }
}

fn joined(beat: &Beat) -> Change {
    Change::Joined {
        boot: beat.boot,
        address: beat.address.clone(),
        signing: beat.signing.clone(),
        is_candidate: beat.is_candidate,
        applied: beat.applied,
    }
}
