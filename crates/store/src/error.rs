//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};

use recant_types::{FEEDBACK_TYPES_MAX, UnknownFeedbackType};

/// Why the store refused. No message holds an id of a person or an item.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There are as many types of feedback as there may be.
    #[error("the store has {FEEDBACK_TYPES_MAX} types of feedback: there can be no more")]
    TooManyFeedbackTypes,
    /// It holds feedback of a type that nobody says anything about.
    #[error(transparent)]
    UnknownFeedbackType(#[from] UnknownFeedbackType),
    /// There is too little room; nothing was acknowledged.
    #[error("no room on the disk of {}: free some space, it goes on by itself then", path.display())]
    NoSpace {
        /// The store's directory.
        path: PathBuf,
    },
    /// Another process holds the directory.
    #[error("{} is in use by another process: stop it first, or choose another --data-dir", path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// What is on the disk is not what was written.
    #[error(
        "the store is damaged ({what}): restore a backup, or import and train into a new --data-dir"
    )]
    Damaged {
        /// What does not fit; no ids.
        what: String,
    },
    /// The database holds less than was acknowledged.
    #[error(
        "the store went back in time: commit {held} found, {acknowledged} was acknowledged; restore \
         a backup, or import and train into a new --data-dir"
    )]
    Behind {
        /// The last commit the database holds.
        held: u64,
        /// The last commit that was acknowledged.
        acknowledged: u64,
    },
    /// The key ring knows less than the database holds: a copy of it was put back.
    #[error(
        "the key ring is older than the store: it knows commit {acknowledged}, {held} is there; put \
         the newest ring back (an old one has keys that were destroyed since)"
    )]
    OldKeyRing {
        /// The last commit the database holds.
        held: u64,
        /// The last commit that the key ring knows of.
        acknowledged: u64,
    },
    /// The store was written by a later version of the program.
    #[error("the store has schema version {found}, this program knows {known}: use a newer recant")]
    FromTheFuture {
        /// The version of the store.
        found: u32,
        /// The latest version known.
        known: u32,
    },
    /// A backup could not be written, or must not be restored.
    #[error("the backup {}: {problem}", path.display())]
    Backup {
        /// The file of the backup.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// The state of a store could not be sent to another node, or must not be taken from one.
    #[error("the state of a store: {problem}")]
    Transfer {
        /// What is wrong; no ids.
        problem: String,
    },
    /// A directory that the state of another node's store was to be put into has a store already.
    #[error("{} holds a store already: it has to be wiped before it takes another's state", path.display())]
    HoldsAStore {
        /// The directory.
        path: PathBuf,
    },
    /// The key ring of the directory was destroyed, and with it everything that lies there.
    #[error(
        "the key ring was wiped, so that nothing in this directory can be read any more: a node of a \
         cluster takes the state of another; a store by itself is restored into a new --data-dir"
    )]
    Wiped,
    /// There is no master key, or it is the wrong one.
    #[error("the master key {problem}")]
    MasterKey {
        /// What is wrong, and how to mend it; never a key.
        problem: String,
    },
    /// A sync does not come back.
    #[error(
        "the disk has not finished a sync for {seconds} s: check it; nothing is accepted until it does"
    )]
    Stalled {
        /// How long it has been under way.
        seconds: u64,
    },
    /// An idempotency key came back with another request.
    #[error("this idempotency key was used for a different request")]
    IdempotencyKeyReused,
    /// What was decided does not come next in this store.
    #[error("what was decided is for position {given} of the log, {next} is next here")]
    OutOfOrder {
        /// The position that this store gives out next.
        next: u64,
        /// The first of what was decided that is another.
        given: u64,
    },
    /// The key of the log goes forward alone.
    #[error("the key of the log is of epoch {held}, {given} is before that")]
    LogKeyWentBack {
        /// The epoch of the key that the key ring holds.
        held: u64,
        /// The epoch that was given.
        given: u64,
    },
    /// The mark of an entry is longer than a record may be.
    #[error("the mark of an entry has {0} bytes, too many for a record")]
    MarkTooLong(usize),
    /// The store keeps no mark of a log, and so no key of one.
    #[error("the store follows no log")]
    FollowsNoLog,
    /// What is held follows a log that stores share: nothing of it may be changed behind that log's back.
    #[error(
        "this data directory belongs to a cluster: writes go through the cluster's leader, by way of any \
         node, and what changes a directory by itself is refused until it has left the cluster"
    )]
    BelongsToCluster,
    /// The store was closed meanwhile.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The error that an input or output operation on `path` ended with.
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace {
                path: path.to_owned(),
            },
            _ => Self::Io {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        }
    }

    /// The error that the database under `path` answered with.
    pub(super) fn database(path: &Path, error: &sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::io(path, error),
            sled::Error::Corruption { .. } => Self::damaged("the database found a broken page"),
            error => Self::Io {
                path: path.to_owned(),
                reason: error.to_string(),
            },
        }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// The error of a store that does not hold what the one holds that decided.
    pub(super) fn other_store() -> Self {
        Self::damaged("it does not hold what the store holds that decided")
    }

    /// The error of a key that is too short to be what its kind says.
    pub(super) fn cut_key() -> Self {
        Self::damaged("a key is cut off")
    }

    /// The error of a person whose record or key should be there.
    pub(super) fn missing_person() -> Self {
        Self::damaged("a record or the key of a person is missing")
    }
}
