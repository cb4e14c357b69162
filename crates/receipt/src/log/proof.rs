//! Proofs about the log, checked without any receipt but one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tlog_tiles::{Hash, check_record, check_tree, prove_record, prove_tree, record_hash};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::tree::{Node, Reader, TreeNodes};
use crate::keys::JwkSet;

/// The first line of an inclusion proof (C2SP `tlog-proof`).
const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// No tree of fewer than 2⁶⁴ leaves has a longer path.
const PATH_MAX: usize = 64;

/// Why a proof proves nothing. No message repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It does not read.
    #[error("is no proof: {0}")]
    Malformed(&'static str),
    /// The checkpoint in it, or beside it, does not hold.
    #[error("the checkpoint {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The receipt is not under the checkpoint at that place.
    #[error("the receipt is not in the log that the checkpoint is of")]
    NotIncluded,
    /// The later checkpoint is not of a continuation of the log of the earlier one.
    #[error("the log was rewritten between the two checkpoints")]
    Rewritten,
    /// Both checkpoints must be of one log, the earlier first.
    #[error("the checkpoints are not of one log, the smaller one first")]
    NotOfOneLog,
}

/// That a receipt is in the log of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Receipts before it: its number in the chain less one.
    pub index: u64,
    /// The other halves on the way from the leaf to the root, the leaf's first.
    pub path: Vec<Node>,
    /// The checkpoint as it was signed.
    pub checkpoint: String,
}

impl InclusionProof {
    /// The proof that leaf `index` is in the tree of `size` leaves, whose `checkpoint` is signed; `None` when it is
    /// not, or when a node is missing. Cost: at most 1 + log₂ of `size` nodes are read.
    pub fn new(index: u64, size: u64, nodes: &impl TreeNodes, checkpoint: String) -> Option<Self> {
        let path = prove_record(size, index, &Reader(nodes)).ok()?;
        Some(Self {
            index,
            path: path.into_iter().map(|hash| hash.0).collect(),
            checkpoint,
        })
    }

    /// The proof in the form of C2SP `tlog-proof`.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT}\nindex {}\n", self.index);
        for node in &self.path {
            text.push_str(&STANDARD.encode(node));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads what [`Self::to_text`] writes; extra data is passed over.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(malformed("a blank line and a checkpoint are missing"))?;
        let mut lines = head.lines().peekable();
        if lines.next() != Some(FORMAT) {
            return Err(malformed("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        lines.next_if(|line| line.starts_with("extra "));
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index
            .and_then(decimal)
            .ok_or(malformed("it has no index"))?;
        let path: Option<Vec<Node>> = lines.map(node).collect();
        let path = path.ok_or(malformed("a hash does not read"))?;
        if path.len() > PATH_MAX {
            return Err(malformed("its path is too long"));
        }
        Ok(Self {
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// The checkpoint under which the receipt `compact` is, once it is shown to be under it and signed by one of
    /// `keys`.
    pub fn check(&self, compact: &str, keys: &JwkSet) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::verify(&self.checkpoint, keys)?;
        let path: Vec<Hash> = self.path.iter().copied().map(Hash).collect();
        let leaf = record_hash(compact.as_bytes());
        check_record(
            &path,
            checkpoint.size,
            Hash(checkpoint.root),
            self.index,
            leaf,
        )
        .map_err(|_| ProofError::NotIncluded)?;
        Ok(checkpoint)
    }
}

/// That the receipts under one checkpoint are all, in their order, under a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// Receipts under the earlier checkpoint.
    pub from: u64,
    /// Receipts under the later one.
    pub to: u64,
    /// The nodes of RFC 9162, section 2.1.4, base64.
    pub path: Vec<String>,
    /// The later checkpoint, as it was signed.
    pub checkpoint: String,
}

impl ConsistencyProof {
    /// The proof from the tree of `from` leaves, at least one, to that of `to`, whose `checkpoint` is signed; `None`
    /// when there are no such trees, or a node is missing. Cost: at most 2 log₂ of `to` nodes are read.
    pub fn new(from: u64, to: u64, nodes: &impl TreeNodes, checkpoint: String) -> Option<Self> {
        let path = prove_tree(to, from, &Reader(nodes)).ok()?;
        Some(Self {
            from,
            to,
            path: path.iter().map(|hash| STANDARD.encode(hash.0)).collect(),
            checkpoint,
        })
    }

    /// The later checkpoint, once it is shown to continue the earlier one, which `earlier` is; both signed by one
    /// of `keys`. The first checkpoint of an empty log is continued by every one.
    pub fn check(&self, earlier: &str, keys: &JwkSet) -> Result<Checkpoint, ProofError> {
        let earlier = Checkpoint::verify(earlier, keys)?;
        let later = Checkpoint::verify(&self.checkpoint, keys)?;
        let sizes = (self.from, self.to);
        if earlier.origin != later.origin || sizes != (earlier.size, later.size) {
            return Err(ProofError::NotOfOneLog);
        }
        let path: Option<Vec<Hash>> = self.path.iter().map(|text| node(text).map(Hash)).collect();
        let path = path.ok_or(ProofError::Malformed("a hash does not read"))?;
        if path.len() > 2 * PATH_MAX {
            return Err(ProofError::Malformed("its path is too long"));
        }
        check_tree(
            &path,
            later.size,
            Hash(later.root),
            earlier.size,
            Hash(earlier.root),
        )
        .map_err(|_| ProofError::Rewritten)?;
        Ok(later)
    }
}

/// A number as the form writes it: no sign, no zeros before it.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn node(text: &str) -> Option<Node> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::keys::SigningKey;
    use crate::log::root;
    use crate::log::tree::tests::{grown, leaves};

    struct Log {
        key: SigningKey,
        leaves: Vec<String>,
        nodes: HashMap<u64, Node>,
    }

    impl Log {
        fn of(leaves: Vec<String>) -> Self {
            Self {
                key: SigningKey::from_seed(&[7; 32]),
                nodes: grown(&leaves).1,
                leaves,
            }
        }

        fn read(&self) -> impl Fn(u64) -> Option<Node> {
            |number| self.nodes.get(&number).copied()
        }

        fn keys(&self) -> JwkSet {
            JwkSet {
                keys: vec![self.key.public()],
            }
        }

        fn checkpoint(&self, size: u64) -> String {
            let checkpoint = Checkpoint {
                origin: String::from("recant"),
                size,
                root: root(size, &self.read()).expect("all nodes are there"),
            };
            checkpoint.sign(&self.key)
        }

        fn inclusion(&self, index: u64, size: u64) -> InclusionProof {
            let proof = InclusionProof::new(index, size, &self.read(), self.checkpoint(size));
            proof.expect("a leaf of the tree")
        }

        fn consistency(&self, from: u64, to: u64) -> ConsistencyProof {
            let proof = ConsistencyProof::new(from, to, &self.read(), self.checkpoint(to));
            proof.expect("sizes of the tree")
        }
    }

    proptest! {
        #[test]
        fn a_receipt_is_proven_at_its_place_and_no_other_text_is(
            size in 1_u64..40, index in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(),
        ) {
            let log = Log::of(leaves(40));
            let (index, other) = (index.index(size as usize), other.index(40));
            let proof = log.inclusion(index as u64, size);
            let read = InclusionProof::parse(&proof.to_text());
            prop_assert_eq!(read.as_ref(), Ok(&proof));
            let checked = proof.check(&log.leaves[index], &log.keys()).expect("it is there");
            prop_assert_eq!(checked.size, size);
            if other != index {
                let refused = proof.check(&log.leaves[other], &log.keys());
                prop_assert_eq!(refused, Err(ProofError::NotIncluded));
            }
        }

        #[test]
        fn a_log_that_only_grew_is_consistent_and_one_that_was_rewritten_is_not(
            from in 1_u64..40, more in 0_u64..40, changed in any::<prop::sample::Index>(),
        ) {
            let log = Log::of(leaves(80));
            let to = from + more;
            let earlier = log.checkpoint(from);
            let later = log.consistency(from, to).check(&earlier, &log.keys());
            prop_assert_eq!(later.expect("it grew").size, to);

            let mut rewritten = leaves(80);
            rewritten[changed.index(from as usize)].push('!');
            let rewritten = Log::of(rewritten);
            let refused = rewritten.consistency(from, to).check(&earlier, &log.keys());
            prop_assert_eq!(refused, Err(ProofError::Rewritten));
        }
    }

    #[test]
    fn proofs_of_something_else_are_refused() {
        let log = Log::of(leaves(9));
        let earlier = log.checkpoint(4);
        let wrong = log.consistency(5, 9).check(&earlier, &log.keys());
        assert_eq!(wrong, Err(ProofError::NotOfOneLog));
        assert!(ConsistencyProof::new(10, 9, &log.read(), earlier.clone()).is_none());
        assert!(ConsistencyProof::new(0, 9, &log.read(), earlier.clone()).is_none());
        assert!(InclusionProof::new(9, 9, &log.read(), earlier).is_none());
        let text = log.inclusion(3, 9).to_text();
        for (old, new) in [("@v1", "@v2"), ("index 3", "index 03"), ("index 3\n", "")] {
            let refused = InclusionProof::parse(&text.replace(old, new));
            assert!(matches!(refused, Err(ProofError::Malformed(_))), "{old}");
        }
        let with_extra = text.replace("index 3", "extra AAAA\nindex 3");
        assert_eq!(InclusionProof::parse(&with_extra), Ok(log.inclusion(3, 9)));
    }
}
