//! Signing receipts.

use std::sync::Arc;

use crate::published_time::published;
use crate::receipt_log;
use crate::replication::{NodeBack, Replication};
use recant_receipt::{
    ChainEntry, ChainHead, Circumstances, Claims, Node, NodeStanding, NodesStanding, ReceiptTree,
    SettlementClaims, sign, sign_settlement, verify_entry,
};
use recant_store::{Fact, ReceiptKeys, Store, StoreError, WriteBatch};
use recant_types::{ErasureId, ErasureRecord, UnixMillis};

/// What a node among several signs with, each time from the end of the chain as its store has it.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptSource {
    pub(crate) keys: Arc<ReceiptKeys>,
    pub(crate) issuer: Arc<str>,
}

/// What is left to be done about a node that owes nothing any more.
#[derive(Debug)]
pub(crate) enum Settling {
    /// The settlement is to be written down.
    Signed(Fact),
    /// The settlement is in the chain, and the node is said to owe something.
    IsSigned,
    /// Nothing.
    IsOver,
}

/// Receipts that follow one another, and what the chain and the tree over it come to with them.
#[derive(Debug, Default)]
pub(crate) struct Signed {
    pub(crate) receipts: Vec<(ErasureId, String)>,
    pub(crate) nodes: Vec<(u64, Node)>,
    pub(crate) head: ChainHead,
}

impl ReceiptSource {
    /// Signs a receipt for each of the certified `records`, to come behind those that `store` has, with how the
    /// nodes stand.
    pub(crate) fn sign(
        &self,
        store: &Store,
        nodes: &dyn Replication,
        records: &[ErasureRecord],
        version: u64,
    ) -> Result<Signed, StoreError> {
        let mut signer = self.signer(store)?;
        // Behind the end of the chain: what is settled in between moves that.
        signer.nodes = Some(nodes.nodes()?);
        Ok(signer.sign_each(records, version, store.generation()?))
    }

    /// Signs that a node owes nothing any more, to come behind what `store` has, unless it has that already.
    pub(crate) fn settle(
        &self,
        store: &Store,
        nodes: &dyn Replication,
        back: &NodeBack,
    ) -> Result<Settling, StoreError> {
        let NodesStanding {
            incarnations,
            nodes,
        } = nodes.nodes()?;
        let owes = |it: &NodeStanding| it.node == back.node && it.owes_after.is_some();
        if !nodes.iter().any(owes) {
            return Ok(Settling::IsOver);
        }
        let settlements = store.settlements()?.into_iter().rev();
        let mut settlements =
            settlements.filter(|held| held.node == back.node && held.upto >= back.upto);
        let is_there = settlements.any(|held| {
            let signed = verify_entry(&held.receipt, &self.keys.published);
            let is_of_log = |claims: &SettlementClaims| {
                let is_present = incarnations.first();
                is_present.is_some_and(|present| claims.incarnations.contains(present))
            };
            matches!(signed, Ok(ChainEntry::Settlement(it)) if is_of_log(&it.claims))
        });
        if is_there {
            return Ok(Settling::IsSigned);
        }
        let mut signer = self.signer(store)?;
        let what = (back.node.clone(), back.upto, back.how);
        let now = UnixMillis::now();
        let claims = SettlementClaims::new(&signer.issuer, now, incarnations, what, &signer.head);
        let receipt = sign_settlement(&signer.keys.signing, &claims);
        let nodes = signer.append(claims.sequence, &receipt);
        Ok(Settling::Signed(Fact::Settled {
            node: back.node.clone(),
            upto: back.upto,
            head: signer.head,
            receipt,
            nodes,
        }))
    }

    fn signer(&self, store: &Store) -> Result<ReceiptSigner, StoreError> {
        let (keys, issuer) = (Arc::clone(&self.keys), Arc::clone(&self.issuer));
        let (head, tree) = receipt_log::end(store)?;
        Ok(ReceiptSigner::new(keys, issuer, head, tree))
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
    /// How the nodes stand, where there are several.
    nodes: Option<NodesStanding>,
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
            nodes: None,
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
        let signed = self.sign_each(records, version, generation);
        for (id, compact) in &signed.receipts {
            batch.put_receipt(*id, compact, &signed.head);
        }
        batch.put_receipt_nodes(&signed.nodes);
    }

    fn sign_each(&mut self, records: &[ErasureRecord], version: u64, generation: u64) -> Signed {
        let mut signed = Signed::default();
        let now = UnixMillis::now();
        let mut records: Vec<&ErasureRecord> = records.iter().collect();
        records.sort_by_key(|record| record.position);
        for record in records {
            let circumstances = Circumstances {
                issuer: &self.issuer,
                signed_at: published(record.accepted_at, now),
                model_version_certified: version,
                generation,
                nodes: self.nodes.as_ref(),
            };
            let Some(claims) = Claims::new(record, &circumstances, &self.head) else {
                tracing::error!(erasure = %record.id, "certified without all of its times");
                continue;
            };
            let compact = sign(&self.keys.signing, &claims);
            signed.nodes.extend(self.append(claims.sequence, &compact));
            signed.receipts.push((record.id, compact));
        }
        signed.head = self.head;
        signed
    }

    /// Puts what was signed at the end of the chain; the new nodes of the log, with their numbers.
    fn append(&mut self, sequence: u64, compact: &str) -> Vec<(u64, Node)> {
        self.head = ChainHead::from_last(sequence, compact);
        let tree = self.tree.as_mut();
        tree.map_or_else(Vec::new, |tree| tree.append(compact))
    }
}
