//! A salted commitment to what an erasure names.
//!
//! `HMAC-SHA-256(salt, message)` (RFC 2104), where the salt is 32 random bytes and the message is
//! the encoding below. Without the salt nothing can be learnt from it, not even by trying every id
//! there is; with the salt nobody can claim that it was about something else, short of a collision
//! of SHA-256.
//!
//! The message is a sequence of fields. A field is the length of its bytes as u32, big endian,
//! followed by the bytes, so that no two sequences share an encoding:
//!
//! 1. `recant erasure commitment 1`
//! 2. the kind: `pairs`, `typed_pairs`, `user`, `item`, `several`, `several_typed` or `restriction`
//! 3. for `user` and `item` the id; for `pairs` the user and the item of each pair in turn, the
//!    pairs sorted by the bytes of the user, then of the item, and each named once; for
//!    `typed_pairs` the user, the item and the name of the type of feedback, in the same way; for
//!    `several` the number of users as u32, big endian, and the users, the number of items and the
//!    items, and then the pairs as for `pairs`, users and items too sorted by their bytes and each
//!    named once; for `several_typed` users and items likewise, the number of pairs and the pairs,
//!    and then the typed pairs as for `typed_pairs`; for `restriction` the number of users and the
//!    users as for `several`.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;
use zeroize::Zeroize;

use super::text;
use recant_types::{Commitment, ErasureTarget, ItemId, TargetKind, TypedPair, UserId};

/// First field of every message: what the commitment is for, and how it is made.
const DOMAIN: &[u8] = b"recant erasure commitment 1";

/// Bytes of a salt.
const SALT_BYTES: usize = 32;

/// What opens a commitment. It goes to the requester in the answer to the request and is kept
/// nowhere; `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt([u8; SALT_BYTES]);

impl Salt {
    /// A fresh salt, from the system's source of randomness.
    pub fn generate() -> Self {
        let mut bytes = [0; SALT_BYTES];
        OsRng
            .try_fill_bytes(&mut bytes)
            .expect("the system has randomness");
        Self(bytes)
    }

    /// The salt of these bytes.
    pub fn from_bytes(bytes: [u8; SALT_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; `None` when it is not 32 bytes of base64url.
    pub fn parse(text: &str) -> Option<Self> {
        text::decode_array(text).map(Self)
    }

    /// The text form, base64url. For the requester alone: do not log it.
    pub fn expose(&self) -> String {
        text::encode(&self.0)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(redacted)")
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The commitment to `target` under `salt`. The order of pairs and repetitions do not matter.
pub fn commit(salt: &Salt, target: &ErasureTarget) -> Commitment {
    let mut message = Message::new(salt);
    message.field(DOMAIN);
    message.field(TargetKind::from(target).as_str().as_bytes());
    match target {
        ErasureTarget::User(user) => message.field(user.expose().as_bytes()),
        ErasureTarget::Item(item) => message.field(item.expose().as_bytes()),
        ErasureTarget::Pairs(pairs) => message.pairs(pairs.iter().collect()),
        ErasureTarget::TypedPairs(pairs) => message.typed_pairs(pairs),
        ErasureTarget::Several(names) => {
            message.ids(names.users.iter().map(UserId::expose));
            message.ids(names.items.iter().map(ItemId::expose));
            let pairs: BTreeSet<_> = names.pairs.iter().collect();
            if !names.typed_pairs.is_empty() {
                message.count(pairs.len());
            }
            message.pairs(pairs);
            message.typed_pairs(&names.typed_pairs);
        }
        ErasureTarget::Restriction(users) => message.ids(users.iter().map(UserId::expose)),
    }
    Commitment(message.0.finalize().into_bytes().into())
}

struct Message(Hmac<Sha256>);

impl Message {
    fn new(salt: &Salt) -> Self {
        Self(Hmac::new_from_slice(&salt.0).expect("HMAC takes keys of any length"))
    }

    /// How many different ids there are, and each of them once.
    fn ids<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        let ids: BTreeSet<&str> = ids.collect();
        self.count(ids.len());
        ids.into_iter().for_each(|id| self.field(id.as_bytes()));
    }

    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a request is short");
        self.field(&count.to_be_bytes());
    }

    /// Each pair once. Ids order as their bytes do.
    fn pairs(&mut self, pairs: BTreeSet<&(UserId, ItemId)>) {
        for (user, item) in pairs {
            self.field(user.expose().as_bytes());
            self.field(item.expose().as_bytes());
        }
    }

    /// Each of them once, in the order of user, item and type.
    fn typed_pairs(&mut self, pairs: &[TypedPair]) {
        for pair in pairs.iter().collect::<BTreeSet<_>>() {
            self.field(pair.user.expose().as_bytes());
            self.field(pair.item.expose().as_bytes());
            self.field(pair.feedback.as_str().as_bytes());
        }
    }

    fn field(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("ids are short");
        self.0.update(&length.to_be_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use recant_types::{FeedbackType, Names};

    fn pair(user: &str, item: &str) -> (UserId, ItemId) {
        let user = UserId::new(user).expect("an id");
        (user, ItemId::new(item).expect("an id"))
    }

    fn typed(user: &str, item: &str, feedback: &str) -> TypedPair {
        let (user, item) = pair(user, item);
        let feedback = FeedbackType::new(feedback).expect("a name");
        TypedPair {
            user,
            item,
            feedback,
        }
    }

    fn pairs(named: &[(&str, &str)]) -> ErasureTarget {
        let pairs = named.iter().map(|(user, item)| pair(user, item));
        ErasureTarget::Pairs(pairs.collect())
    }

    fn restriction(ids: &[&str]) -> ErasureTarget {
        let users = ids.iter().map(|id| UserId::new(id).expect("an id"));
        ErasureTarget::Restriction(users.collect())
    }

    fn user(id: &str) -> ErasureTarget {
        ErasureTarget::User(UserId::new(id).expect("an id"))
    }

    fn item(id: &str) -> ErasureTarget {
        ErasureTarget::Item(ItemId::new(id).expect("an id"))
    }

    /// Computed with Python's hmac module from the definition above.
    #[test]
    fn the_definition_is_what_is_computed() {
        let salt = Salt::from_bytes(std::array::from_fn(|place| place as u8));
        for (target, expected) in [
            (user("ada"), "jbCb3QNXfGSXzYI9sorqOh5tK2uVJRq6nNH0OFuNnxI"),
            (item("dune"), "hCgcgR-2TK9MDsatO4tJNOYdL6ywM9IDgkID91lJ82E"),
            (
                pairs(&[("bob", "x"), ("ada", "y"), ("ada", "x"), ("ada", "y")]),
                "zITgoF3NU-akt_4XzRjltK8agz_4UDwEJzbpYuCn74c",
            ),
            (
                ErasureTarget::TypedPairs(vec![
                    typed("bob", "x", "view"),
                    typed("ada", "x", "view"),
                    typed("bob", "x", "like"),
                    typed("ada", "x", "view"),
                ]),
                "a2DDFWhOND2mw0KzhRgLeWtePtJrEnWKTNCYsafL91Q",
            ),
            (
                ErasureTarget::Several(Names {
                    users: vec![UserId::new("eve").expect("an id")],
                    pairs: vec![pair("bob", "y")],
                    typed_pairs: vec![typed("ada", "x", "view")],
                    ..Names::default()
                }),
                "RNQstfOdVm0vghU_oVAupZd8u0c4UZdCXQ4MkT8ithg",
            ),
            (
                restriction(&["bob", "ada", "bob"]),
                "ljXjDNDxhbeJVUaOokw6apGaJXrll4jotMzWvXDe8Ao",
            ),
        ] {
            assert_eq!(text::encode(&commit(&salt, &target).0), expected);
        }
    }

    #[test]
    fn kinds_boundaries_and_salts_tell_apart() {
        let (salt, other) = (Salt::generate(), Salt::generate());
        let targets = [
            user("a"),
            restriction(&["a"]),
            item("a"),
            pairs(&[("a", "b")]),
            pairs(&[("ab", "c")]),
            pairs(&[("a", "bc")]),
            pairs(&[("a", "b"), ("c", "d")]),
            pairs(&[("a", "bc"), ("d", "e")]),
        ];
        let mut seen = BTreeSet::new();
        for target in &targets {
            assert!(seen.insert(commit(&salt, target).0), "{target:?}");
            assert!(seen.insert(commit(&other, target).0), "{target:?}");
        }
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(
            named in prop::collection::vec(("[a-c]{1,2}", "[x-z]{1,2}"), 1..12),
            turn in 0usize..12,
        ) {
            let named: Vec<(&str, &str)> = named.iter().map(|(u, i)| (&u[..], &i[..])).collect();
            let mut other = named.clone();
            other.rotate_left(turn % named.len());
            other.push(named[turn % named.len()]);
            let salt = Salt::from_bytes([7; SALT_BYTES]);
            prop_assert_eq!(commit(&salt, &pairs(&named)), commit(&salt, &pairs(&other)));
        }
    }

    #[test]
    fn a_salt_survives_text_and_is_not_shown() {
        let salt = Salt::generate();
        assert_eq!(Salt::parse(&salt.expose()), Some(salt.clone()));
        assert_eq!(Salt::parse("AQ"), None);
        assert!(!format!("{salt:?}").contains(&salt.expose()));
    }

    #[test]
    fn several_names_commit_to_which_is_what() {
        let names = |users: &[&str], items: &[&str], named: &[(&str, &str)]| {
            let ErasureTarget::Pairs(pairs) = pairs(named) else {
                unreachable!("they are pairs")
            };
            ErasureTarget::Several(Names {
                users: users
                    .iter()
                    .map(|id| UserId::new(id).expect("an id"))
                    .collect(),
                items: items
                    .iter()
                    .map(|id| ItemId::new(id).expect("an id"))
                    .collect(),
                pairs,
                typed_pairs: Vec::new(),
            })
        };
        let salt = Salt::from_bytes([1; SALT_BYTES]);
        let one = commit(&salt, &names(&["a", "b"], &["c"], &[("d", "e")]));
        let same = commit(&salt, &names(&["b", "a", "b"], &["c", "c"], &[("d", "e")]));
        assert_eq!(one, same, "neither order nor repetition matters");
        for other in [
            names(&["a"], &["b", "c"], &[("d", "e")]),
            names(&["a", "b"], &["c", "d", "e"], &[]),
            names(&["a", "b", "c"], &[], &[("d", "e")]),
            names(&["a", "b"], &["c"], &[("e", "d")]),
        ] {
            assert_ne!(commit(&salt, &other), one);
        }
    }
}
