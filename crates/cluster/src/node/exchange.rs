//! What goes into a node, and what comes out.

use std::time::Duration;

use super::checks::Finding;
use crate::boot_time::BootTime;
use crate::entry::{Address, BootId, EntryError, NodeId, PlacedGroup, Slice};
use crate::mark::Mark;
use crate::messages::{Beat, BeatAnswer, Digest};
use crate::ratchet::{FreshKey, FreshKeyName, Ratchet};
use crate::timing::Timing;
use crate::version::Version;

/// Who a node is.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Its name.
    pub id: NodeId,
    /// This life of it.
    pub boot: BootId,
    /// Where other nodes reach it.
    pub address: Address,
    /// The public key that it signs with, for the log to tell others: bytes that mean nothing here.
    pub signing: Vec<u8>,
    /// Whether it may lead.
    pub is_candidate: bool,
    /// The version that its store holds, though readers do not see it yet.
    pub stored: Version,
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
    /// A part of what nodes hold is to be compared. Of no use to one that does not lead.
    Check(Slice),
    /// What the store holds of the part that the entry asks for which it applies; said just before
    /// [`Input::Applied`].
    Digest(Digest),
    /// The store has applied everything up to this entry for good: synced, keys destroyed, ratchet moved.
    Applied {
        /// Which entry.
        number: u64,
    },
    /// The store keeps this key, as [`Output::KeepKey`] asked, and does so after a crash.
    KeyKept(FreshKeyName),
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
        /// About how many bytes it takes in an entry.
        bytes: usize,
        /// Whether it erases.
        erases: bool,
        /// The version that it says to be everywhere. Refused as [`Refusal::NotLeading`] unless it is of the term
        /// that this node leads, and [`Output::Everywhere`] has said so of it or of a later one.
        everywhere: Option<Version>,
        /// A node that was away, of which it says that it owes nothing up to this entry.
        settles: Option<(NodeId, u64)>,
    },
    /// Readers of this node see this version from now on, which stands for entries that it has applied. One
    /// that is older than what was said before is of no use: within a life it does not go back.
    Live {
        /// Which.
        version: Version,
        /// Whether some erasure waits until everybody has it: who is behind it for long is not waited for.
        forgets: bool,
    },
    /// Nobody listens where the leader is reached: its connection was refused, so its process is gone.
    LeaderRefuses,
    /// An operator takes a node out for good. Settled as [`Settled::Accepted`] when that is in the log, and
    /// the lease of the node is over.
    Remove {
        /// For the outcome.
        request: RequestId,
        /// Whom; once more is no error.
        node: NodeId,
        /// Whether the operator says that its disk is destroyed.
        attested: bool,
    },
    /// The log cannot be read on: it lacks what comes next, or has gone back.
    LogLost,
    /// Whether the node may lead, as long as it is a candidate: not when the log is not to be trusted. One that
    /// leads hands over.
    MayLead(bool),
    /// The node is to lead no longer, in good order: whoever waits is answered first, and another may lead at
    /// once. It stays a node, and may lead again when another has led, or when nobody does for long.
    HandOver {
        /// Who leads next, if the operator named one; or else the first that could.
        to: Option<NodeId>,
    },
    /// The store has decided what [`Output::Decide`] asked, in that order: what every store does for the
    /// request, or nothing when it was refused.
    Decided(Vec<Option<Vec<u8>>>),
}

/// What an engine says of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on the disks of a quorum.
    Done,
    /// The tail is another one.
    Refused,
    /// The log takes no more: it is not there.
    Full,
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
    /// Commit entries with the mark of the last; then destroy what they erase and put the key in place of the one
    /// before, in one sync; then say [`Input::Applied`].
    Apply {
        /// Where the node stands with them.
        mark: Box<Mark>,
        /// What was decided, if anything, in order.
        groups: Vec<PlacedGroup>,
        /// The requests that were decided, in the order of the group, when they are this node's own.
        requests: Vec<RequestId>,
        /// The key of the entry after them.
        key: Ratchet,
        /// The part to say [`Input::Digest`] of, with these entries applied and no later one.
        check: Option<Slice>,
    },
    /// Keep this key for the next series beside the one in use, in place of one that was kept for it before, and
    /// durably; then say [`Input::KeyKept`]. It is destroyed when a key of its series is put in place.
    KeepKey(FreshKey),
    /// Decide what these requests come to, with all before them applied. Answered by [`Input::Decided`], in
    /// that order.
    Decide(Vec<RequestId>),
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
    /// Said by a leader each time it grows: every node that may answer readers has this version of its term, or
    /// a later one, and no node without it is granted a lease.
    Everywhere(Version),
    /// Said by a leader, each minute at most: what lies before this sequence of the engine no node needs that
    /// was not removed.
    Trim(u64),
    /// Somebody should look: a node holds something else than others.
    Differs {
        /// Which.
        node: NodeId,
        /// What is known of it.
        finding: Finding,
    },
    /// The node can go no further: it answers nobody, and somebody has to look.
    Stop(Stopped),
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is in the log and on this disk; and an erasure on every node that may answer. A removal is in the
    /// log.
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
    /// There is no such node, or it leads and has to hand over first.
    #[error("there is no such node to remove, or it leads")]
    NotRemovable,
    /// The store does not take it; nothing of it is in the log.
    #[error("the store refused")]
    ByStore,
    /// The log takes no more; nothing of it is in the log.
    #[error("the log is full")]
    LogFull,
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
    /// The log cannot be read on.
    #[error("the log cannot be read on")]
    LogLost,
    /// Another process runs under the name of this node.
    #[error("another process is this node")]
    Replaced,
    /// This node holds something else than most others do, after the same entries.
    #[error("this node does not hold what most others hold after the same entries")]
    Differs,
    /// The log goes on under a key that this node was not given: it took its state from another before all had it.
    #[error("the log goes on under a key that this node does not have")]
    NoKey,
    /// An operator took this node out for good.
    #[error("this node was removed from its cluster")]
    Removed,
}
