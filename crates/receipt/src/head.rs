//! The end of a chain of receipts, as the next receipt refers to it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The last receipt of a chain, as the next one refers to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Its number; 0 before the first.
    pub sequence: u64,
    /// SHA-256 of its compact text; none before the first.
    pub hash: Option<[u8; 32]>,
}

impl ChainHead {
    /// The head of a chain that ends in the receipt `compact`, whose number is `sequence`.
    pub fn from_last(sequence: u64, compact: &str) -> Self {
        Self {
            sequence,
            hash: Some(Sha256::digest(compact).into()),
        }
    }
}
