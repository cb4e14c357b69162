//! Sealing: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random nonces.
//!
//! A sealed text is the nonce (24 bytes), the ciphertext (as long as the plaintext) and the tag
//! (16 bytes). What it belongs to is associated data: a text that was moved, cut or changed does
//! not open. 24 random bytes do not repeat in practice, so a key may seal any number of texts.

use std::fmt;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::{RngCore, TryRngCore};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 24;

/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Bytes that a sealed text has more than the plain one.
pub(crate) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// A text did not open: wrong key, wrong place, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed text does not open")]
pub(crate) struct Unopened;

/// A key of 32 bytes. Its memory is overwritten when it is dropped; `Debug` never shows it.
#[derive(Clone)]
pub(crate) struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// A new key from the system's random source.
    pub(crate) fn random() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::rngs::OsRng
            .try_fill_bytes(&mut *bytes)
            .expect("the system's random source works");
        Self(bytes)
    }

    /// The key made of these bytes.
    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// The bytes of the key. Do not log them, and do not copy them into memory that stays.
    pub(crate) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }

    /// Appends `payload`, sealed under a random nonce, to `into`.
    pub(crate) fn seal_into(&self, associated: &[u8], payload: &[u8], into: &mut Vec<u8>) {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        into.extend_from_slice(&nonce);
        let start = into.len();
        into.extend_from_slice(payload);
        let tag = self.seal_in_place(&nonce, associated, &mut into[start..]);
        into.extend_from_slice(&tag);
    }

    /// `payload` sealed under a random nonce.
    pub(crate) fn seal(&self, associated: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(payload.len() + SEAL_BYTES);
        self.seal_into(associated, payload, &mut sealed);
        sealed
    }

    /// The plaintext of what [`SecretKey::seal`] made with the same associated data.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Unopened)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Unopened)?;
        let mut payload = text.to_vec();
        self.open_in_place(nonce, associated, &mut payload, tag)?;
        Ok(payload)
    }

    /// Seals a text in place under a nonce that this key has never seen; returns the tag.
    pub(crate) fn seal_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        text: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        self.cipher()
            .encrypt_in_place_detached(XNonce::from_slice(nonce), associated, text)
            .expect("a text far shorter than 2^38 bytes")
            .into()
    }

    /// Opens a text in place; it is unspecified after an error.
    pub(crate) fn open_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Unopened> {
        self.cipher()
            .decrypt_in_place_detached(
                XNonce::from_slice(nonce),
                associated,
                text,
                Tag::from_slice(tag),
            )
            .map_err(|_| Unopened)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_nothing_else_does(
            associated in prop::collection::vec(any::<u8>(), 0..40),
            payload in prop::collection::vec(any::<u8>(), 0..300),
            bit in any::<prop::sample::Index>(),
        ) {
            let key = SecretKey::random();
            let mut sealed = key.seal(&associated, &payload);
            prop_assert_eq!(sealed.len(), payload.len() + SEAL_BYTES);
            prop_assert_eq!(key.open(&associated, &sealed).expect("intact"), payload.clone());
            prop_assert!(SecretKey::random().open(&associated, &sealed).is_err());
            let mut other = associated.clone();
            other.push(0);
            prop_assert!(key.open(&other, &sealed).is_err());
            prop_assert!(key.open(&associated, &sealed[..sealed.len() - 1]).is_err());
            prop_assert_ne!(key.seal(&associated, &payload), sealed.clone());
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(key.open(&associated, &sealed).is_err());
        }
    }

    /// The example of draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_example_of_the_draft() {
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let key: [u8; 32] = key.try_into().expect("32 bytes");
        let nonce: Vec<u8> = (0x40..=0x57).collect();
        let nonce: [u8; 24] = nonce.try_into().expect("24 bytes");
        let associated = [
            0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
        ];
        let mut text = *b"Ladies and Gentlemen of the class of '99: If I could offer you only \
                          one tip for the future, sunscreen would be it.";
        let key = SecretKey::from_bytes(Zeroizing::new(key));
        let tag = key.seal_in_place(&nonce, &associated, &mut text);
        assert_eq!(text[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
        let expected = [
            0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a,
            0xcf, 0x49,
        ];
        assert_eq!(tag, expected);
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(format!("{:?}", SecretKey::random()), "SecretKey(redacted)");
    }
}
