//! What callers tell the service: interactions that happened, and what is to be erased.
//!
//! They carry ids as callers know them; dense row numbers are given out later, when the entry of the
//! log is applied.

use serde::{Deserialize, Serialize};

use crate::date_digits::millis_of_date_digits;
use crate::feedback::FeedbackType;
use crate::ids::{ErasureId, ItemId, UserId};

/// Most pairs one erasure may name.
pub const ERASURE_PAIRS_MAX: usize = 10_000;

/// Most interactions one addition may carry.
pub const ADDITION_INTERACTIONS_MAX: usize = 10_000;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The wall clock now.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// The time that a source's timestamp means, by its size: below 10^11 seconds since 1970, below
    /// 10^14 milliseconds, below 10^17 microseconds, else nanoseconds. Fourteen digits that are a
    /// date and a time of day are that.
    pub fn from_timestamp(timestamp: i64) -> Self {
        let size = timestamp.unsigned_abs();
        Self(if size < 100_000_000_000 {
            timestamp * 1_000
        } else if size < 100_000_000_000_000 {
            millis_of_date_digits(timestamp).unwrap_or(timestamp)
        } else if size < 100_000_000_000_000_000 {
            timestamp / 1_000
        } else {
            timestamp / 1_000_000
        })
    }

    /// RFC 3339 in UTC with milliseconds, as the HTTP interface shows times.
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => String::from("out of range"),
        }
    }
}

/// One interaction of a user with an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    /// The user who interacted.
    pub user: UserId,
    /// The item interacted with.
    pub item: ItemId,
    /// What was done.
    pub feedback: FeedbackType,
    /// Confidence c, from [`crate::WEIGHT_MIN`] to [`crate::WEIGHT_MAX`]; 1 when the source gives
    /// none.
    pub weight: f32,
    /// When, in the unit of the source ([`UnixMillis::from_timestamp`]); kept for export, and to
    /// tell what happened before an erasure. Not used by the model.
    pub timestamp: Option<i64>,
}

/// Whether what happened at `new` takes the place of what happened at `held`, of the same pair: the
/// newest event counts, wherever it comes from. One without a time counts as it comes; of two at one
/// moment the later to come does.
pub fn takes_the_place(new: Option<i64>, held: Option<i64>) -> bool {
    match (new, held) {
        (Some(new), Some(held)) => nanoseconds(new) >= nanoseconds(held),
        _ => true,
    }
}

/// What a source's timestamp means, in nanoseconds since 1970.
fn nanoseconds(timestamp: i64) -> i128 {
    let size = timestamp.unsigned_abs();
    let wide = i128::from(timestamp);
    if size < 100_000_000_000_000 {
        i128::from(UnixMillis::from_timestamp(timestamp).0) * 1_000_000
    } else if size < 100_000_000_000_000_000 {
        wide * 1_000
    } else {
        wide
    }
}

/// What an erasure names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ErasureTarget {
    /// These pairs and nothing else; 1 to [`ERASURE_PAIRS_MAX`].
    Pairs(Vec<(UserId, ItemId)>),
    /// Of these pairs what is of one type; 1 to [`ERASURE_PAIRS_MAX`].
    TypedPairs(Vec<TypedPair>),
    /// Everything of one user, the id and the model's row included.
    User(UserId),
    /// Every interaction with one item.
    Item(ItemId),
    /// Users, items and pairs together.
    Several(Names),
    /// The processing of what is held of these users is restricted: it leaves the model as if it were
    /// erased, and is kept; 1 to [`ERASURE_PAIRS_MAX`].
    Restriction(Vec<UserId>),
}

impl ErasureTarget {
    /// How many names there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Pairs(pairs) => pairs.len(),
            Self::TypedPairs(pairs) => pairs.len(),
            Self::User(_) | Self::Item(_) => 1,
            Self::Several(names) => names.count(),
            Self::Restriction(users) => users.len(),
        }
    }
}

/// What a user did with an item, of one type of feedback.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TypedPair {
    /// Who.
    pub user: UserId,
    /// With what.
    pub item: ItemId,
    /// What was done.
    pub feedback: FeedbackType,
}

/// What one erasure names when it is more than one thing of one kind; together 1 to
/// [`ERASURE_PAIRS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Names {
    /// Everything of each of these users.
    pub users: Vec<UserId>,
    /// Every interaction with each of these items.
    pub items: Vec<ItemId>,
    /// These pairs.
    pub pairs: Vec<(UserId, ItemId)>,
    /// Of these pairs what is of one type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub typed_pairs: Vec<TypedPair>,
}

impl Names {
    /// Names a pair, or of it what is of one type of feedback.
    pub fn add_pair(&mut self, user: UserId, item: ItemId, feedback: Option<FeedbackType>) {
        match feedback {
            None => self.pairs.push((user, item)),
            Some(feedback) => self.typed_pairs.push(TypedPair {
                user,
                item,
                feedback,
            }),
        }
    }

    /// How many names there are.
    pub fn count(&self) -> usize {
        self.users.len() + self.items.len() + self.pairs.len() + self.typed_pairs.len()
    }

    /// The same in requests of as many names as one erasure may hold: one where that does, else some
    /// of one kind each.
    pub fn into_requests(self) -> Vec<Self> {
        if self.count() <= ERASURE_PAIRS_MAX {
            return if self.count() == 0 {
                Vec::new()
            } else {
                vec![self]
            };
        }
        let users = self.users.chunks(ERASURE_PAIRS_MAX).map(|users| Self {
            users: users.to_vec(),
            ..Self::default()
        });
        let items = self.items.chunks(ERASURE_PAIRS_MAX).map(|items| Self {
            items: items.to_vec(),
            ..Self::default()
        });
        let pairs = self.pairs.chunks(ERASURE_PAIRS_MAX).map(|pairs| Self {
            pairs: pairs.to_vec(),
            ..Self::default()
        });
        let typed = self.typed_pairs.chunks(ERASURE_PAIRS_MAX);
        let typed = typed.map(|typed_pairs| Self {
            typed_pairs: typed_pairs.to_vec(),
            ..Self::default()
        });
        users.chain(items).chain(pairs).chain(typed).collect()
    }

    /// The same as targets of one kind each, the pairs last.
    pub fn parts(&self) -> impl Iterator<Item = ErasureTarget> {
        let users = self.users.iter().cloned().map(ErasureTarget::User);
        let items = self.items.iter().cloned().map(ErasureTarget::Item);
        let pairs = Some(self.pairs.clone()).filter(|pairs| !pairs.is_empty());
        let typed = Some(self.typed_pairs.clone()).filter(|typed| !typed.is_empty());
        users
            .chain(items)
            .chain(pairs.map(ErasureTarget::Pairs))
            .chain(typed.map(ErasureTarget::TypedPairs))
    }
}

impl From<Names> for ErasureTarget {
    /// The target of one kind where there is one, so that a request means the same however it is
    /// written.
    fn from(mut names: Names) -> Self {
        let counts = (
            names.users.len(),
            names.items.len(),
            names.pairs.len(),
            names.typed_pairs.len(),
        );
        match counts {
            (1, 0, 0, 0) => Self::User(names.users.remove(0)),
            (0, 1, 0, 0) => Self::Item(names.items.remove(0)),
            (0, 0, _, 0) => Self::Pairs(names.pairs),
            (0, 0, 0, _) => Self::TypedPairs(names.typed_pairs),
            _ => Self::Several(names),
        }
    }
}

/// One entry of the durable log.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Interactions to learn; a pair that is already held is replaced.
    Add(Vec<Interaction>),
    /// Something to erase and to forget, or to keep out of processing and to forget.
    Erase {
        /// The id the caller was given.
        id: ErasureId,
        /// When the request was accepted.
        accepted_at: UnixMillis,
        /// What it names.
        target: ErasureTarget,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        assert_eq!(
            UnixMillis(1_700_000_000_123).to_rfc3339(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(UnixMillis(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_timestamp_is_understood_in_the_usual_units() {
        let millis = 1_700_000_000_123;
        for timestamp in [millis, millis * 1_000 + 5, millis * 1_000_000 + 5] {
            assert_eq!(UnixMillis::from_timestamp(timestamp), UnixMillis(millis));
        }
        let seconds = UnixMillis::from_timestamp(1_700_000_000);
        assert_eq!(seconds, UnixMillis(1_700_000_000_000));
        assert_eq!(UnixMillis::from_timestamp(-5), UnixMillis(-5_000));
        assert!(UnixMillis::from_timestamp(i64::MIN) < UnixMillis(0));
        let digits = UnixMillis::from_timestamp(20_231_114_221_320);
        assert_eq!(digits, UnixMillis(1_700_000_000_000));
    }

    #[test]
    fn the_newest_event_takes_the_place_in_whatever_unit_it_comes() {
        let seconds = 1_700_000_000;
        let after = [
            seconds + 1,
            seconds * 1_000 + 1,
            seconds * 1_000_000 + 1,
            seconds * 1_000_000_000 + 1,
        ];
        for after in after {
            assert!(takes_the_place(Some(after), Some(seconds)), "{after}");
            assert!(!takes_the_place(Some(seconds), Some(after)), "{after}");
        }
        assert!(
            takes_the_place(Some(seconds), Some(seconds * 1_000)),
            "at one moment"
        );
        assert!(takes_the_place(None, Some(seconds)) && takes_the_place(Some(seconds), None));
    }
}
