//! The protocol of one node, as a function: what happened goes in, what is to be done comes out.
//!
//! Entries are taken when the store has applied the ones before for good, keys destroyed and the ratchet moved
//! on: one at a time by whoever leads or claims to, and what has come in meanwhile at once by whoever follows, for
//! whom a sync then stands for many. Nobody acts on an acknowledgement of the engine: the leader,
//! too, acts on an entry when it has read it back and it counts ([`Mark`]).

mod batch;
mod checks;
mod claiming;
mod comparing;
mod exchange;
mod following;
mod handing_over;
mod handover;
mod leadership;
mod leading;
mod member_status;
mod members;
mod pending;
mod places;
mod published;
mod rekeying;
mod removal;
mod seen;
mod settling;
mod to_settle;
mod trimming;
mod versions;

use std::collections::VecDeque;

use super::boot_time::BootTime;
use super::entry::{Address, Body, Change, EntryHash, NodeId, PlacedGroup, envelope, open_entry};
use super::lease::HeldLease;
use super::mark::{Mark, Verdict};
use super::messages::Digest;
use super::ratchet::{FreshKey, Ratchet};
use super::version::Version;
use batch::Batch;
pub use checks::Finding;
pub use exchange::{Appended, Input, NodeOptions, Output, Refusal, RequestId, Settled, Stopped};
use handover::HandingOver;
use leadership::{Leading, Queued};
pub use member_status::{MemberState, MemberStatus};
use pending::Pending;
use places::Places;
pub use seen::Seen;
pub use to_settle::{CameBack, ToSettle};

/// One node.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    /// What the store has applied.
    applied: Mark,
    /// The key of the entry after that.
    key: Ratchet,
    /// The first key of the next series, if the store keeps one; and the one that it is about to keep.
    fresh: Option<FreshKey>,
    keeping: Option<FreshKey>,
    /// The last entry when the leader made the one that was taken last.
    offered: u64,
    /// The last entry that counts; the store applies what is up to it while it is not `applied`.
    read: Mark,
    /// The key of the entry after that.
    read_key: Ratchet,
    /// How far the engine's sequence was looked at.
    sequence: u64,
    /// What was read beyond that.
    unread: VecDeque<(u64, Vec<u8>)>,
    /// When an entry that counts was read last.
    heard: BootTime,
    lease: HeldLease,
    beat_sent: Option<BootTime>,
    /// The version that readers of this node see.
    live: Version,
    /// Whether nobody listens where the leader is reached.
    leader_refuses: bool,
    places: Places,
    role: Role,
    attempts: u64,
    /// What is known of a lead that is to end in good order.
    handing_over: Option<HandingOver>,
    /// Whether nothing speaks against its leading.
    may_lead: bool,
    /// The term whose leader said that this node leads next.
    succeeds_in: Option<u64>,
    /// What the store held when contents were compared last.
    digest: Option<Digest>,
    /// Whether most nodes hold something else: this one does not lead any more.
    is_wrong: bool,
    /// The term whose leader was heard to say that it differs.
    leader_differed_in: Option<u64>,
    stopped: Option<Stopped>,
    seen: Seen,
}

#[derive(Debug)]
enum Role {
    Following,
    /// An entry that says so is on its way.
    Claiming(Pending),
    Leading(Box<Leading>),
}

impl Node {
    /// A node whose store stands at `mark`, with the key of the entry after it, and the one that it keeps for the
    /// next series. It holds no lease, and readers see no version yet.
    pub fn start(
        options: NodeOptions,
        mark: Mark,
        key: Ratchet,
        fresh: Option<FreshKey>,
        now: BootTime,
    ) -> Self {
        Self {
            options,
            fresh,
            keeping: None,
            offered: 0,
            read_key: key.clone(),
            read: mark.clone(),
            sequence: mark.sequence,
            applied: mark,
            key,
            unread: VecDeque::new(),
            heard: now,
            lease: HeldLease::default(),
            beat_sent: None,
            live: Version::default(),
            leader_refuses: false,
            places: Places::default(),
            role: Role::Following,
            attempts: 0,
            handing_over: None,
            may_lead: true,
            succeeds_in: None,
            digest: None,
            is_wrong: false,
            leader_differed_in: None,
            stopped: None,
            seen: Seen::default(),
        }
    }

    /// Whether readers may be answered at `now`. To be asked before an answer is begun and before it is sent.
    pub fn may_answer(&self, now: BootTime) -> bool {
        self.answers_until().is_some_and(|ends| now < ends)
    }

    /// When readers are answered no more, unless the lease is renewed until then; `None` when they are not. A
    /// leader that lacks the version that was shown to be everywhere answers nobody before it has made one.
    pub fn answers_until(&self) -> Option<BootTime> {
        let lease = match &self.role {
            Role::Leading(leading) => &leading.own_lease,
            Role::Following | Role::Claiming(_) => &self.lease,
        };
        let is_fresh = self.live >= self.read.everywhere;
        lease.ends().filter(|_| self.stopped.is_none() && is_fresh)
    }

    /// The sequence that it reads next.
    pub fn next_read(&self) -> u64 {
        self.unread.back().map_or(self.sequence, |(last, _)| *last) + 1
    }

    /// Entries that were read and not looked at yet.
    pub fn unread(&self) -> usize {
        self.unread.len()
    }

    /// Where a node is reached, as far as the log was read.
    pub fn address_of(&self, node: &NodeId) -> Option<&Address> {
        self.read.members.get(node).map(|member| &member.address)
    }

    /// The term that this node leads.
    pub fn leads(&self) -> Option<u64> {
        matches!(self.role, Role::Leading(_)).then_some(self.read.term)
    }

    /// Where the store stands.
    pub fn applied(&self) -> &Mark {
        &self.applied
    }

    /// What it has seen since this was asked last.
    pub fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// Takes what happened, and says what is to be done, in this order.
    pub fn handle(&mut self, now: BootTime, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        if self.stopped.is_none() && self.read.is_removed(&self.options.id) {
            self.stop(Stopped::Removed, &mut out);
        }
        if self.stopped.is_some() {
            if let Input::Submit { request, .. } | Input::Remove { request, .. } = input {
                let settled = Settled::Refused(Refusal::NotLeading);
                out.push(Output::Settle { request, settled });
            }
            return out;
        }
        match input {
            Input::Tick => {}
            Input::Entry { sequence, payload } => self.take(sequence, payload, &mut out),
            Input::Appended { attempt, outcome } => self.appended(now, attempt, outcome, &mut out),
            Input::Applied { number } => self.store_applied(now, number, &mut out),
            Input::KeyKept(name) => self.key_kept(name),
            Input::Beat(beat) => self.answer_beat(now, &beat, &mut out),
            Input::Answer { sent, answer } => self.answered(sent, answer, &mut out),
            Input::Check(slice) => self.check(slice),
            Input::Digest(digest) => self.holds(now, digest, &mut out),
            Input::Submit {
                request,
                bytes,
                erases,
                everywhere,
                settles,
            } => {
                let asked = Queued {
                    request,
                    bytes,
                    erases,
                    everywhere,
                    settles,
                };
                self.submit(asked, &mut out);
            }
            Input::Live { version, forgets } => self.is_live(now, version, forgets),
            Input::LeaderRefuses => self.leader_refuses = true,
            Input::Remove {
                request,
                node,
                attested,
            } => self.remove(request, node, attested, &mut out),
            Input::MayLead(may_lead) => {
                self.may_lead = may_lead;
                if !may_lead {
                    self.hand_over(now, None, &mut out);
                }
            }
            Input::HandOver { to } => self.hand_over(now, to, &mut out),
            Input::LogLost => self.stop(Stopped::LogLost, &mut out),
            Input::Decided(decided) => self.decided(now, decided, &mut out),
        }
        self.advance(now, &mut out);
        if self.is_wrong && self.stopped.is_none() && matches!(self.role, Role::Following) {
            self.stop(Stopped::Differs, &mut out);
        }
        self.lead(now, &mut out);
        self.say_everywhere(now, &mut out);
        self.trim(now, &mut out);
        self.follow(now, &mut out);
        self.claim(now, &mut out);
        out
    }

    fn take(&mut self, sequence: u64, payload: Vec<u8>, out: &mut Vec<Output>) {
        let wanted = self.next_read();
        match sequence {
            known if known < wanted => {}
            next if next == wanted => self.unread.push_back((sequence, payload)),
            _ => out.push(Output::ReadFrom(wanted)),
        }
    }

    /// Whether the store has applied everything that was read.
    fn is_at_tail(&self) -> bool {
        self.read.number == self.applied.number && self.unread.is_empty()
    }

    /// Looks at what was read, when the store has applied what was looked at before, and has it apply that.
    fn advance(&mut self, now: BootTime, out: &mut Vec<Output>) {
        if self.read.number != self.applied.number {
            return;
        }
        let mut batch = Batch::new(self.key.clone());
        while self.stopped.is_none()
            && batch.has_room()
            && let Some((sequence, payload)) = self.unread.pop_front()
        {
            self.sequence = sequence;
            batch.bytes += payload.len();
            let judged = self.judge(now, &payload, &mut batch, out);
            if let Err(stopped) = judged {
                self.stop(stopped, out);
            }
            // Whoever leads answers callers for each entry, and who claims to has to see what became of it first.
            batch.is_over |= !matches!(self.role, Role::Following) && batch.counts;
        }
        if batch.counts {
            self.read_key = batch.key.clone();
            out.push(Output::Apply {
                mark: Box::new(self.read.clone()),
                groups: batch.groups,
                requests: batch.requests,
                key: batch.key,
                check: batch.check,
            });
        }
    }

    fn judge(
        &mut self,
        now: BootTime,
        payload: &[u8],
        batch: &mut Batch,
        out: &mut Vec<Output>,
    ) -> Result<(), Stopped> {
        let Ok((head, _)) = envelope(payload) else {
            return Ok(());
        };
        if self.read.follows(&head).is_err() {
            self.seen.void_entries += 1;
            // Whoever wrote it knew a part of what this node knows, unless an entry is missing here.
            let is_beyond =
                head.incarnation == self.read.incarnation && head.number > self.read.number + 1;
            return if is_beyond {
                Err(Stopped::Gap(head.number))
            } else {
                Ok(())
            };
        }
        let (head, body) = open_entry(payload, &batch.key)?;
        let hash = EntryHash::of(payload);
        let verdict = self.read.after(&head, &body, hash, self.sequence);
        let Verdict::Valid(mark) = verdict else {
            self.seen.void_entries += 1;
            return Ok(());
        };
        self.read = *mark;
        // One that does not count says nothing of who leads: whoever lacks the rest of the log may send it for ever.
        self.heard = now;
        self.leader_refuses = false;
        batch.key = self.key_after(&batch.key)?;
        batch.counts = true;
        if let Body::Group(group) = &body {
            batch.groups.push(PlacedGroup {
                term: head.term,
                number: head.number,
                group: group.clone(),
            });
            batch.requests = self.requests_of(hash);
        }
        if let Body::Check(slice) = &body {
            // What is held is to be read with this entry applied, and no later one.
            batch.check = Some(*slice);
            batch.is_over = true;
        }
        self.entry_counts(now, hash, &body, out)
    }

    /// An entry that counts was read: what it means for who leads and who is waited for.
    fn entry_counts(
        &mut self,
        now: BootTime,
        hash: EntryHash,
        body: &Body,
        out: &mut Vec<Output>,
    ) -> Result<(), Stopped> {
        let (me, my_boot) = (&self.options.id, self.options.boot);
        match body {
            Body::Lead { node, boot, .. }
            | Body::Member {
                node,
                change: Change::Joined { boot, .. },
            } if node == me && *boot != my_boot && boot.life >= my_boot.life => {
                return Err(Stopped::Replaced);
            }
            Body::Member {
                node,
                change: Change::Out { .. },
            } if node == me => self.lease.give_up(),
            Body::Member {
                node,
                change: Change::Removed { .. },
            } if node == me => return Err(Stopped::Removed),
            _ => {}
        }
        self.read_back(now, hash, body, out);
        if matches!(body, Body::Lead { .. }) {
            // Whoever leads now, it is no longer about the lead that was handed over.
            self.handing_over = None;
        }
        Ok(())
    }

    fn store_applied(&mut self, now: BootTime, number: u64, out: &mut Vec<Output>) {
        if number != self.read.number || number == self.applied.number {
            return;
        }
        self.applied = self.read.clone();
        self.places.applied(&self.applied, now);
        self.key = self.read_key.clone();
        // The leader hears of it at once.
        self.beat_sent = None;
        self.answer_what_is_applied(now, out);
    }

    fn stop(&mut self, stopped: Stopped, out: &mut Vec<Output>) {
        self.lose_lead(out);
        self.lease.give_up();
        self.stopped = Some(stopped);
        out.push(Output::Stop(stopped));
    }
}
