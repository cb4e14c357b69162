//! Keyed hashes: how the store recognises an id without holding it.
//!
//! HMAC-SHA-256 (RFC 2104) under a key of the key ring, cut to 16 bytes. Without that key a hash
//! cannot be compared with guessed ids.

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::seal::SecretKey;
use recant_types::{ErasureTarget, FeedbackType, ItemId, Names, TypedPair, UserId};

/// The keyed hash of an id or of a pair. Two different ones meet by chance once in 2^64 ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyedHash(pub [u8; 16]);

/// What an erasure named, by hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Named {
    /// Pairs of user and item.
    Pairs(Vec<(KeyedHash, KeyedHash)>),
    /// Everything of one user.
    User(KeyedHash),
    /// Every interaction with one item.
    Item(KeyedHash),
    /// Users, items and pairs together.
    Several {
        /// Users.
        users: Vec<KeyedHash>,
        /// Items.
        items: Vec<KeyedHash>,
        /// Pairs of user and item.
        pairs: Vec<(KeyedHash, KeyedHash)>,
    },
    /// Of pairs what is of one type of feedback.
    TypedPairs(Vec<HashedTypedPair>),
    /// The same as `Several`, with typed pairs.
    SeveralTyped {
        /// Users.
        users: Vec<KeyedHash>,
        /// Items.
        items: Vec<KeyedHash>,
        /// Pairs of user and item.
        pairs: Vec<(KeyedHash, KeyedHash)>,
        /// Of pairs what is of one type of feedback.
        typed_pairs: Vec<HashedTypedPair>,
    },
    /// Users whose data are kept and processed no more.
    Restriction(Vec<KeyedHash>),
}

/// What a user did with an item, of one type of feedback, by hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedTypedPair {
    /// The hash of the user.
    pub user: KeyedHash,
    /// The hash of the item.
    pub item: KeyedHash,
    /// The hash of the type's name.
    pub feedback: KeyedHash,
}

impl Named {
    /// The same as names of one kind each.
    pub fn parts(&self) -> Vec<Named> {
        let (users, items, pairs, typed_pairs) = match self {
            Self::Several {
                users,
                items,
                pairs,
            } => (users, items, pairs, &[][..]),
            Self::SeveralTyped {
                users,
                items,
                pairs,
                typed_pairs,
            } => (users, items, pairs, &typed_pairs[..]),
            one => return vec![one.clone()],
        };
        let users = users.iter().copied().map(Self::User);
        let items = items.iter().copied().map(Self::Item);
        let pairs = (!pairs.is_empty()).then(|| Self::Pairs(pairs.clone()));
        let typed = (!typed_pairs.is_empty()).then(|| Self::TypedPairs(typed_pairs.to_vec()));
        users.chain(items).chain(pairs).chain(typed).collect()
    }

    /// The items among what is named, which the worker takes from the histories of all users; what
    /// users and pairs are named leaves the store when the erasure is accepted. `None` when there
    /// are none.
    pub fn items(&self) -> Option<Named> {
        match self {
            Self::Item(_) => Some(self.clone()),
            Self::Several { items, .. } | Self::SeveralTyped { items, .. } if !items.is_empty() => {
                Some(Self::Several {
                    users: Vec::new(),
                    items: items.clone(),
                    pairs: Vec::new(),
                })
            }
            _ => None,
        }
    }
}

/// Hashes ids under the key of one store.
#[derive(Debug, Clone)]
pub struct IdHasher(Hmac<Sha256>);

impl IdHasher {
    /// The hasher with this key.
    pub(super) fn new(key: &SecretKey) -> Self {
        Self(Hmac::new_from_slice(key.expose()).expect("a key of any length will do"))
    }

    fn hash(&self, parts: &[&[u8]]) -> KeyedHash {
        let mut state = self.0.clone();
        parts.iter().for_each(|part| state.update(part));
        let hash: [u8; 32] = state.finalize().into_bytes().into();
        KeyedHash(*hash.first_chunk().expect("32 bytes are enough"))
    }

    /// The hash of a user.
    pub fn user(&self, user: &UserId) -> KeyedHash {
        self.hash(&[b"u", user.expose().as_bytes()])
    }

    /// The hash of an item.
    pub fn item(&self, item: &ItemId) -> KeyedHash {
        self.hash(&[b"i", item.expose().as_bytes()])
    }

    /// The hash of a pair, from those of its sides.
    pub fn pair(&self, user: KeyedHash, item: KeyedHash) -> KeyedHash {
        self.hash(&[b"p", &user.0, &item.0])
    }

    /// The hash of a type of feedback.
    pub fn feedback(&self, feedback: &FeedbackType) -> KeyedHash {
        self.hash(&[b"f", feedback.as_str().as_bytes()])
    }

    /// The one of `names` that has this hash.
    pub fn feedback_named<'n>(
        &self,
        hash: KeyedHash,
        names: impl IntoIterator<Item = &'n FeedbackType>,
    ) -> Option<&'n FeedbackType> {
        let mut names = names.into_iter();
        names.find(|name| self.feedback(name) == hash)
    }

    /// The hash of what a user did with an item, of one type.
    pub fn typed_pair(&self, pair: HashedTypedPair) -> KeyedHash {
        self.hash(&[b"t", &pair.user.0, &pair.item.0, &pair.feedback.0])
    }

    /// All 32 bytes of the hash of a digest.
    pub fn digest(&self, digest: &[u8; 32]) -> [u8; 32] {
        let mut state = self.0.clone();
        state.update(b"d");
        state.update(digest);
        state.finalize().into_bytes().into()
    }

    /// A hash of something that is held, for sums.
    pub(crate) fn content(&self, parts: &[&[u8]]) -> u128 {
        let mut state = self.0.clone();
        state.update(b"c");
        parts.iter().for_each(|part| state.update(part));
        let hash: [u8; 32] = state.finalize().into_bytes().into();
        u128::from_le_bytes(*hash.first_chunk().expect("32 bytes are enough"))
    }

    /// What a target names.
    pub fn named(&self, target: &ErasureTarget) -> Named {
        match target {
            ErasureTarget::User(user) => Named::User(self.user(user)),
            ErasureTarget::Item(item) => Named::Item(self.item(item)),
            ErasureTarget::Pairs(pairs) => Named::Pairs(self.sides(pairs)),
            ErasureTarget::TypedPairs(pairs) => Named::TypedPairs(self.typed_sides(pairs)),
            ErasureTarget::Several(names) => self.several(names),
            ErasureTarget::Restriction(users) => {
                Named::Restriction(users.iter().map(|user| self.user(user)).collect())
            }
        }
    }

    fn several(&self, names: &Names) -> Named {
        let users = names.users.iter().map(|user| self.user(user)).collect();
        let items = names.items.iter().map(|item| self.item(item)).collect();
        let pairs = self.sides(&names.pairs);
        if names.typed_pairs.is_empty() {
            return Named::Several {
                users,
                items,
                pairs,
            };
        }
        Named::SeveralTyped {
            users,
            items,
            pairs,
            typed_pairs: self.typed_sides(&names.typed_pairs),
        }
    }

    fn typed_sides(&self, pairs: &[TypedPair]) -> Vec<HashedTypedPair> {
        let hash = |pair: &TypedPair| HashedTypedPair {
            user: self.user(&pair.user),
            item: self.item(&pair.item),
            feedback: self.feedback(&pair.feedback),
        };
        pairs.iter().map(hash).collect()
    }

    /// The hashes of both sides of each pair.
    fn sides(&self, pairs: &[(UserId, ItemId)]) -> Vec<(KeyedHash, KeyedHash)> {
        let hash = |(user, item): &(UserId, ItemId)| (self.user(user), self.item(item));
        pairs.iter().map(hash).collect()
    }
}

/// Under which hashes a tombstone may stand that holds back an interaction of the user with this hash.
pub(crate) fn tombstones_over(
    hasher: &IdHasher,
    user: KeyedHash,
    item: &ItemId,
    feedback: &FeedbackType,
) -> [KeyedHash; 4] {
    let item = hasher.item(item);
    let typed = HashedTypedPair {
        user,
        item,
        feedback: hasher.feedback(feedback),
    };
    [
        user,
        item,
        hasher.pair(user, item),
        hasher.typed_pair(typed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_key_kind_and_id() {
        let (one, other) = (SecretKey::random(), SecretKey::random());
        let (one, other) = (IdHasher::new(&one), IdHasher::new(&other));
        let user = UserId::new("ada").expect("an id");
        let item = ItemId::new("ada").expect("an id");
        assert_eq!(one.user(&user), one.clone().user(&user));
        assert_ne!(one.user(&user), other.user(&user));
        assert_ne!(one.user(&user), one.item(&item));
        let (user, item) = (one.user(&user), one.item(&item));
        assert_ne!(one.pair(user, item), one.pair(item, user));
    }
}
