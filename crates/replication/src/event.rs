//! What happens to a replica beside the entries of the log.

use recant_cluster::{Appended, Beat, BeatAnswer, BootTime, FreshKeyName, NodeId, Slice, Version};
use recant_jetstream::Fill;
use recant_types::UnixMillis;
use tokio::sync::oneshot;

use super::entry_store::{EntryStore, Held};
use super::submit_error::{RemoveError, SubmitError};

/// The answer to whoever submitted something.
pub(crate) type Answer<S> =
    oneshot::Sender<Result<<S as EntryStore>::Outcome, SubmitError<<S as EntryStore>::Error>>>;

/// What became of what was decided.
pub(crate) type DecidedEach<S> = Vec<Result<Vec<u8>, <S as EntryStore>::Error>>;

pub(crate) enum Event<S: EntryStore> {
    Submit {
        asked: S::Asked,
        bytes: usize,
        erases: bool,
        everywhere: Option<Version>,
        settles: Option<(NodeId, u64)>,
        answer: Answer<S>,
    },
    /// Whether the node may lead, if it is a candidate.
    MayLead(bool),
    /// The node is to lead no longer, in good order.
    HandOver {
        to: Option<NodeId>,
    },
    /// A node is to be taken out for good.
    Remove {
        node: NodeId,
        attested: bool,
        answer: oneshot::Sender<Result<(), RemoveError>>,
    },
    /// How much of the log is taken; nothing when it did not say.
    LogFill(Option<Fill>),
    /// Whether the log answers, which was asked because nothing was heard of it for long.
    LogAnswers(bool),
    Decided(DecidedEach<S>),
    Appended {
        attempt: u64,
        outcome: Appended,
    },
    /// The store keeps a key for the next series.
    KeyKept(FreshKeyName),
    /// An entry is in the store for good.
    Applied {
        number: u64,
        outcomes: Vec<S::Outcome>,
        /// What it holds of the part that the entry asks for.
        held: Option<(Slice, Held)>,
    },
    /// An entry could not be applied, and is tried again.
    NotApplied {
        number: u64,
        why: String,
    },
    /// When the first erasure was accepted that lies behind this entry.
    OwedSince {
        after: u64,
        accepted_at: Option<UnixMillis>,
    },
    Beat {
        beat: Beat,
        answer: oneshot::Sender<BeatAnswer>,
    },
    Answered {
        sent: BootTime,
        answer: BeatAnswer,
    },
    /// Nobody listens at the leader's address.
    LeaderRefuses,
}
