//! Accepting erasures and telling how far they have come.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::metric_names as names;
use crate::query::{IdempotencyKey, ServiceError};
use crate::service::{Others, Service};
use recant_receipt::{Salt, commit};
use recant_store::{Committed, Idempotency, RequestBatch, Store};
use recant_types::{
    ErasureFilter, ErasureId, ErasureRecord, ErasureStatus, ErasureTarget, Event, ItemId,
    UnixMillis,
};

/// An erasure as its requester is told about it.
#[derive(Debug, Clone)]
pub struct AcceptedErasure {
    /// Its record.
    pub record: ErasureRecord,
    /// Opens the commitment of its receipt. For the requester alone: it is kept nowhere. `None`
    /// when a repeated request comes after the key was replaced that the first salt came from.
    pub salt: Option<Salt>,
}

impl Service {
    /// Accepts an erasure that nobody in particular requests; see [`Self::erase_for`].
    pub async fn erase(
        &self,
        target: ErasureTarget,
        key: Option<IdempotencyKey>,
    ) -> Result<AcceptedErasure, ServiceError> {
        self.erase_for(None, target, key).await
    }

    /// Accepts an erasure, requested by the API key of the name `requested_by`: durable on return.
    /// A repeated `key` with the same target returns the first erasure; with another target it is
    /// [`ServiceError::IdempotencyKeyReused`].
    pub async fn erase_for(
        &self,
        requested_by: Option<String>,
        target: ErasureTarget,
        key: Option<IdempotencyKey>,
    ) -> Result<AcceptedErasure, ServiceError> {
        self.accept(requested_by, target, key, None, None).await
    }

    /// Accepts an erasure as [`Self::erase_for`] does, of which the endpoint of this name is to be told though
    /// it is told only on request.
    pub async fn erase_and_tell(
        &self,
        requested_by: Option<String>,
        target: ErasureTarget,
        key: Option<IdempotencyKey>,
        endpoint: Option<&str>,
    ) -> Result<AcceptedErasure, ServiceError> {
        self.accept(requested_by, target, key, None, endpoint).await
    }

    /// Accepts the erasure of every interaction with `item` and of what is said about it, which is
    /// gone on return; otherwise as [`Self::erase_for`].
    pub async fn erase_item_for(
        &self,
        requested_by: Option<String>,
        item: ItemId,
        key: Option<IdempotencyKey>,
    ) -> Result<AcceptedErasure, ServiceError> {
        let target = ErasureTarget::Item(item.clone());
        self.accept(requested_by, target, key, Some(item), None)
            .await
    }

    /// Accepts an erasure of `target` and of what is said about the item `described`, and has `endpoint` told
    /// of it.
    async fn accept(
        &self,
        requested_by: Option<String>,
        target: ErasureTarget,
        key: Option<IdempotencyKey>,
        described: Option<ItemId>,
        endpoint: Option<&str>,
    ) -> Result<AcceptedErasure, ServiceError> {
        self.check_running()?;
        if self.0.backlog.depth() >= self.0.queue_max {
            return Err(ServiceError::Overloaded);
        }
        let started = Instant::now();
        let (id, accepted_at) = (ErasureId::generate(), UnixMillis::now());
        let mut batch = RequestBatch::default();
        let event = Event::Erase {
            id,
            accepted_at,
            target: target.clone(),
        };
        let salt = self.salt(id, key.as_ref());
        let once = key
            .as_ref()
            .map(|key| idempotency(key, &target, described.is_some()))
            .transpose()?;
        batch.append_erasure(event, commit(&salt, &target), once, requested_by);
        self.note_webhooks(&mut batch, id, endpoint);
        if let Some(item) = &described {
            batch.remove_description(item);
        }
        if self.0.others.is_none() {
            self.0.backlog.enter(id, Some(target.clone()), accepted_at);
        }
        self.0.backlog.spans.begin(id);
        let committed = match described {
            None => self.commit(batch).await,
            Some(item) => self.commit_with_item(batch, id, item).await,
        };
        let record = match committed {
            Ok(committed) => committed.records.into_iter().next(),
            Err(error) => {
                self.leave_backlog(id);
                self.0.backlog.spans.end(id);
                return Err(error);
            }
        };
        let record = record.ok_or(ServiceError::Internal)?;
        if record.id == id {
            metrics::counter!(names::ERASURES_TOTAL, "status" => "accepted").increment(1);
            metrics::histogram!(names::ERASURE_ACCEPT_SECONDS).record(started.elapsed());
            tracing::info!(erasure = %id, kind = ?record.kind, "accepted");
            self.0.backlog.spans.reached(id, ErasureStatus::Accepted);
            return Ok(AcceptedErasure {
                record,
                salt: Some(salt),
            });
        }
        self.leave_backlog(id);
        self.0.backlog.spans.end(id);
        // A repeated request: the same key leads to the salt of the first one.
        let first = self.salt(record.id, key.as_ref());
        let opens = record.commitment == Some(commit(&first, &target));
        Ok(AcceptedErasure {
            record,
            salt: opens.then_some(first),
        })
    }

    /// Nothing was accepted, as far as is known. Among several nodes an erasure enters with the entry of the log
    /// that it came in, and leaves with the fact that it is forgotten, whatever its requester was told.
    fn leave_backlog(&self, id: ErasureId) {
        if self.0.others.is_none() {
            self.0.backlog.leave(id);
        }
    }

    /// Commits the erasure `id`, which removes what is said about `item` unless it is a repetition.
    async fn commit_with_item(
        &self,
        batch: RequestBatch,
        id: ErasureId,
        item: ItemId,
    ) -> Result<Committed, ServiceError> {
        let is_new = move |committed: &Committed| {
            let mut records = committed.records.iter();
            records.any(|record| record.id == id).then_some(item)
        };
        self.commit_in_turn(batch, is_new).await
    }

    /// The salt for the erasure `id`: random, or when there is a key the one that it leads to.
    fn salt(&self, id: ErasureId, key: Option<&IdempotencyKey>) -> Salt {
        key.map_or_else(Salt::generate, |key| {
            self.0.receipt_keys.signing.salt_for(id, &key.0)
        })
    }

    /// Waits until the erasure is at least forgotten, or until `patience` is over; returns its
    /// state then, or `None` when the id is unknown.
    pub async fn wait_forgotten(
        &self,
        id: ErasureId,
        patience: Duration,
    ) -> Result<Option<ErasureRecord>, ServiceError> {
        if let Some(others) = &self.0.others {
            return self.wait_for_fact(others, id, patience).await;
        }
        let Some(record) = self.erasure(id).await? else {
            return Ok(None);
        };
        let mut progress = self.0.publisher.follow();
        let forgotten = progress.wait_for(|progress| progress.learnt.0 >= record.position);
        // Running out of patience is an answer like any other: the state as it is then.
        let _ = tokio::time::timeout(patience, forgotten).await;
        self.erasure(id).await
    }

    /// [`Self::wait_forgotten`] where several nodes have to have forgotten.
    async fn wait_for_fact(
        &self,
        others: &Others,
        id: ErasureId,
        patience: Duration,
    ) -> Result<Option<ErasureRecord>, ServiceError> {
        let mut facts = others.facts.subscribe();
        let forgotten = async {
            loop {
                facts.mark_unchanged();
                let record = self.erasure(id).await?;
                let waits = |it: &ErasureRecord| it.status < ErasureStatus::Forgotten;
                if !record.as_ref().is_some_and(waits) || facts.changed().await.is_err() {
                    return Ok(record);
                }
            }
        };
        match tokio::time::timeout(patience, forgotten).await {
            Ok(record) => record,
            Err(_) => self.erasure(id).await,
        }
    }

    /// One erasure; `None` when the id is unknown.
    pub async fn erasure(&self, id: ErasureId) -> Result<Option<ErasureRecord>, ServiceError> {
        let record = self.read(move |store| store.erasure(id)).await?;
        Ok(record.map(|record| self.as_far_as_live(record)))
    }

    /// These erasures, each with `None` where the id is unknown.
    pub(crate) async fn erasures_of(
        &self,
        ids: Vec<ErasureId>,
    ) -> Result<Vec<(ErasureId, Option<ErasureRecord>)>, ServiceError> {
        let read = move |store: &Store| {
            ids.into_iter()
                .map(|id| Ok((id, store.erasure(id)?)))
                .collect()
        };
        let records: Vec<(_, Option<ErasureRecord>)> = self.read(read).await?;
        let shown = |(id, record): (_, Option<_>)| (id, record.map(|it| self.as_far_as_live(it)));
        Ok(records.into_iter().map(shown).collect())
    }

    /// A page of the erasures that `filter` means, newest first, older than `before`.
    pub async fn erasures(
        &self,
        filter: ErasureFilter,
        before: Option<ErasureId>,
        limit: usize,
    ) -> Result<Vec<ErasureRecord>, ServiceError> {
        let records = self
            .read(move |store| store.erasures(&filter, before, limit))
            .await?;
        Ok(records
            .into_iter()
            .map(|record| self.as_far_as_live(record))
            .collect())
    }

    /// The record without states that are durable already but not yet true of the live model: the
    /// swap follows its commit by microseconds, and a state must not be reported before both.
    fn as_far_as_live(&self, mut record: ErasureRecord) -> ErasureRecord {
        if self.0.others.is_some() {
            // A state is written down once it is true of every node.
            return record;
        }
        let progress = self.0.publisher.progress();
        let is_ahead = (record.certified_position).is_some_and(|at| at > progress.certified.0);
        if record.status == ErasureStatus::Certified && is_ahead {
            record.status = ErasureStatus::Forgotten;
            record.certified_at = None;
            record.certified_version = None;
            record.certified_position = None;
            record.certificate = None;
        }
        if record.status == ErasureStatus::Forgotten && record.position > progress.learnt.0 {
            record.status = ErasureStatus::Erased;
            record.forgotten_at = None;
            record.model_version_after = None;
        }
        record
    }
}

/// Digests of the key and of what it was used for; neither text is stored.
fn idempotency(
    key: &IdempotencyKey,
    target: &ErasureTarget,
    with_description: bool,
) -> Result<Idempotency, ServiceError> {
    let mut request = serde_json::to_vec(target).map_err(|_| ServiceError::Internal)?;
    if with_description {
        request.extend_from_slice(b" and its description");
    }
    Ok(Idempotency {
        key: Sha256::digest(key.0.as_bytes()).into(),
        request: Sha256::digest(&request).into(),
    })
}
