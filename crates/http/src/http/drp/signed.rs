//! A message that an agent signed: base64 of a signature and, right behind it, JSON.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// With padding or without: libraries differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an agent signed. It says whom it is about, so it has no `Debug`.
pub(super) struct Signed {
    /// The members of the object.
    pub(super) message: Map<String, Value>,
    /// The digest of the message as it was signed: the same for every repetition, however it is encoded
    /// or signed again.
    pub(super) digest: [u8; 32],
}

/// Opens the body of a request, signed with the secret half of `key`.
pub(super) fn open(body: &[u8], key: &VerifyingKey) -> Result<Signed, Refusal> {
    let decoded = BASE64.decode(body.trim_ascii());
    let decoded = decoded.map_err(|_| Refusal::wrong("the body is not base64"))?;
    let Some((signature, message)) = decoded.split_first_chunk::<SIGNATURE_BYTES>() else {
        return Err(Refusal::wrong("the body is too short to be signed"));
    };
    key.verify_strict(message, &Signature::from_bytes(signature))
        .map_err(|_| Refusal::forbidden("the signature is not the agent's"))?;
    let object = serde_json::from_slice(message);
    Ok(Signed {
        message: object.map_err(|_| Refusal::wrong("the message is not a JSON object"))?,
        digest: Sha256::digest(message).into(),
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn signed(message: &[u8], key: &SigningKey) -> Vec<u8> {
        let mut signed = key.sign(message).to_bytes().to_vec();
        signed.extend_from_slice(message);
        signed
    }

    #[test]
    fn what_the_agent_signed_is_opened_and_nothing_else() {
        let (own, other) = (
            SigningKey::from_bytes(&[1; 32]),
            SigningKey::from_bytes(&[2; 32]),
        );
        let message = br#"{"agent-id":"AA"}"#;
        let good = signed(message, &own);
        for text in [
            STANDARD.encode(&good),
            STANDARD_NO_PAD.encode(&good),
            format!("\n{}\n", STANDARD.encode(&good)),
        ] {
            let opened = open(text.as_bytes(), &own.verifying_key());
            let Ok(opened) = opened else {
                panic!("{text} was refused")
            };
            assert_eq!(opened.message["agent-id"], "AA");
        }
        let status = |bytes: &[u8], key: &SigningKey| {
            let opened = open(STANDARD.encode(bytes).as_bytes(), &key.verifying_key());
            match opened {
                Err(Refusal::Told(status, ..)) => status.as_u16(),
                _ => panic!("it was opened"),
            }
        };
        assert_eq!(status(&good, &other), 403);
        for at in [0, SIGNATURE_BYTES - 1, SIGNATURE_BYTES, good.len() - 1] {
            let mut bent = good.clone();
            bent[at] ^= 1;
            assert_eq!(status(&bent, &own), 403, "byte {at}");
        }
        assert_eq!(status(&good[..SIGNATURE_BYTES - 1], &own), 400);
        assert_eq!(status(&signed(b"[1]", &own), &own), 400);
        assert!(open(b"not base64!", &own.verifying_key()).is_err());
    }
}
