//! What the one that leads several nodes found out, and every store writes down: how far erasures have
//! come, receipts, what nodes that were away have settled, and what endpoints of webhooks were told.
//!
//! A fact travels as a request does ([`RequestBatch::fact`](crate::RequestBatch::fact)) and is applied alike by
//! every store, as often as it comes. It changes records of erasures only forwards: a state that was shown
//! stays, and a time that is there, too.

use serde::{Deserialize, Serialize};

use crate::decided::form;
use crate::outbox::OutboxEndpoint;
use crate::position::LogPosition;
use recant_receipt::{ChainHead, Node};
use recant_types::{Certificate, ErasureId, ErasureStatus, UnixMillis};

/// What every store writes down. It names nobody but erasures, by their ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// Every node that may answer readers has a model that has forgotten.
    Forgotten {
        /// The position of the log that the model reflects.
        learnt: LogPosition,
        /// What it has forgotten.
        erasures: Vec<ForgottenErasure>,
    },
    /// A version that every such node has come up to has its certificate.
    Certified {
        /// What it covers.
        erasures: Vec<CertifiedErasure>,
        /// The receipts, in compact form, in the order of their chain.
        receipts: Vec<(ErasureId, String)>,
        /// The new nodes of the tree over receipts, by their numbers; none where there is no tree.
        nodes: Vec<(u64, Node)>,
        /// The chain that ends in the last of the receipts.
        head: ChainHead,
    },
    /// A certificate that would have covered them did not hold.
    Refused {
        /// Whom it would have covered.
        ids: Vec<ErasureId>,
        /// Why, without ids.
        reason: String,
    },
    /// A node that was away while erasures were carried out owes none of them any more.
    Settled {
        /// The node's name.
        node: String,
        /// Up to which entry of the shared log.
        upto: u64,
        /// The receipt that says so, in compact form, in the chain of all receipts.
        receipt: String,
        /// The new nodes of the tree over receipts, by their numbers; none where there is no tree.
        nodes: Vec<(u64, Node)>,
        /// The chain that ends in it.
        head: ChainHead,
    },
    /// An endpoint of webhooks need not be told states any more.
    Told {
        /// The endpoint.
        endpoint: OutboxEndpoint,
        /// Erasures, each with the last state that the endpoint needs to be told no more; `None` when it is to be
        /// told nothing more of it.
        done: Vec<(ErasureId, Option<ErasureStatus>)>,
    },
}

/// An erasure that is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenErasure {
    /// Which one.
    pub id: ErasureId,
    /// When the data left the stores.
    pub erased_at: UnixMillis,
    /// When every node that may answer had forgotten.
    pub forgotten_at: UnixMillis,
    /// The version that was live when the update began.
    pub model_version_before: u64,
    /// The first version that had forgotten.
    pub model_version_after: u64,
}

/// An erasure that is certified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CertifiedErasure {
    /// Which one.
    pub id: ErasureId,
    /// When.
    pub certified_at: UnixMillis,
    /// The version that the certificate is of.
    pub certified_version: u64,
    /// The position of the log whose data it is of.
    pub certified_position: LogPosition,
    /// The certificate.
    #[serde(with = "form::json")]
    pub certificate: Certificate,
}

/// What a node that was away has settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The node's name.
    pub node: String,
    /// Up to which entry of the shared log.
    pub upto: u64,
    /// The receipt that says so, in compact form.
    pub receipt: String,
}

impl Fact {
    /// The erasures whose records it may change.
    pub(crate) fn ids(&self) -> Vec<ErasureId> {
        match self {
            Self::Forgotten { erasures, .. } => erasures.iter().map(|it| it.id).collect(),
            Self::Certified { erasures, .. } => erasures.iter().map(|it| it.id).collect(),
            Self::Refused { ids, .. } => ids.clone(),
            Self::Settled { .. } | Self::Told { .. } => Vec::new(),
        }
    }
}
