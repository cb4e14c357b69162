//! The protocol of one node, as a function: what happened goes in, what is to be done comes out.
//!
//! Entries are taken one at a time: the next is opened when the store has applied the one before for good,
//! keys destroyed and the ratchet moved on. Nobody acts on an acknowledgement of the engine: the leader,
//! too, acts on an entry when it has read it back and it counts ([`Mark`]).

mod claiming;
mod following;
mod leading;
mod pending;

use std::collections::VecDeque;
use std::time::Duration;

use super::boot_time::BootTime;
use super::entry::{
    Body, BootId, Change, EntryError, EntryHash, Group, NodeId, envelope, open_entry,
};
use super::lease::HeldLease;
use super::mark::{Mark, Verdict};
use super::messages::{Beat, BeatAnswer};
use super::ratchet::Ratchet;
use super::timing::Timing;
use leading::Leading;
use pending::Pending;

/// Who a node is.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Its name.
    pub id: NodeId,
    /// This life of it.
    pub boot: BootId,
    /// Whether it may lead.
    pub is_candidate: bool,
    /// What it bears the silence of the log longer than others, so that not all claim at once.
    pub patience: Duration,
    /// Times that all nodes share.
    pub timing: Timing,
}

/// One request of a caller, for whoever waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed. To be said several times in each beat.
    Tick,
    /// The log holds this at `sequence`. It may come again, late, or with others left out.
    Entry {
        /// Where.
        sequence: u64,
        /// What.
        payload: Vec<u8>,
    },
    /// What became of an append.
    Appended {
        /// Of which.
        attempt: u64,
        /// What the engine says.
        outcome: Appended,
    },
    /// The store has applied everything up to this entry for good: synced, keys destroyed, ratchet moved.
    Applied {
        /// Which entry.
        number: u64,
    },
    /// A node speaks to its leader. To be answered by the next [`Output::Answer`].
    Beat(Beat),
    /// The leader answered a beat that was sent at `sent`.
    Answer {
        /// When it was sent.
        sent: BootTime,
        /// What it says.
        answer: BeatAnswer,
    },
    /// A caller asks for something to be written.
    Submit {
        /// Which request.
        request: RequestId,
        /// What is asked, in the store's form.
        asked: Vec<u8>,
        /// Whether it erases.
        erases: bool,
    },
    /// The store has decided what [`Output::Decide`] asked, in that order.
    Decided(Vec<Vec<u8>>),
}

/// What an engine says of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on the disks of a quorum.
    Done,
    /// The tail is another one.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Append this behind `tail`, and nowhere else.
    Append {
        /// For [`Input::Appended`].
        attempt: u64,
        /// The engine's sequence that it comes after.
        tail: u64,
        /// What.
        payload: Vec<u8>,
    },
    /// Commit an entry with its mark; then destroy what it erases and put the key in place of the one before,
    /// in one sync; then say [`Input::Applied`].
    Apply {
        /// Where the node stands with it.
        mark: Box<Mark>,
        /// What was decided, if anything.
        group: Option<Group>,
        /// The key of the next entry.
        key: Ratchet,
    },
    /// Decide what these requests come to, with all before them applied. Answered by [`Input::Decided`].
    Decide(Vec<Vec<u8>>),
    /// Read the log anew, from this sequence on: something was left out.
    ReadFrom(u64),
    /// Tell the leader; its answer comes back with the same `sent`.
    Beat {
        /// Whom.
        leader: NodeId,
        /// When.
        sent: BootTime,
        /// What.
        beat: Beat,
    },
    /// What the beat is answered that came in.
    Answer(BeatAnswer),
    /// A request has its outcome.
    Settle {
        /// Which.
        request: RequestId,
        /// What became of it.
        settled: Settled,
    },
    /// The node can go no further: it answers nobody, and somebody has to look.
    Stop(Stopped),
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is in the log and on this disk; and an erasure on every node that may answer.
    Accepted,
    /// It is not, as far as this node knows.
    Refused(Refusal),
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another node leads.
    #[error("this node does not lead")]
    NotLeading,
    /// Another node leads since the request was sent to the log: what became of it is open.
    #[error("another node leads since: what became of the request is open")]
    LeadershipLost,
}

/// Why a node can go no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// An entry that counts cannot be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// An entry is missing from the log.
    #[error("the log lacks entries before number {0}")]
    Gap(u64),
    /// Another process runs under the name of this node.
    #[error("another process is this node")]
    Replaced,
}

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
