//! What can go wrong with the log, as whoever uses it has to tell apart.

use std::time::Duration;

use recant_cluster::Appended;

use super::stream_config::Difference;

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// There is no such stream.
    #[error("there is no stream {0}: make it first")]
    Missing(String),
    /// A stream of that name holds another log.
    #[error("the stream {0} is there already and holds another log")]
    Taken(String),
    /// The stream is not set as it has to be.
    #[error(transparent)]
    Difference(#[from] Difference),
    /// The servers cannot be asked.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why an entry was not appended, or not as far as anybody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log has another tail than the one that was named. The entry is not in it.
    #[error("the log has another tail")]
    Refused,
    /// Sent and not answered: whether the entry is in the log, or will yet be, only reading it says.
    #[error("what became of the entry is open: {0}")]
    Unknown(String),
    /// The log takes no more. The entry is not in it.
    #[error("the log is full: {0}")]
    Full(String),
    /// Nobody was there to take it: no connection, or no server that leads the log. The entry is not in it.
    #[error("nobody takes entries: {0}")]
    Unreachable(String),
    /// The entry is too long for a message. It is not in the log.
    #[error("an entry of {bytes} bytes is too long for the log")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The stream is another one than it was when it was opened. The entry is not in it.
    #[error("the log takes no entries: {0}")]
    Rejected(String),
}

impl AppendError {
    /// Whether the entry may be in the log all the same, now or later.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl From<&AppendError> for Appended {
    /// What the protocol of a node is told, which acts on nothing but on what it reads.
    fn from(error: &AppendError) -> Self {
        match error {
            // Not in the log, and soon to be sent again: when nobody takes entries, somebody else is about to.
            AppendError::Refused | AppendError::Unreachable(_) => Self::Refused,
            AppendError::Full(_) => Self::Full,
            // Sent again too, but with patience.
            AppendError::Unknown(_) | AppendError::TooLong { .. } | AppendError::Rejected(_) => {
                Self::Unknown
            }
        }
    }
}

/// Why the log did not say something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No answer within the time that a call has.
    #[error("the log did not answer within {0:?}")]
    Silent(Duration),
    /// Nobody is there who would answer.
    #[error("nobody answers for the log: {0}")]
    Unreachable(String),
    /// The servers say that there is no such stream.
    #[error("there is no log of this name")]
    Missing,
    /// An answer, of no use.
    #[error("the log answers: {0}")]
    Failed(String),
}

/// Why the log cannot be read on. None of these passes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// What is to be read next was trimmed.
    #[error("the log begins at {first}, and {wanted} is to be read")]
    Trimmed {
        /// What is to be read.
        wanted: u64,
        /// What there is.
        first: u64,
    },
    /// An entry is missing between others.
    #[error("the log has no entry {wanted}, but later ones")]
    Hole {
        /// Which.
        wanted: u64,
    },
    /// The log ends before what was read of it.
    #[error("the log ends at {last}, and {wanted} was to follow: it went back")]
    WentBack {
        /// What is to be read.
        wanted: u64,
        /// Where it ends.
        last: u64,
    },
}
