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

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// Entries after which the epoch grows, whatever they say.
pub const ENTRIES_PER_EPOCH: u64 = 1_024;

/// The key of an epoch. Its memory is overwritten when it is dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Ratchet {
    epoch: u64,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl Ratchet {
    /// The key of `epoch`, as it is kept.
    pub fn new(epoch: u64, key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { epoch, key }
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
        self.derive(&[b"recant log entry", &number])
    }

    /// The key of the epoch after it. From that one there is no way back.
    pub fn next(&self) -> Self {
        Self {
            epoch: self.epoch + 1,
            key: self.derive(&[b"recant log next"]),
        }
    }

    /// The key of `epoch`; `None` when that is over already.
    pub fn at(&self, epoch: u64) -> Option<Self> {
        let mut key = (epoch >= self.epoch).then(|| self.clone())?;
        while key.epoch < epoch {
            key = key.next();
        }
        Some(key)
    }

    fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut derived = Zeroizing::new([0; KEY_BYTES]);
        Hkdf::<Sha256>::new(None, &*self.key)
            .expand_multi_info(info, &mut *derived)
            .expect("32 bytes are fewer than HKDF gives");
        derived
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ratchet")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratchet_goes_forward_alone_and_every_key_is_another() {
        let first = Ratchet::new(0, Zeroizing::new([7; KEY_BYTES]));
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
}
