//! Keys of entries, which only ever go forward.
//!
//! ```text
//! body key of entry n  = HKDF-SHA-256(K_e, "recant log entry" ‖ n)
//! K_{e+1}              = HKDF-SHA-256(K_e, "recant log next")
//! ```
//!
//! The epoch e grows after an entry that erases, and after [`ENTRIES_PER_EPOCH`] others. A node keeps K_e
//! alone, and writes K_{e+1} over it in the sync that destroys the keys of whom the entry erases. So
//! whoever has all that the nodes have after an erasure opens no entry up to it, whatever the engine
//! keeps of them. HKDF is RFC 5869.
//!
//! Keys that are derived from one another are a *series*. A node that was removed could derive all that follow, so
//! the nodes that stay begin another series then, with a [`FreshKey`] that they hand one another beside the log.

use std::fmt;

use hkdf::Hkdf;
use rand::RngCore;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// Entries after which the epoch grows, whatever they say.
pub const ENTRIES_PER_EPOCH: u64 = 1_024;

/// The key of an epoch. Its memory is overwritten when it is dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Ratchet {
    series: u64,
    epoch: u64,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl Ratchet {
    /// The key of `epoch` in a series, as it is kept.
    pub fn new(series: u64, epoch: u64, key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { series, epoch, key }
    }

    /// Which series it is of: 0 for the one that the log began with, and one more for each that took its place.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// Which epoch it is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key, to be kept in a key ring and nowhere else.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    /// The key of the body of entry `number`.
    pub(crate) fn body_key(&self, number: u64) -> Zeroizing<[u8; KEY_BYTES]> {
        let number = number.to_le_bytes();
        derive(&self.key, &[b"recant log entry", &number])
    }

    /// The key of the epoch after it, in the same series. From that one there is no way back.
    pub fn next(&self) -> Self {
        Self {
            series: self.series,
            epoch: self.epoch + 1,
            key: derive(&self.key, &[b"recant log next"]),
        }
    }

    /// The key of `epoch` in the same series; `None` when that is over already.
    pub fn at(&self, epoch: u64) -> Option<Self> {
        let mut key = (epoch >= self.epoch).then(|| self.clone())?;
        while key.epoch < epoch {
            key = key.next();
        }
        Some(key)
    }
}

fn derive(key: &[u8; KEY_BYTES], info: &[&[u8]]) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    Hkdf::<Sha256>::new(None, key)
        .expand_multi_info(info, &mut *derived)
        .expect("32 bytes are fewer than HKDF gives");
    derived
}

/// The first key of a series, made by a leader and kept by every node before the log says that it is the one. Its
/// memory is overwritten when it is dropped, and `Debug` shows its name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct FreshKey(Zeroizing<[u8; KEY_BYTES]>);

/// What a [`FreshKey`] goes by in the log, derived from it: who does not have the key learns nothing of it by that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FreshKeyName([u8; 16]);

impl FreshKey {
    /// One that nobody has.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::rng().fill_bytes(&mut *key);
        Self(key)
    }

    /// As it was kept.
    pub fn new(key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(key)
    }

    /// It as the first key of a series, for an epoch. From no key before is there a way there.
    pub fn begin(&self, series: u64, epoch: u64) -> Ratchet {
        Ratchet::new(series, epoch, self.0.clone())
    }

    /// What it goes by.
    pub fn name(&self) -> FreshKeyName {
        let derived = derive(&self.0, &[b"recant log key name"]);
        let name = derived.first_chunk().expect("it is longer");
        FreshKeyName(*name)
    }

    /// The key, to be kept in a key ring and nowhere else.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for FreshKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FreshKey").field(&self.name()).finish()
    }
}

/// All of it, for the message by which a leader hands it to another node.
impl Serialize for FreshKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FreshKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Zeroizing::new(Deserialize::deserialize(
            deserializer,
        )?)))
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ratchet")
            .field("series", &self.series)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratchet_goes_forward_alone_and_every_key_is_another() {
        let first = Ratchet::new(0, 0, Zeroizing::new([7; KEY_BYTES]));
        let third = first.at(3).expect("ahead");
        assert_eq!(third.epoch(), 3);
        assert_eq!(third.expose(), first.next().next().next().expose());
        assert!(third.at(2).is_none());
        let keys = [
            first.body_key(1),
            first.body_key(2),
            third.body_key(1),
            third.key.clone(),
            first.key.clone(),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(keys[..place].iter().all(|other| other != key));
        }
        assert!(!format!("{first:?}").contains('7'), "{first:?}");
    }

    #[test]
    fn another_series_begins_with_a_key_of_its_own() {
        let first = Ratchet::new(0, 4, Zeroizing::new([7; KEY_BYTES]));
        let fresh = FreshKey::random();
        let other = fresh.begin(1, 5);
        assert_eq!((other.series(), other.epoch()), (1, 5));
        assert_eq!(other.expose(), fresh.expose());
        assert_ne!(other.expose(), first.next().expose());
        assert_eq!(other.next().series(), 1);

        assert_ne!(fresh.name(), FreshKey::random().name());
        assert_eq!(
            FreshKey::new(Zeroizing::new(*fresh.expose())).name(),
            fresh.name()
        );
        let written = postcard::to_stdvec(&fresh).expect("plain data");
        let read: FreshKey = postcard::from_bytes(&written).expect("what was written");
        assert_eq!(read, fresh);
        let shown = format!("{:?}", FreshKey::new(Zeroizing::new([7; KEY_BYTES])));
        assert!(!shown.contains("7, 7"), "{shown}");
    }
}
