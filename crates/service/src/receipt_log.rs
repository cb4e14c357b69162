//! The transparency log of receipts: kept with them, and handed out with proofs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::query::ServiceError;
use crate::receipts::ReceiptAnswer;
use crate::service::Service;
use recant_receipt::{
    ChainHead, Checkpoint, ConsistencyProof, InclusionProof, Node, ReceiptTree, TreeNodes,
    origin_of, root, verify, verify_entry,
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
        self.of_log(|_, _, head| head.map_or(LogAnswer::NoLog, LogAnswer::Found))
            .await
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
        let Ok(receipt) = verify(&compact, &self.published_keys()) else {
            return Ok(LogAnswer::NoLog);
        };
        let index = receipt.head.sequence - 1;
        self.of_log(move |size, nodes, head| {
            let proof = head.and_then(|head| InclusionProof::new(index, size, nodes, head));
            proof.map_or(LogAnswer::NoLog, |proof| LogAnswer::Found(proof.to_text()))
        })
        .await
    }

    /// The proof that the first `from` receipts are still the first of the log.
    pub async fn receipt_consistency(
        &self,
        from: u64,
    ) -> Result<LogAnswer<ConsistencyProof>, ServiceError> {
        self.of_log(move |size, nodes, head| {
            if from == 0 || from > size {
                return LogAnswer::TooFew;
            }
            let proof = head.and_then(|head| ConsistencyProof::new(from, size, nodes, head));
            proof.map_or(LogAnswer::NoLog, LogAnswer::Found)
        })
        .await
    }

    /// What `find` makes of the log: of its size, its nodes, and its signed head where there is one.
    async fn of_log<T: Send + 'static>(
        &self,
        find: impl FnOnce(u64, &StoredNodes<'_>, Option<String>) -> LogAnswer<T> + Send + 'static,
    ) -> Result<LogAnswer<T>, ServiceError> {
        let origin = origin_of(&self.0.receipt_issuer);
        let keys = Arc::clone(&self.0.receipt_keys);
        self.read(move |store| {
            let (size, nodes) = (store.receipt_head()?.sequence, StoredNodes(store));
            let root = root(size, &nodes);
            let head = root.map(|root| Checkpoint { origin, size, root }.sign(&keys.signing));
            Ok(find(size, &nodes, head))
        })
        .await
    }
}

/// Nodes of the log as they are stored. One that cannot be read is not there.
struct StoredNodes<'a>(&'a Store);

impl TreeNodes for StoredNodes<'_> {
    fn node(&self, number: u64) -> Option<Node> {
        self.0.receipt_node(number).ok().flatten()
    }
}

/// The end of the chain of receipts, and the log of them. Receipts that were signed before there was a
/// log are put into it. `None` when one of them is missing: then there is no log, and a warning.
pub(crate) fn open(store: &Store) -> Result<(ChainHead, Option<ReceiptTree>), StoreError> {
    let (head, tree) = end(store)?;
    if tree.is_some() {
        return Ok((head, tree));
    }
    let keys = store.receipt_keys()?.published;
    let mut receipts = BTreeMap::new();
    store.visit_receipts(|compact| {
        if let Ok(receipt) = verify_entry(compact, &keys) {
            receipts.insert(receipt.head().sequence, compact.to_owned());
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

/// The end of the chain of receipts, and of the log of them where there is one.
pub(crate) fn end(store: &Store) -> Result<(ChainHead, Option<ReceiptTree>), StoreError> {
    let head = store.receipt_head()?;
    Ok((head, ReceiptTree::open(head.sequence, &StoredNodes(store))))
}

fn put(store: &Store, nodes: &mut Vec<(u64, Node)>) -> Result<(), StoreError> {
    let mut batch = WriteBatch::default();
    batch.put_receipt_nodes(nodes);
    nodes.clear();
    store.commit(batch).wait().map(drop)
}
