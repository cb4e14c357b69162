//! Whether the worker learns or follows, and what begins and ends with leading.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::replica::{Leading, Replica};
use super::settle::{Settler, ToSettle};
use super::transition::Transition;
use super::{Factors, Worker, WorkerError, blocking};
use crate::replication::ReplicaRole;
use crate::trainer::Trainer;
use recant_store::LogPosition;
use recant_types::{ErasureFilter, ErasureRecord, ErasureStatus};

impl Worker {
    /// Learns while its node leads, and follows while it does not, until told to stop.
    pub(super) async fn take_part(&mut self) -> Result<(), WorkerError> {
        loop {
            self.committer.check_stopped()?;
            match self.replica.as_ref().map(Replica::role) {
                Some(ReplicaRole::Leader { term }) => {
                    self.begin_to_lead(term).await?;
                    let ended = self.learn().await;
                    let ceased = self.cease_to_lead().await;
                    ended.and(ceased)?;
                }
                Some(ReplicaRole::Follower) => self.follow().await?,
                None => return self.learn().await,
            }
        }
    }

    /// Whether this node leads and has not published anything since it does.
    pub(super) fn is_new_leader(&self) -> bool {
        let leading = self.replica.as_ref().and_then(|it| it.leading.as_ref());
        leading.is_some_and(|leading| leading.is_new)
    }

    /// Has something written down by every node in its turn; nothing where there is one node.
    pub(super) fn settle(&self, work: ToSettle) {
        if let Some(leading) = self.replica.as_ref().and_then(|it| it.leading.as_ref()) {
            leading.settle(work);
        }
    }

    /// Erasures that were forgotten before this node led, and of which nobody was told. They count as forgotten
    /// by the first version of its own, at the latest: so they are as if they came with that one.
    pub(super) fn take_overdue(&mut self, version: u64) -> Vec<ErasureRecord> {
        let leading = self.replica.as_mut().and_then(|it| it.leading.as_mut());
        let overdue = leading.map(|leading| std::mem::take(&mut leading.overdue));
        let overdue = overdue.unwrap_or_default();
        if overdue.is_empty() {
            return overdue;
        }
        let erased = Transition::erased(overdue, version.saturating_sub(1));
        erased.forgotten(version).records().to_vec()
    }

    /// Whether it learns: by itself always, among others while its node leads.
    pub(super) fn may_learn(&self) -> bool {
        let Some(replica) = &self.replica else {
            return true;
        };
        let leading = replica.leading.as_ref();
        leading.is_some_and(|it| replica.role() == ReplicaRole::Leader { term: it.term })
    }

    /// Everything in memory is made fit to learn from, and whoever settles begins.
    async fn begin_to_lead(&mut self, term: u64) -> Result<(), WorkerError> {
        let reached = self.log.learnt.max(self.log.applied);
        if reached > self.log.learnt || self.trainer.has_unlearnt_rows() {
            // The model is of an earlier position than the data: every block is asked.
            self.factors = Factors::Unknown;
        }
        self.log.learnt = reached;
        let unfinished = self.unfinished(reached).await?;
        self.uncertified = unfinished.uncertified;
        // No version has a number below one that an erasure was said to be forgotten by.
        self.live.number = self.live.number.max(unfinished.told);
        let cache = self.options.cholesky_cache_bytes_max;
        self.lend(move |trainer| trainer.begin_to_learn(cache))
            .await?;
        self.refiner.begin_anew();
        self.publisher.set_certified(None);
        let Some(replica) = &mut self.replica else {
            return Ok(());
        };
        replica.versions.clear();
        replica.is_in_step = true;
        let (settler, work) = mpsc::unbounded_channel();
        let task = Settler {
            store: self.store.clone(),
            replication: Arc::clone(&replica.replication),
            role: replica.role.clone(),
            receipts: replica.receipts.clone(),
            term,
        };
        replica.leading = Some(Leading {
            term,
            is_new: true,
            overdue: unfinished.overdue,
            settler,
            task: tokio::spawn(task.run(work)),
        });
        self.live.term = term;
        tracing::info!(term, position = reached.0, "this node learns");
        Ok(())
    }

    /// Nothing is refined any more, nobody is sent anything, and what only learning needs takes no memory.
    async fn cease_to_lead(&mut self) -> Result<(), WorkerError> {
        self.refiner.stop().await;
        self.publisher.set_certified(None);
        if let Some(replica) = &mut self.replica {
            replica.leading = None;
            replica.versions.clear();
            tracing::info!("this node learns no more");
        }
        self.lend(Trainer::cease_to_learn).await
    }

    /// What is left to be told of erasures, to a model that reflects the log up to `learnt`.
    async fn unfinished(&self, learnt: LogPosition) -> Result<Unfinished, WorkerError> {
        let store = self.store.clone();
        let read = move || store.erasures(&ErasureFilter::default(), None, usize::MAX);
        let records = blocking(read).await??;
        let told = records.iter();
        let told = told.filter_map(|it| it.model_version_after.max(it.certified_version));
        let told = told.max().unwrap_or_default();
        let records = records.into_iter();
        let unfinished = records.filter(|record| record.status != ErasureStatus::Certified);
        let (uncertified, mut overdue): (Vec<_>, Vec<_>) =
            unfinished.partition(|record| record.status == ErasureStatus::Forgotten);
        overdue.retain(|record| record.position <= learnt.0);
        Ok(Unfinished {
            overdue,
            uncertified,
            told,
        })
    }
}

/// What whoever led before has left to be told.
struct Unfinished {
    /// Erasures that the model has forgotten and of which no fact says so.
    overdue: Vec<ErasureRecord>,
    /// Those of which one does and that have no certificate.
    uncertified: Vec<ErasureRecord>,
    /// The newest version that anybody was told of.
    told: u64,
}
