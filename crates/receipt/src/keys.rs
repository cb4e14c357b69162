//! The key that receipts are signed with, and keys as they are published.

use std::fmt;

use ed25519_dalek::{Signer, VerifyingKey};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::commitment::Salt;
use super::text;
use recant_types::ErasureId;

/// Bytes of the seed that a signing key is made of (RFC 8032, section 5.1.5).
const SEED_BYTES: usize = 32;

/// First bytes of the message that a salt is derived from.
const SALT_DOMAIN: &[u8] = b"recant receipt salt 1";

/// The secret key of a service's receipts. It is wiped from memory when dropped, and `Debug`
/// shows the id of the public key alone.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    id: String,
}

impl SigningKey {
    /// The key made of `seed`.
    pub fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let id = Jwk::new(&key.verifying_key()).kid;
        Self { key, id }
    }

    /// The id of the key: see [`Jwk::kid`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half.
    pub fn public(&self) -> Jwk {
        Jwk::new(&self.key.verifying_key())
    }

    /// Signs `message` with Ed25519.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The salt of an erasure that was requested under an idempotency key: whoever repeats the
    /// request with the key is given the same salt, although it is kept nowhere.
    ///
    /// HMAC-SHA-256 with the seed as key, over a fixed text, the id of the erasure and the
    /// idempotency key.
    pub fn salt_for(&self, id: ErasureId, idempotency_key: &str) -> Salt {
        let mut hmac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes())
            .expect("HMAC takes keys of any length");
        hmac.update(SALT_DOMAIN);
        hmac.update(id.as_bytes());
        hmac.update(idempotency_key.as_bytes());
        Salt::from_bytes(hmac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish()
    }
}

/// A public key as JSON (RFC 7517; RFC 8037 for Ed25519).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP`: the family of keys.
    pub kty: String,
    /// `Ed25519`: the curve.
    pub crv: String,
    /// The point, base64url.
    pub x: String,
    /// The thumbprint of the key (RFC 7638), base64url of SHA-256.
    #[serde(default)]
    pub kid: String,
    /// `EdDSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
}

impl Jwk {
    fn new(key: &VerifyingKey) -> Self {
        let x = text::encode(key.as_bytes());
        Self {
            kty: String::from("OKP"),
            crv: String::from("Ed25519"),
            kid: thumbprint(&x),
            x,
            alg: Some(String::from("EdDSA")),
            purpose: Some(String::from("sig")),
        }
    }

    /// The key to check signatures with; `None` when this is no Ed25519 key.
    pub(super) fn verifying_key(&self) -> Option<VerifyingKey> {
        if self.kty != "OKP" || self.crv != "Ed25519" {
            return None;
        }
        VerifyingKey::from_bytes(&text::decode_array(&self.x)?).ok()
    }
}

/// RFC 7638, with the members that RFC 8037 names for this family, in their order.
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    text::encode(&Sha256::digest(members))
}

/// Public keys, as `/.well-known/jwks.json` shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The current key first, then those that signed before it.
    pub keys: Vec<Jwk>,
}

impl JwkSet {
    /// The key whose thumbprint is `id`. The thumbprint is computed from the key, whatever the
    /// set claims it to be.
    pub fn find(&self, id: &str) -> Option<&Jwk> {
        self.keys
            .iter()
            .find(|key| key.verifying_key().is_some() && thumbprint(&key.x) == id)
    }

    /// Makes `key` the first of the set.
    pub fn put_first(&mut self, key: Jwk) {
        self.keys.retain(|known| known.x != key.x);
        self.keys.insert(0, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the thumbprint of RFC 8037, appendices A.1 to A.3.
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        let seed = text::decode_array("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let key = SigningKey::from_seed(&seed.expect("32 bytes"));
        let public = key.public();
        assert_eq!(public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(public.kid, key.id());
    }

    #[test]
    fn a_set_finds_keys_by_what_they_are() {
        let key = SigningKey::from_seed(&[1; SEED_BYTES]);
        let other = SigningKey::from_seed(&[2; SEED_BYTES]);
        let mut set = JwkSet::default();
        set.put_first(key.public());
        set.put_first(other.public());
        set.put_first(key.public());
        assert_eq!(set.keys, [key.public(), other.public()]);
        assert_eq!(set.find(other.id()), Some(&other.public()));
        // A key under the name of another one is not found by that name.
        set.keys[1].kid = key.id().to_owned();
        set.keys.remove(0);
        assert_eq!(set.find(key.id()), None);
        assert_eq!(
            set.find(other.id()).map(|key| &key.x),
            Some(&other.public().x)
        );
    }

    #[test]
    fn a_salt_depends_on_all_three() {
        let (one, two) = (
            SigningKey::from_seed(&[1; SEED_BYTES]),
            SigningKey::from_seed(&[2; SEED_BYTES]),
        );
        let (a, b) = (
            ErasureId::from_bytes([1; 16]),
            ErasureId::from_bytes([2; 16]),
        );
        let salt = one.salt_for(a, "k");
        assert_eq!(salt, one.salt_for(a, "k"));
        for other in [
            one.salt_for(b, "k"),
            one.salt_for(a, "l"),
            two.salt_for(a, "k"),
        ] {
            assert_ne!(salt, other);
        }
    }

    #[test]
    fn a_key_shows_nothing_secret() {
        let key = SigningKey::from_seed(&[7; SEED_BYTES]);
        let shown = format!("{key:?}");
        assert!(
            shown.contains(key.id()) && !shown.contains("7, 7"),
            "{shown}"
        );
    }
}
