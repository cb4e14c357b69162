//! What a request comes to, decided once.
//!
//! Many stores that apply the same requests in the same order end equal only when none of them
//! decides anything by itself: which interactions are held back hangs on tombstones, which each
//! store forgets in its own time, and on what its worker has taken from the histories so far; which
//! idempotency key counts hangs on a clock; so does when a restriction ended; what is taken on hangs
//! on the room on a disk. All of that is in a [`Decided`]:
//!
//! | left to every store | decided once |
//! |---|---|
//! | rows, slots, pseudonyms, keys, how often an item was taken | ids, positions, times |
//! | the numbers of types of feedback | which interactions are left |
//! | what of a named person or pair is where | up to when its tombstone holds back |
//! | the rows that were kept of a person | how many positions giving them back takes |
//! | the hash of an idempotency key under the store's own key | whether it counts |
//! | the record of the erasure that came before | that it did |
//!
//! A patch of what is said about a person is decided to what is said then. One store by itself goes
//! the same way, request by request and without the bytes: it decides what the stage then applies
//! (`stage/decide.rs`, `stage/accept.rs`).
//!
//! Several requests are decided on a stage that is thrown away, so that each counts those before it:
//! their tombstones, their keys, their positions, what they added and what they took. That stage has
//! an index of its own, with those alone whom the requests name.

pub(crate) mod form;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::fact::Fact;
use crate::outbox::OutboxEndpoint;
use crate::position::LogPosition;
use crate::request::Idempotency;
use recant_types::{
    Commitment, ErasureId, ErasureTarget, Interaction, InvalidProperties, ItemDescription, ItemId,
    PersonProperties, UnixMillis, UserId,
};

/// The form of the bytes.
const FORMAT: u8 = 1;

/// What one request comes to, whichever store applies it: made by [`Store::decide`](crate::Store::decide),
/// applied by [`Store::commit_entry`](crate::Store::commit_entry).
///
/// It holds ids; `Debug` shows none of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided(pub(crate) Outcome);

/// Bytes that are no [`Decided`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecidedError {
    /// A newer program wrote them.
    #[error("what was decided has format {0}, this program reads {FORMAT}: upgrade it")]
    Format(u8),
    /// They are cut, or something else.
    #[error("what was decided is damaged")]
    Damaged,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It is carried out.
    Accepted(Accepted),
    /// It came before, with the same key: this erasure.
    Repeated(ErasureId),
    /// It is not taken, and leaves nothing.
    Refused(Refusal),
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// Its idempotency key came with another request before.
    IdempotencyKeyReused,
    /// The disk has too little room.
    NoSpace,
    /// It names more types of feedback than there can be.
    TooManyFeedbackTypes,
}

impl Refusal {
    /// How the store in `path` says so.
    pub(crate) fn error(self, path: &Path) -> StoreError {
        match self {
            Self::IdempotencyKeyReused => StoreError::IdempotencyKeyReused,
            Self::NoSpace => StoreError::NoSpace {
                path: path.to_owned(),
            },
            Self::TooManyFeedbackTypes => StoreError::TooManyFeedbackTypes,
        }
    }
}

/// A request that is carried out, in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) changes: Vec<DecidedChange>,
    /// Why what is said about a person is not changed, if it is not.
    pub(crate) refused: Option<InvalidProperties>,
    pub(crate) entries: Vec<DecidedEntry>,
    pub(crate) lifts: Vec<DecidedLift>,
}

/// A change without an entry in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum DecidedChange {
    Describe(#[serde(with = "form::json")] ItemDescription),
    RemoveDescription(ItemId),
    /// What is said about a person then, all of it.
    PutProperties {
        id: UserId,
        #[serde(with = "form::json")]
        properties: PersonProperties,
    },
    PutOutbox {
        endpoint: OutboxEndpoint,
        id: ErasureId,
    },
    Fact(Box<Fact>),
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum DecidedEntry {
    Add(DecidedAddition),
    Erase(Box<DecidedErasure>),
}

/// An addition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecidedAddition {
    /// Its position; none when everything in it is kept of restricted people.
    pub(crate) position: Option<LogPosition>,
    /// What is left of it.
    #[serde(with = "form::rows")]
    pub(crate) rows: Vec<Interaction>,
    /// How many interactions were held back.
    pub(crate) held_back: u32,
}

/// An erasure, or a restriction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecidedErasure {
    pub(crate) position: LogPosition,
    pub(crate) id: ErasureId,
    pub(crate) accepted_at: UnixMillis,
    #[serde(with = "form::target")]
    pub(crate) target: ErasureTarget,
    pub(crate) commitment: Option<Commitment>,
    pub(crate) requested_by: Option<String>,
    /// Each store hashes it under a key of its own.
    pub(crate) idempotency: Option<Idempotency>,
    /// Up to when its tombstones hold back. A store by itself learns it while it carries the erasure
    /// out, and leaves it open before.
    pub(crate) until: Option<UnixMillis>,
}

/// The end of a restriction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecidedLift {
    pub(crate) user: UserId,
    pub(crate) at: UnixMillis,
    /// The positions of what was kept.
    pub(crate) positions: Vec<LogPosition>,
}

impl Accepted {
    /// The positions that it takes, in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = LogPosition> + '_ {
        let of_entries = self.entries.iter().filter_map(|entry| match entry {
            DecidedEntry::Add(addition) => addition.position,
            DecidedEntry::Erase(erasure) => Some(erasure.position),
        });
        of_entries.chain(
            self.lifts
                .iter()
                .flat_map(|lift| lift.positions.iter().copied()),
        )
    }

    /// Whether it holds an erasure, a restriction or the end of one.
    pub(crate) fn is_a_request(&self) -> bool {
        let is_erasure = |entry: &DecidedEntry| matches!(entry, DecidedEntry::Erase(_));
        self.entries.iter().any(is_erasure) || !self.lifts.is_empty()
    }
}

impl Decided {
    /// Its bytes, for [`Decided::from_bytes`]. They hold ids, and are not sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("plain data has a form")
    }

    /// Reads what [`Decided::to_bytes`] made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecidedError> {
        let (format, rest) = bytes.split_first().ok_or(DecidedError::Damaged)?;
        if *format != FORMAT {
            return Err(DecidedError::Format(*format));
        }
        match postcard::take_from_bytes(rest) {
            Ok((decided, [])) => Ok(decided),
            _ => Err(DecidedError::Damaged),
        }
    }

    /// Whether something can be read no more once it is applied: an erasure, a restriction, or what
    /// was said about a person or an item.
    pub fn takes_back(&self) -> bool {
        let Outcome::Accepted(accepted) = &self.0 else {
            return false;
        };
        let is_erasure = |entry: &DecidedEntry| matches!(entry, DecidedEntry::Erase(_));
        let takes = |change: &DecidedChange| {
            matches!(
                change,
                DecidedChange::PutProperties { .. } | DecidedChange::RemoveDescription(_)
            )
        };
        accepted.entries.iter().any(is_erasure) || accepted.changes.iter().any(takes)
    }

    /// The positions that it takes, in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = LogPosition> + '_ {
        let accepted = match &self.0 {
            Outcome::Accepted(accepted) => Some(accepted),
            Outcome::Repeated(_) | Outcome::Refused(_) => None,
        };
        accepted.into_iter().flat_map(Accepted::positions)
    }

    /// Whether it holds an erasure, a restriction or the end of one.
    pub(crate) fn is_a_request(&self) -> bool {
        matches!(&self.0, Outcome::Accepted(accepted) if accepted.is_a_request())
    }
}

impl fmt::Debug for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Accepted(_) => f.write_str("Decided(accepted)"),
            Outcome::Repeated(id) => write!(f, "Decided(repeated {id})"),
            Outcome::Refused(refusal) => write!(f, "Decided(refused: {refusal:?})"),
        }
    }
}

#[cfg(test)]
mod tests;
