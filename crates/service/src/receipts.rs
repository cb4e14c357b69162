//! Signing receipts, and handing them out.

use std::sync::Arc;

use crate::published_time::published;
use crate::query::ServiceError;
use crate::service::Service;
use recant_receipt::{ChainHead, Circumstances, Claims, JwkSet, ReceiptTree, sign};
use recant_store::{ReceiptKeys, WriteBatch};
use recant_types::{ErasureId, ErasureRecord, ErasureStatus, UnixMillis};

/// What there is when somebody asks for the receipt of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptAnswer {
    /// The receipt, in compact form.
    Signed(String),
    /// It is signed once the erasure is certified.
    NotYet,
    /// The erasure was certified by a version that signed none.
    Never,
    /// There is no such erasure.
    UnknownErasure,
}

impl Service {
    /// The receipt of an erasure.
    pub async fn receipt(&self, id: ErasureId) -> Result<ReceiptAnswer, ServiceError> {
        let Some(record) = self.erasure(id).await? else {
            return Ok(ReceiptAnswer::UnknownErasure);
        };
        if record.status != ErasureStatus::Certified {
            return Ok(ReceiptAnswer::NotYet);
        }
        let receipt = self.read(move |store| store.receipt(id)).await?;
        Ok(receipt.map_or(ReceiptAnswer::Never, ReceiptAnswer::Signed))
    }

    /// The public keys that receipts are checked with.
    pub fn published_keys(&self) -> &JwkSet {
        &self.0.receipt_keys.published
    }
}

/// Signs receipts one after another; owned by the worker, which alone certifies.
///
/// The end of the chain is durable with each receipt, so a worker that is started again reads it
/// from the store and goes on from there.
#[derive(Debug)]
pub(crate) struct ReceiptSigner {
    keys: Arc<ReceiptKeys>,
    issuer: Arc<str>,
    head: ChainHead,
    /// The log over all of them; none when one of them is missing.
    tree: Option<ReceiptTree>,
}

impl ReceiptSigner {
    /// A signer that continues the chain after `head`, and the log of the receipts before.
    pub(crate) fn new(
        keys: Arc<ReceiptKeys>,
        issuer: Arc<str>,
        head: ChainHead,
        tree: Option<ReceiptTree>,
    ) -> Self {
        Self {
            keys,
            issuer,
            head,
            tree,
        }
    }

    /// Adds to `batch` a receipt for each of the certified `records`, in the order in which they
    /// were accepted. `version` is the version that the certificate is about, `generation` that of
    /// the store.
    pub(crate) fn sign(
        &mut self,
        records: &[ErasureRecord],
        version: u64,
        generation: u64,
        batch: &mut WriteBatch,
    ) {
        let now = UnixMillis::now();
        let mut records: Vec<&ErasureRecord> = records.iter().collect();
        records.sort_by_key(|record| record.position);
        for record in records {
            let circumstances = Circumstances {
                issuer: &self.issuer,
                signed_at: published(record.accepted_at, now),
                model_version_certified: version,
                generation,
            };
            let Some(claims) = Claims::new(record, &circumstances, &self.head) else {
                tracing::error!(erasure = %record.id, "certified without all of its times");
                continue;
            };
            let compact = sign(&self.keys.signing, &claims);
            self.head = ChainHead::from_last(claims.sequence, &compact);
            batch.put_receipt(record.id, &compact, &self.head);
            if let Some(tree) = &mut self.tree {
                batch.put_receipt_nodes(&tree.append(&compact));
            }
        }
    }
}
