//! What was erased and is not applied yet.

use std::collections::HashMap;

use crate::hash::{KeyedHash, Named};
use crate::position::LogPosition;

/// What accepted erasures named whose effect the worker has not committed yet, with their position.
///
/// The worker may hold in memory, and write, what an erasure took from the store meanwhile; what is
/// named here is kept out of its commits.
#[derive(Debug, Default)]
pub(super) struct Unapplied {
    users: HashMap<KeyedHash, LogPosition>,
    pairs: HashMap<KeyedHash, HashMap<KeyedHash, LogPosition>>,
    /// By user, and then by item and type of feedback.
    typed_pairs: HashMap<KeyedHash, HashMap<(KeyedHash, KeyedHash), LogPosition>>,
    items: HashMap<KeyedHash, LogPosition>,
}

impl Unapplied {
    pub(super) fn insert(&mut self, named: &Named, position: LogPosition) {
        match named {
            Named::User(user) => {
                self.users.insert(*user, position);
            }
            Named::Pairs(pairs) => {
                for (user, item) in pairs {
                    self.pairs.entry(*user).or_default().insert(*item, position);
                }
            }
            Named::TypedPairs(pairs) => {
                for pair in pairs {
                    let of_user = self.typed_pairs.entry(pair.user).or_default();
                    of_user.insert((pair.item, pair.feedback), position);
                }
            }
            Named::Item(item) => {
                self.items.insert(*item, position);
            }
            // What the worker still has of them is kept out of its commits as if it were erased.
            Named::Restriction(users) => {
                self.users
                    .extend(users.iter().map(|user| (*user, position)));
            }
            several @ (Named::Several { .. } | Named::SeveralTyped { .. }) => {
                for named in several.parts() {
                    self.insert(&named, position);
                }
            }
        }
    }

    /// The worker has committed everything up to `applied`.
    pub(super) fn applied(&mut self, applied: LogPosition) {
        self.users.retain(|_, position| *position > applied);
        self.pairs.retain(|_, items| {
            items.retain(|_, position| *position > applied);
            !items.is_empty()
        });
        self.typed_pairs.retain(|_, pairs| {
            pairs.retain(|_, position| *position > applied);
            !pairs.is_empty()
        });
        self.items.retain(|_, position| *position > applied);
    }

    /// Whether an item was erased after `position`, and the worker has not taken it from the
    /// histories yet.
    pub(super) fn item_erased_after(&self, item: KeyedHash, position: LogPosition) -> bool {
        self.items.get(&item).is_some_and(|at| *at > position)
    }

    /// Where in the log an item was last erased, when the worker has not taken it from the histories yet.
    pub(super) fn item_erased_at(&self, item: KeyedHash) -> Option<LogPosition> {
        self.items.get(&item).copied()
    }

    /// The items that the worker has not taken from the histories yet.
    pub(super) fn items(&self) -> impl Iterator<Item = KeyedHash> + '_ {
        self.items.keys().copied()
    }

    /// Whether there are items that the worker has not taken from the histories yet.
    pub(super) fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// Whether everything that a commit up to `reached` knows of a user was erased after that.
    pub(super) fn user_erased_after(&self, user: KeyedHash, reached: LogPosition) -> bool {
        self.users.get(&user).is_some_and(|at| *at > reached)
    }

    /// The items and types of feedback that a user's interactions of one type were erased with after
    /// `reached`.
    pub(super) fn typed_pairs_erased_after(
        &self,
        user: KeyedHash,
        reached: LogPosition,
    ) -> impl Iterator<Item = (KeyedHash, KeyedHash)> + '_ {
        let pairs = self.typed_pairs.get(&user).into_iter().flatten();
        pairs
            .filter(move |(_, at)| **at > reached)
            .map(|(pair, _)| *pair)
    }

    /// The items that a user's interactions were erased with after `reached`.
    pub(super) fn items_erased_after(
        &self,
        user: KeyedHash,
        reached: LogPosition,
    ) -> impl Iterator<Item = KeyedHash> + '_ {
        let items = self.pairs.get(&user).into_iter().flatten();
        items
            .filter(move |(_, at)| **at > reached)
            .map(|(item, _)| *item)
    }

    /// The same with nothing but the items.
    pub(super) fn items_alone(&self) -> Self {
        Self {
            items: self.items.clone(),
            ..Self::default()
        }
    }
}
