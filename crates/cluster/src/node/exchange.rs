//! What goes into a node, and what comes out.

use std::time::Duration;

use crate::boot_time::BootTime;
use crate::entry::{BootId, EntryError, Group, NodeId};
use crate::mark::Mark;
use crate::messages::{Beat, BeatAnswer};
use crate::ratchet::Ratchet;
use crate::timing::Timing;

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
