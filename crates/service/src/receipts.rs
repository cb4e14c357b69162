//! Handing out receipts, and the keys that they are checked with.

use std::sync::Arc;

use crate::query::ServiceError;
use crate::service::Service;
use recant_receipt::{Jwk, JwkSet};
use recant_types::{ErasureId, ErasureStatus};

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

    /// What nodes that were away have settled: settlements in compact form, in the order of the chain that they form
    /// with the receipts.
    pub async fn settlements(&self) -> Result<Vec<String>, ServiceError> {
        let held = self.read(|store| store.settlements()).await?;
        Ok(held.into_iter().map(|it| it.receipt).collect())
    }

    /// The public keys that receipts are checked with: this node's, and those of others that sign.
    pub fn published_keys(&self) -> Arc<JwkSet> {
        self.0.published_keys.load_full()
    }

    /// Publishes the keys of other nodes that sign, or signed, beside this node's own; those that were set
    /// before are left out unless they are given again.
    pub fn set_other_keys(&self, others: Vec<Jwk>) {
        let mut all = self.0.receipt_keys.published.clone();
        for key in others {
            if !all.keys.iter().any(|known| known.x == key.x) {
                all.keys.push(key);
            }
        }
        self.0.published_keys.store(Arc::new(all));
    }
}
