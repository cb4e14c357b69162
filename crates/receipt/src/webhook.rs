//! Signatures of webhooks, in the form of Standard Webhooks 1.0: `v1a`, Ed25519.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of the seed that a signing key is made of (RFC 8032, section 5.1.5).
const SEED_BYTES: usize = 32;

/// First bytes of the message that the key of an endpoint is derived from.
const KEY_DOMAIN: &[u8] = b"recant webhook key 1";

/// What a public key begins with as text.
const PUBLIC_PREFIX: &str = "whpk_";

/// What a signature begins with.
const SIGNATURE_PREFIX: &str = "v1a,";

/// The secret key that the webhooks of one endpoint are signed with. It is wiped from memory when dropped,
/// and `Debug` shows the public key alone.
pub struct WebhookKey(ed25519_dalek::SigningKey);

impl WebhookKey {
    /// The key made of `seed`.
    pub fn from_seed(seed: &[u8; SEED_BYTES]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The key of the endpoint of this name. Each has one of its own, so that what one receiver was sent
    /// cannot be passed on to another as sent to it: HMAC-SHA-256 with `root` as key, over a fixed text and
    /// the name.
    pub fn of_endpoint(root: &[u8; SEED_BYTES], name: &str) -> Self {
        let mut hmac = Hmac::<Sha256>::new_from_slice(root).expect("HMAC takes keys of any length");
        hmac.update(KEY_DOMAIN);
        hmac.update(name.as_bytes());
        let seed: Zeroizing<[u8; SEED_BYTES]> = Zeroizing::new(hmac.finalize().into_bytes().into());
        Self::from_seed(&seed)
    }

    /// The public half.
    pub fn public(&self) -> WebhookPublicKey {
        WebhookPublicKey(self.0.verifying_key())
    }

    /// The signature of a message: `v1a,` and base64. `id` is what receivers know the message by and has no
    /// full stop in it, `timestamp` the time of this attempt in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signature = self.0.sign(&signed(id, timestamp, body));
        format!(
            "{SIGNATURE_PREFIX}{}",
            STANDARD.encode(signature.to_bytes())
        )
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookKey")
            .field(&self.public().to_string())
            .finish()
    }
}

/// The key that a receiver checks webhooks with. Its text form is `whpk_` and base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookPublicKey(VerifyingKey);

impl WebhookPublicKey {
    /// Reads the text form; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PUBLIC_PREFIX)?).ok()?;
        let bytes = bytes.try_into().ok()?;
        VerifyingKey::from_bytes(&bytes).ok().map(Self)
    }

    /// Whether one of `signatures`, the value of the header `webhook-signature`, is by this key over the
    /// message. That `timestamp` is recent is for the caller to see to.
    pub fn verifies(&self, id: &str, timestamp: i64, body: &[u8], signatures: &str) -> bool {
        let message = signed(id, timestamp, body);
        signatures.split(' ').any(|signature| {
            let bytes = signature.strip_prefix(SIGNATURE_PREFIX);
            let bytes = bytes.and_then(|text| STANDARD.decode(text).ok());
            let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
            signature.is_some_and(|it| self.0.verify_strict(&message, &it).is_ok())
        })
    }
}

impl fmt::Display for WebhookPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", STANDARD.encode(self.0.as_bytes()))
    }
}

fn signed(id: &str, timestamp: i64, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{timestamp}.").as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vector that the authors of Standard Webhooks hold their own library to.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let seed = STANDARD.decode("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=");
        let seed = seed.expect("base64").try_into().expect("32 bytes");
        let key = WebhookKey::from_seed(&seed);
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let signature = key.sign(id, 1_614_265_330, body);
        assert_eq!(
            signature,
            "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
        );
        assert!(key.public().verifies(id, 1_614_265_330, body, &signature));
    }

    #[test]
    fn endpoints_have_keys_of_their_own_that_stay_the_same() {
        let of = |root: u8, name: &str| WebhookKey::of_endpoint(&[root; SEED_BYTES], name).public();
        assert_eq!(of(1, "shop"), of(1, "shop"));
        assert_ne!(of(1, "shop"), of(1, "desk"));
        assert_ne!(of(1, "shop"), of(2, "shop"));
        assert_ne!(of(1, ""), WebhookKey::from_seed(&[1; SEED_BYTES]).public());
    }

    #[test]
    fn a_public_key_reads_back_and_nothing_else_is_one() {
        let public = WebhookKey::from_seed(&[7; SEED_BYTES]).public();
        let text = public.to_string();
        assert_eq!(WebhookPublicKey::parse(&text), Some(public));
        let bare = text.trim_start_matches(PUBLIC_PREFIX);
        for other in [
            "",
            "whpk_",
            "whpk_AQ==",
            bare,
            &text.replace("whpk", "whsk"),
        ] {
            assert_eq!(WebhookPublicKey::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let key = WebhookKey::from_seed(&[7; SEED_BYTES]);
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public().to_string()), "{shown}");
        assert!(!shown.contains("7, 7, 7") && !shown.contains(&STANDARD.encode([7; SEED_BYTES])));
    }

    proptest! {
        #[test]
        fn what_was_not_signed_does_not_verify(
            id in "[0-9a-f_]{1,40}", timestamp in 0i64..4_000_000_000, body in prop::collection::vec(any::<u8>(), 0..60),
            seed in any::<[u8; 32]>(), place in any::<prop::sample::Index>(),
        ) {
            let key = WebhookKey::from_seed(&seed);
            let public = key.public();
            let signature = key.sign(&id, timestamp, &body);
            let among = format!("v1,AAAA {signature} v2,x");
            let longer = format!("{id}0");
            prop_assert!(public.verifies(&id, timestamp, &body, &among));
            prop_assert!(!public.verifies(&id, timestamp + 1, &body, &signature));
            prop_assert!(!public.verifies(&longer, timestamp, &body, &signature));
            prop_assert!(!public.verifies(&id, timestamp, &[&body[..], b"0"].concat(), &signature));
            prop_assert!(!public.verifies(&id, timestamp, &body, &signature.replace("v1a", "v1")));
            let other = WebhookKey::of_endpoint(&seed, &id).public();
            prop_assert!(!other.verifies(&id, timestamp, &body, &signature));
            if !body.is_empty() {
                let mut changed = body.clone();
                changed[place.index(body.len())] ^= 1;
                prop_assert!(!public.verifies(&id, timestamp, &changed, &signature));
            }
        }
    }
}
