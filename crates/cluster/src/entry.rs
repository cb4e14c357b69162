//! One entry of the log: an envelope that anybody may read, and a sealed body.
//!
//! The envelope names no person and counts none. It says which entry comes before, by number and by
//! hash, so that what counts is decided by the entries themselves and not by the engine.

use std::fmt;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ratchet::{FreshKeyName, Ratchet};
use super::version::Version;

/// The form of entries that this program writes and reads.
const FORMAT: u8 = 1;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// The name of a node, unique in its cluster and lasting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub String);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where other nodes reach a node: the beginning of a URL, as `https://n1.internal:8081`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address(pub String);

/// One life of a node: started again, and run from a copy of its directory, it has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId {
    /// How often its directory was started, this time included. A copy begins with the same count.
    pub life: u64,
    /// Of this process alone.
    pub process: Uuid,
}

/// One life of a log. A log that was made anew has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation(pub Uuid);

/// SHA-256 of an entry as it lies in the log.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryHash([u8; 32]);

impl EntryHash {
    /// What comes before the first entry.
    pub const NONE: Self = Self([0; 32]);

    /// Of the bytes of an entry.
    pub fn of(payload: &[u8]) -> Self {
        Self(Sha256::digest(payload).into())
    }
}

/// In hexadecimal, all of it.
impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What anybody may read of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    format: u8,
    /// Of which log.
    pub incarnation: Incarnation,
    /// Who leads the term appended it.
    pub term: u64,
    /// One more than that of the entry before, whatever sequence the engine gives it.
    pub number: u64,
    /// The entry before.
    pub previous: EntryHash,
    /// Which key the body is sealed under.
    pub epoch: u64,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A node leads the term of this entry.
    Lead {
        /// Which.
        node: NodeId,
        /// Which life of it.
        boot: BootId,
        /// Where it is reached.
        address: Address,
        /// The public key that it signs with, as others are shown it: opaque here.
        signing: Vec<u8>,
        /// Whether it may lead.
        is_candidate: bool,
    },
    /// Nothing else was to be said: the leader is there.
    Beat,
    /// What the leader accepted and decided.
    Group(Group),
    /// Who is waited for.
    Member {
        /// Which node.
        node: NodeId,
        /// What becomes of it.
        change: Change,
    },
    /// What nodes hold of this part, with everything before this entry, is compared.
    Check(Slice),
    /// The next entries are sealed under a series of keys that begins with this one, which every node has that was
    /// not removed. The body itself is sealed under the keys before.
    Rekey(FreshKeyName),
}

/// A part of what stores hold: what has the same first bits in its keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// How many bits, 16 at most; with 0 it is everything.
    pub bits: u8,
    /// These bits.
    pub number: u32,
}

/// Requests that were accepted together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What every store does for each of the requests, decided once by the leader, in the store's own form.
    pub decided: Vec<Vec<u8>>,
    /// Whether something is erased by it.
    pub erases: bool,
    /// The newest version that it says something about: every node that may answer readers has it, or a later
    /// one, and no node without it will be granted a lease any more.
    pub everywhere: Option<Version>,
    /// Nodes that were away, of which it says that they owe nothing up to these entries.
    pub settled: Vec<(NodeId, u64)>,
    /// Every node that is waited for has applied this entry, as far as the leader knows.
    pub confirmed: u64,
}

/// A group, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedGroup {
    /// The term of its entry.
    pub term: u64,
    /// The number of its entry.
    pub number: u64,
    /// What it says.
    pub group: Group,
}

/// What becomes of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It is waited for from this entry on.
    Joined {
        /// Which life of it.
        boot: BootId,
        /// Where it is reached.
        address: Address,
        /// The public key that it signs with, as others are shown it: opaque here.
        signing: Vec<u8>,
        /// Whether it may lead.
        is_candidate: bool,
        /// The last entry that it had applied when it asked.
        applied: u64,
    },
    /// It holds no lease, and is not waited for.
    Out {
        /// The last entry that it is known to have applied.
        applied: u64,
    },
    /// An operator took it out for good: no node of this name joins or leads any more. A machine that is to come
    /// back does so as another node, under a new name and with an empty directory.
    Removed {
        /// Whether the operator says that its disk is destroyed.
        attested: bool,
        /// The last entry that it is known to have applied.
        applied: u64,
    },
}

/// An entry that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It is no entry, or was damaged.
    #[error("an entry of the log is damaged")]
    Damaged,
    /// A newer program wrote it.
    #[error("an entry of the log has format {0}, this program reads {FORMAT}: upgrade it")]
    Format(u8),
    /// Its key is gone, or it was changed.
    #[error("an entry of the log does not open")]
    Unopened,
}

/// Where an entry is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In which log.
    pub incarnation: Incarnation,
    /// In which term.
    pub term: u64,
    /// Its number.
    pub number: u64,
    /// The entry before.
    pub previous: EntryHash,
}

/// An entry with its body sealed.
pub fn seal_entry(place: Place, body: &Body, key: &Ratchet) -> Vec<u8> {
    let envelope = Envelope {
        format: FORMAT,
        incarnation: place.incarnation,
        term: place.term,
        number: place.number,
        previous: place.previous,
        epoch: key.epoch(),
    };
    let mut payload = postcard::to_stdvec(&envelope).expect("plain data has a form");
    let mut sealed = postcard::to_stdvec(body).expect("plain data has a form");
    let mut nonce = [0; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let tag = cipher(key, envelope.number)
        .encrypt_in_place_detached(&XNonce::from(nonce), &payload, &mut sealed)
        .expect("an entry is shorter than the cipher allows");
    payload.extend(nonce);
    payload.extend(sealed);
    payload.extend(tag);
    payload
}

/// The envelope of an entry, and where its sealed body begins.
pub(crate) fn envelope(payload: &[u8]) -> Result<(Envelope, usize), EntryError> {
    if let Some(&format) = payload.first()
        && format != FORMAT
    {
        return Err(EntryError::Format(format));
    }
    let taken = postcard::take_from_bytes::<Envelope>(payload);
    let (envelope, rest) = taken.map_err(|_| EntryError::Damaged)?;
    Ok((envelope, payload.len() - rest.len()))
}

/// The envelope and the body of an entry; `key` is of its epoch.
pub fn open_entry(payload: &[u8], key: &Ratchet) -> Result<(Envelope, Body), EntryError> {
    let (envelope, at) = envelope(payload)?;
    if envelope.epoch != key.epoch() {
        return Err(EntryError::Unopened);
    }
    let (associated, sealed) = payload.split_at(at);
    let nonce = sealed.first_chunk::<NONCE_BYTES>();
    let tag = sealed.last_chunk::<TAG_BYTES>();
    let (Some(nonce), Some(tag), true) = (nonce, tag, sealed.len() >= NONCE_BYTES + TAG_BYTES)
    else {
        return Err(EntryError::Damaged);
    };
    let mut body = sealed[NONCE_BYTES..sealed.len() - TAG_BYTES].to_vec();
    cipher(key, envelope.number)
        .decrypt_in_place_detached(
            &XNonce::from(*nonce),
            associated,
            &mut body,
            &Tag::from(*tag),
        )
        .map_err(|_| EntryError::Unopened)?;
    let body = postcard::from_bytes(&body).map_err(|_| EntryError::Damaged)?;
    Ok((envelope, body))
}

fn cipher(key: &Ratchet, number: u64) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*key.body_key(number)).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn key(epoch: u64) -> Ratchet {
        Ratchet::new(0, 0, Zeroizing::new([3; 32]))
            .at(epoch)
            .expect("ahead")
    }

    fn sealed(decided: &[u8], epoch: u64) -> Vec<u8> {
        let body = Body::Group(Group {
            decided: vec![decided.to_vec()],
            erases: true,
            everywhere: None,
            settled: Vec::new(),
            confirmed: 0,
        });
        let place = Place {
            incarnation: Incarnation(Uuid::from_u128(1)),
            term: 4,
            number: 1,
            previous: EntryHash::NONE,
        };
        seal_entry(place, &body, &key(epoch))
    }

    #[test]
    fn an_entry_opens_with_the_key_of_its_epoch_alone() {
        let entry = sealed(b"ada", 2);
        let (envelope, body) = open_entry(&entry, &key(2)).expect("whole");
        assert_eq!((envelope.term, envelope.number, envelope.epoch), (4, 1, 2));
        assert!(matches!(body, Body::Group(group) if group.decided == [b"ada"] && group.erases));
        assert_eq!(open_entry(&entry, &key(3)), Err(EntryError::Unopened));
        assert!(!entry.windows(3).any(|window| window == b"ada"));
        let mut newer = entry;
        newer[0] = 2;
        assert_eq!(open_entry(&newer, &key(2)), Err(EntryError::Format(2)));
    }

    proptest! {
        /// An entry that was cut or changed anywhere is refused, whatever bytes it is.
        #[test]
        fn a_damaged_entry_is_refused(decided: Vec<u8>, at: prop::sample::Index, bit in 0u8..8, cut: bool) {
            let mut entry = sealed(&decided, 0);
            let at = at.index(entry.len());
            if cut {
                entry.truncate(at);
            } else {
                entry[at] ^= 1 << bit;
            }
            prop_assert!(open_entry(&entry, &key(0)).is_err());
        }
    }
}
