//! The transparency log of a service's receipts: a Merkle tree over them, with signed heads.
//!
//! Leaf n is the compact text of receipt n + 1 of the chain, hashed as RFC 9162, section 2.1, says. A
//! [checkpoint](Checkpoint) is the root at a size, signed in the form of C2SP `tlog-checkpoint`, which witnesses
//! and monitors of other logs read. An [inclusion proof](InclusionProof) shows that a receipt is under a
//! checkpoint without any of the others, a [consistency proof](ConsistencyProof) that the receipts under one
//! checkpoint are all under a later one. docs/receipts.md draws the forms.

mod checkpoint;
mod proof;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError, origin_of};
pub use proof::{ConsistencyProof, InclusionProof, ProofError};
pub use tree::{Node, ReceiptTree, TreeNodes, root};
