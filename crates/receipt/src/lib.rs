//! Receipts: what the service puts its name to once an erasure is certified.
//!
//! ```
//! use recant_receipt::{Salt, commit};
//! use recant_types::{ErasureTarget, UserId};
//!
//! let target = ErasureTarget::User(UserId::new("ada-0001")?);
//! let salt = Salt::generate();
//! let commitment = commit(&salt, &target);
//! // Whoever has the salt can show what a receipt is about; nobody else can guess it.
//! assert!(commit(&salt, &target) == commitment);
//! assert!(commit(&Salt::generate(), &target) != commitment);
//! # Ok::<(), recant_types::InvalidId>(())
//! ```
//!
//! A receipt is a compact JWS (RFC 7515) over JSON [`Claims`] (RFC 7519), signed with Ed25519
//! (RFC 8037). It says when an erasure reached which state and what the certificate was, and it
//! holds a salted [commitment](commit()) to what was erased, so that whoever has the salt can show which
//! erasure a receipt is about and nobody else can guess it. Each receipt holds the hash of the one
//! before it: the receipts of a service are a [chain](check_chain), and one cannot be taken out or changed
//! later without breaking it. A Merkle tree over them, the transparency log, shows the same to who has one
//! receipt and a signed [checkpoint](Checkpoint).
//!
//! Of several nodes a receipt says on which of them an erasure was carried out; [settlements](SettlementClaims),
//! which are links of the same chain, close what it leaves open.
//!
//! A receipt is an attestation: it proves who said this, not that it is true. docs/receipts.md
//! draws every byte.
//!
//! [`WebhookKey`] signs what is posted about an erasure while it goes on.
//!
//! Functions of bytes and keys: no HTTP, no store, no tasks.

#![deny(unreachable_pub)]

mod chain;
mod claims;
mod commitment;
mod head;
mod jws;
mod keys;
mod log;
mod nodes;
mod settlement;
mod text;
mod webhook;

pub use chain::{ChainFault, ChainLink, ChainReport, Gap, check_chain};
pub use claims::{
    COMMITMENT_METHOD, Circumstances, Claims, CommitmentClaim, ScanClaim, ScanMethod,
};
pub use commitment::{Salt, commit};
pub use head::ChainHead;
pub use jws::{
    ChainEntry, Receipt, ReceiptError, sign, sign_bytes, sign_settlement, verify, verify_entry,
};
pub use keys::{Jwk, JwkSet, SigningKey};
pub use log::{
    Checkpoint, CheckpointError, ConsistencyProof, InclusionProof, Node, ProofError, ReceiptTree,
    TreeNodes, origin_of, root,
};
pub use nodes::{NodeClaim, NodeStanding, NodeState, NodesStanding};
pub use settlement::{SettledHow, SettlementClaims, SignedSettlement};
pub use webhook::{WebhookKey, WebhookPublicKey};
