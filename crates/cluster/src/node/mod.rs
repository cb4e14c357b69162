//! The protocol of one node, as a function: what happened goes in, what is to be done comes out.
//!
//! Entries are taken one at a time: the next is opened when the store has applied the one before for good,
//! keys destroyed and the ratchet moved on. Nobody acts on an acknowledgement of the engine: the leader,
//! too, acts on an entry when it has read it back and it counts ([`Mark`]).

mod claiming;
mod exchange;
mod following;
mod leadership;
mod leading;
mod pending;

use std::collections::VecDeque;

use super::boot_time::BootTime;
use super::entry::{Body, Change, EntryError, EntryHash, envelope, open_entry};
use super::lease::HeldLease;
use super::mark::{Mark, Verdict};
use super::ratchet::Ratchet;
pub use exchange::{Appended, Input, NodeOptions, Output, Refusal, RequestId, Settled, Stopped};
use leadership::Leading;
use pending::Pending;

/// One node.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    /// What the store has applied.
    applied: Mark,
    /// The key of the entry after that.
    key: Ratchet,
    /// The last entry that counts; the store applies it while it is not `applied`.
    read: Mark,
    /// How far the engine's sequence was looked at.
    sequence: u64,
    /// What was read beyond that.
    unread: VecDeque<(u64, Vec<u8>)>,
    /// When an entry was read last.
    heard: BootTime,
    lease: HeldLease,
    beat_sent: Option<BootTime>,
    role: Role,
    attempts: u64,
    stopped: Option<Stopped>,
}

#[derive(Debug)]
enum Role {
    Following,
    /// An entry that says so is on its way.
    Claiming(Pending),
    Leading(Box<Leading>),
}

impl Node {
    /// A node whose store stands at `mark`, with the key of the entry after it. It holds no lease.
    pub fn start(options: NodeOptions, mark: Mark, key: Ratchet, now: BootTime) -> Self {
        Self {
            options,
            read: mark.clone(),
            sequence: mark.sequence,
            applied: mark,
            key,
            unread: VecDeque::new(),
            heard: now,
            lease: HeldLease::default(),
            beat_sent: None,
            role: Role::Following,
            attempts: 0,
            stopped: None,
        }
    }

    /// Whether readers may be answered at `now`. To be asked before an answer is begun and before it is sent.
    pub fn may_answer(&self, now: BootTime) -> bool {
        self.stopped.is_none()
            && match &self.role {
                Role::Leading(leading) => leading.own_lease.holds(now),
                Role::Following | Role::Claiming(_) => self.lease.holds(now),
            }
    }

    /// The term that this node leads.
    pub fn leads(&self) -> Option<u64> {
        matches!(self.role, Role::Leading(_)).then_some(self.read.term)
    }

    /// Where the store stands.
    pub fn applied(&self) -> &Mark {
        &self.applied
    }

    /// Takes what happened, and says what is to be done, in this order.
    pub fn handle(&mut self, now: BootTime, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        if self.stopped.is_some() {
            if let Input::Submit { request, .. } = input {
                let settled = Settled::Refused(Refusal::NotLeading);
                out.push(Output::Settle { request, settled });
            }
            return out;
        }
        match input {
            Input::Tick => {}
            Input::Entry { sequence, payload } => self.take(sequence, payload, &mut out),
            Input::Appended { attempt, outcome } => self.appended(now, attempt, outcome),
            Input::Applied { number } => self.store_applied(now, number, &mut out),
            Input::Beat(beat) => self.answer_beat(now, &beat, &mut out),
            Input::Answer { sent, answer } => self.answered(sent, answer),
            Input::Submit {
                request,
                asked,
                erases,
            } => self.submit(request, asked, erases, &mut out),
            Input::Decided(decided) => self.decided(now, decided, &mut out),
        }
        self.advance(now, &mut out);
        self.lead(now, &mut out);
        self.follow(now, &mut out);
        self.claim(now, &mut out);
        out
    }

    fn take(&mut self, sequence: u64, payload: Vec<u8>, out: &mut Vec<Output>) {
        let last = self.unread.back().map_or(self.sequence, |(last, _)| *last);
        match sequence {
            known if known <= last => {}
            next if next == last + 1 => self.unread.push_back((sequence, payload)),
            _ => out.push(Output::ReadFrom(last + 1)),
        }
    }

    /// Whether the store has applied everything that was read.
    fn is_at_tail(&self) -> bool {
        self.read.number == self.applied.number && self.unread.is_empty()
    }

    /// Looks at what was read, up to the next entry that the store has to apply.
    fn advance(&mut self, now: BootTime, out: &mut Vec<Output>) {
        while self.stopped.is_none()
            && self.read.number == self.applied.number
            && let Some((sequence, payload)) = self.unread.pop_front()
        {
            self.sequence = sequence;
            self.heard = now;
            if let Err(stopped) = self.judge(now, &payload, out) {
                self.stop(stopped, out);
            }
        }
    }

    fn judge(
        &mut self,
        now: BootTime,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), Stopped> {
        let Ok((head, _)) = envelope(payload) else {
            return Ok(());
        };
        if self.read.follows(&head).is_err() {
            // Whoever wrote it knew a part of what this node knows, unless an entry is missing here.
            let is_beyond =
                head.incarnation == self.read.incarnation && head.number > self.read.number + 1;
            return if is_beyond {
                Err(Stopped::Gap(head.number))
            } else {
                Ok(())
            };
        }
        let (head, body) = open_entry(payload, &self.key)?;
        let hash = EntryHash::of(payload);
        let verdict = self.read.after(&head, &body, hash, self.sequence);
        let Verdict::Valid(mark) = verdict else {
            return Ok(());
        };
        self.read = *mark;
        let key = self.key.at(self.read.epoch);
        let key = key.ok_or(EntryError::Unopened)?;
        let group = match &body {
            Body::Group(group) => Some(group.clone()),
            _ => None,
        };
        let mark = Box::new(self.read.clone());
        out.push(Output::Apply { mark, group, key });
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
            Body::Lead { node, boot }
            | Body::Member {
                node,
                change: Change::Joined { boot },
            } if node == me && *boot != my_boot && boot.life >= my_boot.life => {
                return Err(Stopped::Replaced);
            }
            Body::Member {
                node,
                change: Change::Out,
            } if node == me => self.lease.give_up(),
            _ => {}
        }
        self.read_back(now, hash, body, out);
        Ok(())
    }

    fn store_applied(&mut self, now: BootTime, number: u64, out: &mut Vec<Output>) {
        if number != self.read.number || number == self.applied.number {
            return;
        }
        self.applied = self.read.clone();
        if let Some(key) = self.key.at(self.applied.epoch) {
            self.key = key;
        }
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
