//! Writing down what whoever leads several nodes found out.

use super::Stage;
use crate::codec;
use crate::error::StoreError;
use crate::fact::{CertifiedErasure, Fact, ForgottenErasure, Settlement};
use crate::keys;
use crate::outbox::{OutboxEndpoint, OutboxRecord};
use recant_receipt::{ChainHead, Node};
use recant_types::{ErasureId, ErasureRecord, ErasureStatus};

impl Stage<'_> {
    /// Does what a fact says, as far as it is news; returns the records that it changed.
    pub(super) fn apply_fact(&mut self, fact: &Fact) -> Result<Vec<ErasureRecord>, StoreError> {
        match fact {
            Fact::Forgotten { erasures, .. } => self.each(erasures, |it| it.id, forget),
            Fact::Certified {
                erasures,
                receipts,
                nodes,
                head,
            } => {
                if !self.continues_chain(receipts.len(), head)? {
                    return Ok(Vec::new());
                }
                for (id, compact) in receipts {
                    self.put(keys::receipt(*id), compact.as_bytes());
                }
                self.put_chain(nodes, head);
                self.each(erasures, |it| it.id, certify)
            }
            Fact::Refused { ids, reason } => self.each(
                ids,
                |id| *id,
                |record, _| {
                    let is_news = record.status == ErasureStatus::Forgotten
                        && record.failure.as_ref() != Some(reason);
                    if is_news {
                        record.failure = Some(reason.clone());
                    }
                    is_news
                },
            ),
            Fact::Settled {
                node,
                upto,
                receipt,
                nodes,
                head,
            } => {
                if self.continues_chain(1, head)? {
                    let settlement = Settlement {
                        node: node.clone(),
                        upto: *upto,
                        receipt: receipt.clone(),
                    };
                    let key = keys::settlement(head.sequence);
                    self.put(key, &codec::to_json(&settlement));
                    self.put_chain(nodes, head);
                }
                Ok(Vec::new())
            }
            Fact::Told { endpoint, done } => {
                for (id, done) in done {
                    self.told(*endpoint, *id, *done)?;
                }
                Ok(Vec::new())
            }
        }
    }

    /// An endpoint has been told so much of an erasure. What it has still to be told only becomes less.
    fn told(
        &mut self,
        endpoint: OutboxEndpoint,
        id: ErasureId,
        done: Option<ErasureStatus>,
    ) -> Result<(), StoreError> {
        let key = keys::outbox_entry(endpoint, id);
        let Some(held) = self.get(&key)? else {
            return Ok(());
        };
        let held: OutboxRecord = codec::from_json(&held)?;
        if done.is_none() {
            self.remove(key);
        } else if held.done < done {
            self.put(key, &codec::to_json(&OutboxRecord { done }));
        }
        Ok(())
    }

    /// The records of a fact's erasures as they are.
    pub(super) fn records_of(&self, fact: &Fact) -> Result<Vec<ErasureRecord>, StoreError> {
        let records = fact.ids().into_iter().map(|id| self.held_erasure(id));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        Ok(records.into_iter().flatten().collect())
    }

    /// Whether so many receipts that end in `head` are the next ones of the chain. They are not when they
    /// are there already, and when somebody else went on from the same end before.
    fn continues_chain(&self, receipts: usize, head: &ChainHead) -> Result<bool, StoreError> {
        let held = self.get(&keys::RECEIPT_HEAD)?;
        let held: ChainHead =
            held.map_or(Ok(ChainHead::default()), |held| codec::from_json(&held))?;
        Ok(receipts > 0 && held.sequence + receipts as u64 == head.sequence)
    }

    fn put_chain(&mut self, nodes: &[(u64, Node)], head: &ChainHead) {
        for (number, node) in nodes {
            self.put(keys::receipt_node(*number), node);
        }
        self.put(keys::RECEIPT_HEAD.to_vec(), &codec::to_json(head));
    }

    /// Changes the record of each of `changes` that is held, where that is news.
    fn each<T>(
        &mut self,
        changes: &[T],
        id: impl Fn(&T) -> ErasureId,
        change: impl Fn(&mut ErasureRecord, &T) -> bool,
    ) -> Result<Vec<ErasureRecord>, StoreError> {
        let mut changed = Vec::with_capacity(changes.len());
        for news in changes {
            let id = id(news);
            let Some(mut record) = self.held_erasure(id)? else {
                continue;
            };
            if change(&mut record, news) {
                self.put(keys::erasure(id), &codec::to_json(&record));
                changed.push(record);
            }
        }
        Ok(changed)
    }

    fn held_erasure(&self, id: ErasureId) -> Result<Option<ErasureRecord>, StoreError> {
        let record = self.get(&keys::erasure(id))?;
        record.map(|record| codec::from_json(&record)).transpose()
    }
}

fn forget(record: &mut ErasureRecord, news: &ForgottenErasure) -> bool {
    if matches!(
        record.status,
        ErasureStatus::Forgotten | ErasureStatus::Certified
    ) {
        return false;
    }
    record.status = ErasureStatus::Forgotten;
    record.erased_at.get_or_insert(news.erased_at);
    record.forgotten_at.get_or_insert(news.forgotten_at);
    let (before, after) = (news.model_version_before, news.model_version_after);
    record.model_version_before.get_or_insert(before);
    record.model_version_after.get_or_insert(after);
    true
}

/// Nothing is certified that is not forgotten.
fn certify(record: &mut ErasureRecord, news: &CertifiedErasure) -> bool {
    if record.status != ErasureStatus::Forgotten {
        return false;
    }
    record.status = ErasureStatus::Certified;
    record.certified_at = Some(news.certified_at);
    record.certified_version = Some(news.certified_version);
    record.certified_position = Some(news.certified_position.0);
    record.certificate = Some(news.certificate.clone());
    record.failure = None;
    true
}
