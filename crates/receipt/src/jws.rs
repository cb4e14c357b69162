//! The compact form of a receipt: signing it and reading it back, strictly.

use ed25519_dalek::Signature;
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::head::ChainHead;
use super::keys::{JwkSet, SigningKey};
use super::settlement::{SettlementClaims, SignedSettlement};
use super::text;

/// The only algorithm (RFC 8037).
const ALGORITHM: &str = "EdDSA";

/// The type, so that a receipt is never taken for a token of another kind (RFC 8725, section 3.11).
const TYPE: &str = "recant-receipt+jwt";

/// The type of a settlement, which is in the same chain.
const SETTLEMENT_TYPE: &str = "recant-settlement+jwt";

/// Longest receipt that is read, in bytes; real ones have some 1 500.
const RECEIPT_BYTES_MAX: usize = 64 * 1024;

/// The protected header.
#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    /// Extensions that a reader must understand (RFC 7515, section 4.1.11). None are known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// A receipt whose signature holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// What it says.
    pub claims: Claims,
    /// The id of the key it was signed with.
    pub key_id: String,
    /// Where it stands in the chain.
    pub head: ChainHead,
}

/// One of a chain whose signature holds.
#[derive(Debug, Clone, PartialEq)]
pub enum ChainEntry {
    /// A receipt of an erasure or a restriction.
    Receipt(Box<Receipt>),
    /// A settlement.
    Settlement(SignedSettlement),
}

impl ChainEntry {
    /// Where it stands in the chain.
    pub fn head(&self) -> ChainHead {
        match self {
            Self::Receipt(receipt) => receipt.head,
            Self::Settlement(settlement) => settlement.head,
        }
    }
}

/// Why a text is not a receipt that holds. No message repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is too long to be one.
    #[error("is longer than {RECEIPT_BYTES_MAX} bytes: no receipt is")]
    TooLong,
    /// It has not three parts of base64url.
    #[error("is no compact JWS: three parts of base64url with dots between them are expected")]
    NotCompact,
    /// The header does not read, or is not that of a receipt.
    #[error("has the header of something else: {0}")]
    Header(&'static str),
    /// The key is not among those given.
    #[error("is signed with a key that is not among those given: fetch /.well-known/jwks.json")]
    UnknownKey,
    /// The signature does not hold.
    #[error("has a signature that does not hold: it was changed, or never signed by this key")]
    Signature,
    /// The signature holds, and the claims are not those of a receipt.
    #[error("has claims that are not those of a receipt")]
    Claims,
}

/// The receipt with these claims, as compact JWS.
pub fn sign(key: &SigningKey, claims: &Claims) -> String {
    sign_bytes(key, &json(claims))
}

/// The settlement with these claims, as compact JWS.
pub fn sign_settlement(key: &SigningKey, claims: &SettlementClaims) -> String {
    sign_as(SETTLEMENT_TYPE, key, &json(claims))
}

/// Signs any payload as if it were the claims of a receipt.
pub fn sign_bytes(key: &SigningKey, payload: &[u8]) -> String {
    sign_as(TYPE, key, payload)
}

fn sign_as(kind: &str, key: &SigningKey, payload: &[u8]) -> String {
    let header = Header {
        alg: String::from(ALGORITHM),
        typ: kind.to_owned(),
        kid: key.id().to_owned(),
        crit: None,
    };
    let mut compact = text::encode(&json(&header));
    compact.push('.');
    compact.push_str(&text::encode(payload));
    let signature = key.sign(compact.as_bytes());
    compact.push('.');
    compact.push_str(&text::encode(&signature));
    compact
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers")
}

/// Reads a receipt and checks its signature with the key of `keys` that it names.
pub fn verify(compact: &str, keys: &JwkSet) -> Result<Receipt, ReceiptError> {
    let opened = open(compact, keys)?;
    if opened.header.typ != TYPE {
        return Err(ReceiptError::Header("its type is not recant-receipt+jwt"));
    }
    opened.receipt(compact)
}

/// Reads a receipt or a settlement, and checks its signature as [`verify`] does.
pub fn verify_entry(compact: &str, keys: &JwkSet) -> Result<ChainEntry, ReceiptError> {
    let opened = open(compact, keys)?;
    match opened.header.typ.as_str() {
        TYPE => Ok(ChainEntry::Receipt(Box::new(opened.receipt(compact)?))),
        SETTLEMENT_TYPE => Ok(ChainEntry::Settlement(opened.settlement(compact)?)),
        _ => Err(ReceiptError::Header(
            "its type is neither recant-receipt+jwt nor recant-settlement+jwt",
        )),
    }
}

/// A text whose signature holds, whatever it claims.
struct Opened {
    header: Header,
    claims: Vec<u8>,
}

impl Opened {
    fn receipt(self, compact: &str) -> Result<Receipt, ReceiptError> {
        let claims: Claims = read(&self.claims)?;
        if !is_placed(claims.sequence, &claims.previous) || !claims.says_what_was_done() {
            return Err(ReceiptError::Claims);
        }
        Ok(Receipt {
            head: ChainHead::from_last(claims.sequence, compact),
            claims,
            key_id: self.header.kid,
        })
    }

    fn settlement(self, compact: &str) -> Result<SignedSettlement, ReceiptError> {
        let claims: SettlementClaims = read(&self.claims)?;
        if !is_placed(claims.sequence, &claims.previous) {
            return Err(ReceiptError::Claims);
        }
        Ok(SignedSettlement {
            head: ChainHead::from_last(claims.sequence, compact),
            claims,
            key_id: self.header.kid,
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(claims: &[u8]) -> Result<T, ReceiptError> {
    serde_json::from_slice(claims).map_err(|_| ReceiptError::Claims)
}

/// Whether the first of a chain, and it alone, follows nothing.
fn is_placed(sequence: u64, previous: &Option<String>) -> bool {
    sequence > 0 && (sequence == 1) == previous.is_none()
}

fn open(compact: &str, keys: &JwkSet) -> Result<Opened, ReceiptError> {
    if compact.len() > RECEIPT_BYTES_MAX {
        return Err(ReceiptError::TooLong);
    }
    let (signed, signature) = compact.rsplit_once('.').ok_or(ReceiptError::NotCompact)?;
    let (header, claims) = signed.split_once('.').ok_or(ReceiptError::NotCompact)?;
    let decode = |part| text::decode(part).ok_or(ReceiptError::NotCompact);
    let (header, claims) = (decode(header)?, decode(claims)?);
    let signature = text::decode_array(signature).ok_or(ReceiptError::NotCompact)?;
    let header = check_header(&header)?;
    let key = keys.find(&header.kid).and_then(|key| key.verifying_key());
    let key = key.ok_or(ReceiptError::UnknownKey)?;
    // Strict: refuses keys of small order and signatures that have a second form.
    key.verify_strict(signed.as_bytes(), &Signature::from_bytes(&signature))
        .map_err(|_| ReceiptError::Signature)?;
    Ok(Opened { header, claims })
}

fn check_header(bytes: &[u8]) -> Result<Header, ReceiptError> {
    let header: Header = serde_json::from_slice(bytes)
        .map_err(|_| ReceiptError::Header("it has no alg, typ and kid"))?;
    if header.crit.is_some() {
        return Err(ReceiptError::Header("it asks for extensions"));
    }
    if header.alg != ALGORITHM {
        return Err(ReceiptError::Header("its algorithm is not EdDSA"));
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::chain::tests::claims;
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[3; 32])
    }

    fn keys() -> JwkSet {
        JwkSet {
            keys: vec![key().public()],
        }
    }

    fn resigned(header: &str) -> String {
        let compact = sign(&key(), &claims(&ChainHead::default()));
        let claims = compact.split('.').nth(1).expect("three parts");
        let signed = format!("{}.{claims}", text::encode(header.as_bytes()));
        let signature = key().sign(signed.as_bytes());
        format!("{signed}.{}", text::encode(&signature))
    }

    #[test]
    fn what_is_signed_reads_back() {
        let said = claims(&ChainHead::default());
        let compact = sign(&key(), &said);
        let receipt = verify(&compact, &keys()).expect("it holds");
        assert_eq!(receipt.claims, said);
        assert_eq!(receipt.key_id, key().id());
        assert_eq!(receipt.head, ChainHead::from_last(1, &compact));
    }

    #[test]
    fn a_receipt_says_either_that_it_was_erased_or_that_it_is_kept() {
        let read = |said: &super::super::claims::Claims| verify(&sign(&key(), said), &keys());
        let erased = claims(&ChainHead::default());
        let mut kept = erased.clone();
        kept.kind = recant_types::TargetKind::Restriction;
        assert_eq!(read(&kept), Err(ReceiptError::Claims));
        kept.restricted_at = kept.erased_at.take();
        let text = serde_json::to_string(&kept).expect("plain data");
        assert!(!text.contains("erased_at") && text.contains("\"kind\":\"restriction\""));
        let receipt = read(&kept).expect("it holds");
        assert_eq!(
            (&receipt.claims, receipt.claims.act()),
            (&kept, "restriction")
        );
        assert_eq!(erased.act(), "erasure");
        let mut neither = erased.clone();
        neither.erased_at = None;
        let mut both = erased;
        both.restricted_at = both.erased_at;
        for bad in [neither, both] {
            assert_eq!(read(&bad), Err(ReceiptError::Claims));
        }
    }

    #[test]
    fn another_key_or_none_is_refused() {
        let compact = sign(&key(), &claims(&ChainHead::default()));
        let mut other = keys();
        other.keys[0] = SigningKey::from_seed(&[4; 32]).public();
        assert_eq!(verify(&compact, &other), Err(ReceiptError::UnknownKey));
        // A key that only goes by the name of the right one.
        other.keys[0].kid = key().id().to_owned();
        assert_eq!(verify(&compact, &other), Err(ReceiptError::UnknownKey));
        let none = JwkSet::default();
        assert_eq!(verify(&compact, &none), Err(ReceiptError::UnknownKey));
    }

    #[test]
    fn headers_of_other_things_are_refused_though_signed() {
        let kid = key().id().to_owned();
        let good = format!(r#"{{"alg":"EdDSA","typ":"recant-receipt+jwt","kid":"{kid}"}}"#);
        verify(&resigned(&good), &keys()).expect("as good as ours");
        for bad in [
            String::from("{}"),
            good.replace("EdDSA", "none"),
            good.replace("EdDSA", "HS256"),
            good.replace("recant-receipt+jwt", "JWT"),
            good.replace('}', r#","crit":["exp"],"exp":1}"#),
        ] {
            let refused = verify(&resigned(&bad), &keys());
            assert!(matches!(refused, Err(ReceiptError::Header(_))), "{bad}");
        }
    }

    #[test]
    fn claims_of_something_else_are_refused_though_signed() {
        let mut said = claims(&ChainHead::default());
        said.sequence = 2;
        let compact = sign(&key(), &said);
        assert_eq!(verify(&compact, &keys()), Err(ReceiptError::Claims));
        let compact = sign_bytes(&key(), br#"{"sub":"ada"}"#);
        assert_eq!(verify(&compact, &keys()), Err(ReceiptError::Claims));
    }

    proptest! {
        #[test]
        fn no_changed_character_goes_unnoticed(place in any::<prop::sample::Index>(), new in "[A-Za-z0-9_.-]") {
            let compact = sign(&key(), &claims(&ChainHead::default()));
            let place = place.index(compact.len());
            let mut changed = compact.clone();
            changed.replace_range(place..=place, &new);
            prop_assume!(changed != compact);
            prop_assert!(verify(&changed, &keys()).is_err());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,200}") {
            prop_assert!(verify(&text, &keys()).is_err());
        }
    }
}
