//! Keyed hashes: how the store recognises an id without holding it.
//!
//! HMAC-SHA-256 (RFC 2104) under a key of the key ring, cut to 16 bytes. Without that key a hash
//! cannot be compared with guessed ids.

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::seal::SecretKey;
use recant_types::{ErasureTarget, ItemId, UserId};

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

    /// All 32 bytes of the hash of a digest.
    pub fn digest(&self, digest: &[u8; 32]) -> [u8; 32] {
        let mut state = self.0.clone();
        state.update(b"d");
        state.update(digest);
        state.finalize().into_bytes().into()
    }

    /// What a target names.
    pub fn named(&self, target: &ErasureTarget) -> Named {
        match target {
            ErasureTarget::User(user) => Named::User(self.user(user)),
            ErasureTarget::Item(item) => Named::Item(self.item(item)),
            ErasureTarget::Pairs(pairs) => {
                let hashes = pairs
                    .iter()
                    .map(|(user, item)| (self.user(user), self.item(item)));
                Named::Pairs(hashes.collect())
            }
        }
    }
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
