//! Telling every node how far erasures have come, once it is true of every node.
//!
//! The worker goes on learning meanwhile: versions queue up behind one another here, and what waits for the
//! same ones is written down together. How far an erasure has come is read from the store, which knows it by
//! the facts that were applied: so a fact that was lost is made again, and one that was not is not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::blocking::blocking;
use super::error::WorkerError;
use super::transition::Transition;
use crate::published_time::published;
use crate::receipt_signer::{ReceiptSource, Settling, Signed};
use crate::replication::{NodeBack, ReplicaRole, Replication};
use recant_store::{
    CertifiedErasure, Fact, ForgottenErasure, LastCertificate, LogPosition, Store, StoreError,
};
use recant_types::{Certificate, ErasureId, ErasureRecord, ErasureStatus, UnixMillis};

/// Most erasures in one fact, which has to fit into an entry of the log.
const FORGOTTEN_MAX: usize = 4_096;
const CERTIFIED_MAX: usize = 256;

/// First and longest pause after a fact was refused.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What the worker found out.
#[derive(Debug)]
pub(super) enum ToSettle {
    /// The version of this number has forgotten.
    Forgotten {
        number: u64,
        learnt: LogPosition,
        /// With the time and the version at which the data left this store.
        records: Vec<ErasureRecord>,
    },
    /// The version of this number, or one that it descends from, has its certificate.
    Certified {
        number: u64,
        last: LastCertificate,
        certificate: Certificate,
        /// What it covers.
        ids: Vec<ErasureId>,
    },
    /// A certificate that would have covered these did not hold.
    Refused { ids: Vec<ErasureId>, reason: String },
}

/// Has what the worker found out written down by every node, in order.
pub(super) struct Settler {
    pub(super) store: Store,
    pub(super) replication: Arc<dyn Replication>,
    pub(super) role: watch::Receiver<ReplicaRole>,
    pub(super) receipts: ReceiptSource,
    pub(super) term: u64,
}

impl Settler {
    /// Goes on until the node leads no more in this term, or the worker is gone.
    pub(super) async fn run(self, mut work: mpsc::UnboundedReceiver<ToSettle>) {
        let mut everywhere = self.replication.everywhere();
        let mut back = self.replication.back();
        let mut waiting = VecDeque::new();
        while self.leads() {
            while let Ok(more) = work.try_recv() {
                waiting.push_back(more);
            }
            let reached = *everywhere.borrow_and_update();
            if self.settle(&mut waiting, reached).await {
                continue;
            }
            let nodes = back.borrow_and_update().clone();
            for node in &nodes {
                self.settle_node(node).await;
            }
            tokio::select! {
                more = work.recv() => match more {
                    Some(more) => waiting.push_back(more),
                    None => return,
                },
                changed = everywhere.changed() => if changed.is_err() { return },
                changed = back.changed() => if changed.is_err() { return },
            }
        }
    }

    fn leads(&self) -> bool {
        *self.role.borrow() == ReplicaRole::Leader { term: self.term }
    }

    /// Settles what comes first, if it is true of every node; whether it did.
    async fn settle(&self, waiting: &mut VecDeque<ToSettle>, reached: (u64, u64)) -> bool {
        let is_everywhere = |number: u64| (self.term, number) <= reached;
        match waiting.front() {
            Some(ToSettle::Forgotten { number, .. }) if is_everywhere(*number) => {
                let (number, learnt, records) = take_forgotten(waiting, &is_everywhere);
                self.forgotten(number, learnt, records).await;
            }
            Some(ToSettle::Certified { number, .. }) if is_everywhere(*number) => {
                if let Some(ToSettle::Certified {
                    number,
                    last,
                    certificate,
                    ids,
                }) = waiting.pop_front()
                {
                    for ids in ids.chunks(CERTIFIED_MAX) {
                        self.certified(number, last, &certificate, ids).await;
                    }
                }
            }
            Some(ToSettle::Refused { .. }) => {
                if let Some(ToSettle::Refused { ids, reason }) = waiting.pop_front() {
                    self.record(
                        || Fact::Refused {
                            ids: ids.clone(),
                            reason: reason.clone(),
                        },
                        None,
                    )
                    .await;
                }
            }
            _ => return false,
        }
        true
    }

    async fn forgotten(&self, number: u64, learnt: LogPosition, records: Vec<ErasureRecord>) {
        let now = UnixMillis::now();
        for records in records.chunks(FORGOTTEN_MAX) {
            let erasures = records.iter().filter_map(|record| {
                Some(ForgottenErasure {
                    id: record.id,
                    erased_at: record.erased_at?,
                    forgotten_at: published(record.accepted_at, now),
                    model_version_before: record.model_version_before?,
                    model_version_after: record.model_version_after?,
                })
            });
            let erasures: Vec<_> = erasures.collect();
            let fact = || Fact::Forgotten {
                learnt,
                erasures: erasures.clone(),
            };
            self.record(fact, Some(number)).await;
        }
    }

    /// Certifies what a certificate covers, from the end of the chain as it is then, again and again while this
    /// node leads.
    async fn certified(
        &self,
        number: u64,
        last: LastCertificate,
        certificate: &Certificate,
        ids: &[ErasureId],
    ) {
        let mut pause = PAUSE_MIN;
        while self.leads() {
            let everywhere = Some((self.term, number));
            match self.certifying(last, certificate, ids).await {
                Ok(None) => return,
                Ok(Some(fact)) => match self.replication.record(fact, everywhere).await {
                    // Whether all of it was written down shows the next look.
                    Ok(()) => {}
                    Err(error) => refused(&error, &mut pause).await,
                },
                Err(error) => refused(&error, &mut pause).await,
            }
        }
    }

    /// The fact that those of these erasures have a certificate that have none by now; `None` when all have.
    async fn certifying(
        &self,
        last: LastCertificate,
        certificate: &Certificate,
        ids: &[ErasureId],
    ) -> Result<Option<Fact>, WorkerError> {
        let (store, receipts) = (self.store.clone(), self.receipts.clone());
        let nodes = Arc::clone(&self.replication);
        let (certificate, ids) = (certificate.clone(), ids.to_vec());
        let made = blocking(move || -> Result<_, StoreError> {
            let records = ids.into_iter().map(|id| store.erasure(id));
            let records = records
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten();
            let is_without = |it: &ErasureRecord| it.status == ErasureStatus::Forgotten;
            let covered: Vec<_> = records.filter(is_without).collect();
            let certified = Transition::certified(covered, last, &certificate);
            let records = certified.records();
            let Signed {
                receipts,
                nodes,
                head,
            } = receipts.sign(&store, &*nodes, records, last.version)?;
            let erasures = records.iter().filter_map(|record| {
                Some(CertifiedErasure {
                    id: record.id,
                    certified_at: record.certified_at?,
                    certified_version: last.version,
                    certified_position: last.position,
                    certificate: certificate.clone(),
                })
            });
            Ok((!receipts.is_empty()).then(|| Fact::Certified {
                erasures: erasures.collect(),
                receipts,
                nodes,
                head,
            }))
        });
        Ok(made.await??)
    }

    /// Has a settlement of a node written down, and then that it owes nothing any more: that only once the settlement
    /// is in the chain, whoever continued it.
    async fn settle_node(&self, back: &NodeBack) {
        let mut pause = PAUSE_MIN;
        while self.leads() {
            let (store, receipts) = (self.store.clone(), self.receipts.clone());
            let (nodes, back) = (Arc::clone(&self.replication), back.clone());
            let (node, upto) = (back.node.clone(), back.upto);
            let signed = blocking(move || receipts.settle(&store, &*nodes, &back)).await;
            let done = match signed.and_then(|signed| Ok(signed?)) {
                Ok(Settling::IsOver) => return,
                Ok(Settling::Signed(fact)) => self.replication.record(fact, None).await,
                Ok(Settling::IsSigned) => match self.replication.settled(&node, upto).await {
                    Ok(()) => {
                        tracing::info!(node, upto, "a node that was away owes nothing any more");
                        return;
                    }
                    refused => refused,
                },
                Err(error) => {
                    refused(&error, &mut pause).await;
                    continue;
                }
            };
            if let Err(error) = done {
                refused(&error, &mut pause).await;
            }
        }
    }

    /// Has a fact written down, again and again while this node leads. Twice does no harm.
    async fn record(&self, fact: impl Fn() -> Fact, number: Option<u64>) {
        let everywhere = number.map(|number| (self.term, number));
        let mut pause = PAUSE_MIN;
        while self.leads() {
            match self.replication.record(fact(), everywhere).await {
                Ok(()) => return,
                Err(error) => refused(&error, &mut pause).await,
            }
        }
    }
}

/// Waits after a fact was not taken, each time longer.
async fn refused(error: &impl std::fmt::Display, pause: &mut Duration) {
    tracing::warn!(%error, "a fact was not written down; trying again while this node leads");
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(PAUSE_MAX);
}

/// Takes what comes first of what is forgotten everywhere: the newest version of it, and all of its records.
fn take_forgotten(
    waiting: &mut VecDeque<ToSettle>,
    is_everywhere: &impl Fn(u64) -> bool,
) -> (u64, LogPosition, Vec<ErasureRecord>) {
    let (mut newest, mut reached, mut all) = (0, LogPosition::default(), Vec::new());
    while let Some(ToSettle::Forgotten { number, .. }) = waiting.front()
        && is_everywhere(*number)
        && let Some(ToSettle::Forgotten {
            number,
            learnt,
            records,
        }) = waiting.pop_front()
    {
        newest = newest.max(number);
        reached = reached.max(learnt);
        all.extend(records);
    }
    (newest, reached, all)
}
