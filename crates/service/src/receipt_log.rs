//! The transparency log of receipts: kept with them, and handed out with proofs.

use std::collections::BTreeMap;

use crate::query::ServiceError;
use crate::receipts::ReceiptAnswer;
use crate::service::Service;
use recant_receipt::{
    ChainHead, Checkpoint, ConsistencyProof, InclusionProof, ReceiptTree, origin_of, root, verify,
};
use recant_store::{Store, StoreError, WriteBatch};
use recant_types::ErasureId;

/// Nodes that one commit adds while the log is made from receipts that have none.
const NODES_PER_COMMIT: usize = 16_384;

/// What there is when somebody asks for a proof from the log of receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogAnswer<T> {
    /// This.
    Found(T),
    /// The log is not there: one of its receipts is missing.
    NoLog,
    /// It has no receipt yet, or not as many as are asked for.
    TooFew,
    /// The erasure has no receipt, for this reason.
    NoReceipt(ReceiptAnswer),
}

impl Service {
    /// The head of the log, signed: a note in the form of C2SP `tlog-checkpoint`.
    pub async fn receipt_checkpoint(&self) -> Result<LogAnswer<String>, ServiceError> {
        let size = self.read(|store| store.receipt_head()).await?.sequence;
        self.signed_head(size).await
    }

    /// The proof that the receipt of an erasure is in the log: a text in the form of C2SP `tlog-proof`.
    pub async fn receipt_inclusion(
        &self,
        id: ErasureId,
    ) -> Result<LogAnswer<String>, ServiceError> {
        let compact = match self.receipt(id).await? {
            ReceiptAnswer::Signed(compact) => compact,
            other => return Ok(LogAnswer::NoReceipt(other)),
        };
        let receipt = verify(&compact, self.published_keys());
        let Ok(receipt) = receipt else {
            return Ok(LogAnswer::NoLog);
        };
        let size = self.read(|store| store.receipt_head()).await?.sequence;
        let checkpoint = match self.signed_head(size).await? {
            LogAnswer::Found(checkpoint) => checkpoint,
            other => return Ok(other),
        };
        let index = receipt.head.sequence - 1;
        let proof = self
            .read(move |store| {
                let nodes = |number| store.receipt_node(number).ok().flatten();
                Ok(InclusionProof::new(index, size, &nodes, checkpoint))
            })
            .await?;
        Ok(proof.map_or(LogAnswer::NoLog, |proof| LogAnswer::Found(proof.to_text())))
    }

    /// The proof that the first `from` receipts are still the first of the log.
    pub async fn receipt_consistency(
        &self,
        from: u64,
    ) -> Result<LogAnswer<ConsistencyProof>, ServiceError> {
        let size = self.read(|store| store.receipt_head()).await?.sequence;
        if from == 0 || from > size {
            return Ok(LogAnswer::TooFew);
        }
        let checkpoint = match self.signed_head(size).await? {
            LogAnswer::Found(checkpoint) => checkpoint,
            LogAnswer::NoReceipt(why) => return Ok(LogAnswer::NoReceipt(why)),
            LogAnswer::TooFew => return Ok(LogAnswer::TooFew),
            LogAnswer::NoLog => return Ok(LogAnswer::NoLog),
        };
        let proof = self
            .read(move |store| {
                let nodes = |number| store.receipt_node(number).ok().flatten();
                Ok(ConsistencyProof::new(from, size, &nodes, checkpoint))
            })
            .await?;
        Ok(proof.map_or(LogAnswer::NoLog, LogAnswer::Found))
    }

    async fn signed_head(&self, size: u64) -> Result<LogAnswer<String>, ServiceError> {
        let root = self
            .read(move |store| {
                let nodes = |number| store.receipt_node(number).ok().flatten();
                Ok(root(size, &nodes))
            })
            .await?;
        let Some(root) = root else {
            return Ok(LogAnswer::NoLog);
        };
        let checkpoint = Checkpoint {
            origin: origin_of(&self.0.receipt_issuer),
            size,
            root,
        };
        let signed = checkpoint.sign(&self.0.receipt_keys.signing);
        Ok(LogAnswer::Found(signed))
    }
}

/// The end of the chain of receipts, and the log of them. Receipts that were signed before there was a
/// log are put into it. `None` when one of them is missing: then there is no log, and a warning.
pub(crate) fn open(store: &Store) -> Result<(ChainHead, Option<ReceiptTree>), StoreError> {
    let head = store.receipt_head()?;
    let nodes = |number| store.receipt_node(number).ok().flatten();
    if let Some(tree) = ReceiptTree::open(head.sequence, &nodes) {
        return Ok((head, Some(tree)));
    }
    let keys = store.receipt_keys()?.published;
    let mut receipts = BTreeMap::new();
    store.visit_receipts(|compact| {
        if let Ok(receipt) = verify(compact, &keys) {
            receipts.insert(receipt.head.sequence, compact.to_owned());
        }
    })?;
    if !receipts.keys().copied().eq(1..=head.sequence) {
        tracing::warn!("a receipt is missing, so there is no transparency log of receipts");
        return Ok((head, None));
    }
    let (mut tree, mut new) = (ReceiptTree::default(), Vec::new());
    for compact in receipts.values() {
        new.extend(tree.append(compact));
        if new.len() >= NODES_PER_COMMIT {
            put(store, &mut new)?;
        }
    }
    put(store, &mut new)?;
    tracing::info!(
        receipts = head.sequence,
        "the transparency log was made from the receipts"
    );
    Ok((head, Some(tree)))
}

fn put(store: &Store, nodes: &mut Vec<(u64, [u8; 32])>) -> Result<(), StoreError> {
    let mut batch = WriteBatch::default();
    batch.put_receipt_nodes(nodes);
    nodes.clear();
    store.commit(batch).wait().map(drop)
}
