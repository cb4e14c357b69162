//! Proofs from the transparency log of receipts, checked without the service.

use std::path::{Path, PathBuf};

use recant_receipt::{Checkpoint, ConsistencyProof, InclusionProof, JwkSet, ProofError};
use serde_json::{Value, json};

/// One proof that was checked.
pub(super) struct LogCheck {
    path: PathBuf,
    /// What it is to show.
    claim: Claim,
    /// The head of the log under which that is shown.
    outcome: Result<Checkpoint, ProofError>,
}

#[derive(Clone, Copy)]
enum Claim {
    Inclusion,
    Consistency,
}

/// Checks that the receipt `compact` is in the log, by the proof `text` from the file `path`.
pub(super) fn inclusion(path: &Path, text: &str, compact: &str, keys: &JwkSet) -> LogCheck {
    let proof = InclusionProof::parse(text);
    LogCheck {
        path: path.to_owned(),
        claim: Claim::Inclusion,
        outcome: proof.and_then(|proof| proof.check(compact, keys)),
    }
}

/// Checks that the log of the head `earlier` only grew, by the proof `text` from the file `path`.
pub(super) fn consistency(path: &Path, text: &str, earlier: &str, keys: &JwkSet) -> LogCheck {
    let proof = serde_json::from_str::<ConsistencyProof>(text);
    let proof =
        proof.map_err(|_| ProofError::Malformed("it is not what /receipts/consistency answers"));
    LogCheck {
        path: path.to_owned(),
        claim: Claim::Consistency,
        outcome: proof.and_then(|proof| proof.check(earlier, keys)),
    }
}

impl LogCheck {
    /// Whether it shows what it is to show.
    pub(super) fn holds(&self) -> bool {
        self.outcome.is_ok()
    }

    /// A line for people.
    pub(super) fn line(&self) -> String {
        let path = self.path.display();
        match (&self.outcome, self.claim) {
            (Ok(head), Claim::Inclusion) => {
                format!(
                    "{path}: the receipt is in the log of {} receipts",
                    head.size
                )
            }
            (Ok(head), Claim::Consistency) => {
                format!("{path}: the log only grew, to {} receipts", head.size)
            }
            (Err(error), _) => format!("{path}: does not hold: {error}"),
        }
    }

    /// The same for programs.
    pub(super) fn as_json(&self) -> Value {
        let claim = match self.claim {
            Claim::Inclusion => "inclusion",
            Claim::Consistency => "consistency",
        };
        json!({
            "file": self.path,
            "claim": claim,
            "holds": self.holds(),
            "size": self.outcome.as_ref().ok().map(|head| head.size),
            "reason": self.outcome.as_ref().err().map(ToString::to_string),
        })
    }
}
