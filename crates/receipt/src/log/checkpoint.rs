//! Signed heads of the log, as C2SP `tlog-checkpoint` and `signed-note` draw them.

use ed25519_dalek::{Signature, VerifyingKey};
use signed_note::{
    Note, NoteError, Signer, StandardVerifier, Verifier, VerifierList, new_ed25519_verifier_key,
};
use tlog_tiles::Hash;

use super::tree::Node;
use crate::keys::{JwkSet, SigningKey};

/// The name of a log whose service is called `issuer`: the same text, with a hyphen for what may not be in
/// the name of a key: blanks, control characters and `+`.
pub fn origin_of(issuer: &str) -> String {
    let is_kept = |c: char| !(c.is_whitespace() || c.is_control() || c == '+');
    let kept = issuer.chars().map(|c| if is_kept(c) { c } else { '-' });
    let origin: String = kept.collect();
    if origin.is_empty() {
        return String::from("recant");
    }
    origin
}

/// A head of the log: the root of the tree at a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// Number of receipts.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Node,
}

/// Why a text is not a checkpoint that holds. No message repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It does not read.
    #[error("is no signed checkpoint (C2SP tlog-checkpoint)")]
    Malformed,
    /// None of its signatures is by a key that was given.
    #[error("is signed with no key that was given: fetch /.well-known/jwks.json")]
    UnknownKey,
    /// A signature does not hold.
    #[error("has a signature that does not hold")]
    Signature,
}

impl Checkpoint {
    /// The checkpoint as a note, signed by `key` under the name of the log.
    pub fn sign(&self, key: &SigningKey) -> String {
        let head = tlog_tiles::Checkpoint::new(&self.origin, self.size, Hash(self.root), "");
        let head = head.expect("a name and no extension");
        let signer = NoteSigner::new(&self.origin, key);
        let mut note = Note::new(&head.to_bytes(), &[]).expect("lines of printed characters");
        note.add_sigs(&[&signer])
            .expect("a name that a key may have");
        String::from_utf8(note.to_bytes()).expect("a text with base64")
    }

    /// Reads a note and checks what the keys of `keys` signed of it. Signatures of others, such as witnesses,
    /// may be there and are passed over.
    pub fn verify(note: &str, keys: &JwkSet) -> Result<Self, CheckpointError> {
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
        let head = tlog_tiles::Checkpoint::from_bytes(note.text());
        let head = head.map_err(|_| CheckpointError::Malformed)?;
        let public = keys.keys.iter().filter_map(|key| key.verifying_key());
        let verifiers = public.map(|key| StrictVerifier::boxed(head.origin(), key));
        let verifiers = verifiers.collect::<Option<Vec<_>>>();
        let verifiers = verifiers.ok_or(CheckpointError::Malformed)?;
        match note.verify(&VerifierList::new(verifiers)) {
            Ok(_) => {}
            Err(NoteError::UnverifiedNote) => return Err(CheckpointError::UnknownKey),
            Err(_) => return Err(CheckpointError::Signature),
        }
        Ok(Self {
            origin: head.origin().to_owned(),
            size: head.size(),
            root: head.hash().0,
        })
    }
}

/// Signs notes with the key of receipts. A JWS and a note share no signed text: the one has no line
/// break, the other ends in one.
struct NoteSigner<'a> {
    verifier: StandardVerifier,
    key: &'a SigningKey,
}

impl<'a> NoteSigner<'a> {
    fn new(origin: &str, key: &'a SigningKey) -> Self {
        let public = key.public().verifying_key().expect("the public half");
        let verifier = StandardVerifier::new(&new_ed25519_verifier_key(origin, &public));
        let verifier = verifier.expect("a name that a key may have");
        Self { verifier, key }
    }
}

impl Signer for NoteSigner<'_> {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn key_id(&self) -> u32 {
        self.verifier.key_id()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.key.sign(message).to_vec())
    }
}

/// Refuses keys of small order and signatures that have a second form, as receipts are checked.
struct StrictVerifier {
    verifier: StandardVerifier,
    key: VerifyingKey,
}

impl StrictVerifier {
    fn boxed(origin: &str, key: VerifyingKey) -> Option<Box<dyn Verifier>> {
        let verifier = StandardVerifier::new(&new_ed25519_verifier_key(origin, &key)).ok()?;
        Some(Box::new(Self { verifier, key }))
    }
}

impl Verifier for StrictVerifier {
    fn name(&self) -> &str {
        self.verifier.name()
    }

    fn key_id(&self) -> u32 {
        self.verifier.key_id()
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = signature.try_into().map(Signature::from_bytes);
        signature.is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(key: &SigningKey) -> JwkSet {
        let mut keys = JwkSet::default();
        keys.put_first(SigningKey::from_seed(&[9; 32]).public());
        keys.put_first(key.public());
        keys
    }

    fn signed() -> (SigningKey, Checkpoint, String) {
        let key = SigningKey::from_seed(&[7; 32]);
        let checkpoint = Checkpoint {
            origin: origin_of("shop.example/recant"),
            size: 5,
            root: [3; 32],
        };
        let note = checkpoint.sign(&key);
        (key, checkpoint, note)
    }

    #[test]
    fn a_checkpoint_reads_back_and_says_what_it_is_in_four_lines() {
        let (key, checkpoint, note) = signed();
        assert_eq!(Checkpoint::verify(&note, &keys(&key)), Ok(checkpoint));
        let lines: Vec<&str> = note.lines().collect();
        let root = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
        assert_eq!(lines[..4], ["shop.example/recant", "5", root, ""]);
        assert!(lines[4].starts_with("\u{2014} shop.example/recant "));
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn other_keys_do_not_count_and_witnesses_do_no_harm() {
        let (key, checkpoint, note) = signed();
        let stranger = SigningKey::from_seed(&[8; 32]);
        let of_a_stranger = Checkpoint::verify(&note, &keys(&stranger));
        assert_eq!(of_a_stranger, Err(CheckpointError::UnknownKey));
        let witness = checkpoint.sign(&stranger);
        let witness = witness.lines().last().expect("a signature");
        let both = format!("{note}{witness}\n");
        assert_eq!(Checkpoint::verify(&both, &keys(&key)), Ok(checkpoint));
    }

    #[test]
    fn an_issuer_of_any_kind_gives_a_name() {
        for (issuer, origin) in [("a b+c", "a-b-c"), ("", "recant"), ("x\u{7}", "x-")] {
            assert_eq!(origin_of(issuer), origin);
        }
    }

    proptest! {
        #[test]
        fn no_changed_character_goes_unnoticed(place in any::<prop::sample::Index>(), new in "[A-Za-z0-9/.+= \n-]") {
            let (key, _, note) = signed();
            let mut changed: Vec<char> = note.chars().collect();
            let place = place.index(changed.len());
            let new = new.chars().next().expect("one");
            prop_assume!(changed[place] != new);
            changed[place] = new;
            let changed: String = changed.into_iter().collect();
            prop_assert!(Checkpoint::verify(&changed, &keys(&key)).is_err());
        }
    }
}
