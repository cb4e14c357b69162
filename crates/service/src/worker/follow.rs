//! Following: the data are this node's own, the factors come from whoever leads.
//!
//! An update of the model is applied when the node's own store holds the log up to where the update has learnt
//! it: histories, counts and tables come from the log as they do where it is learnt, rows from the update.
//! So a version has the same factors on every node, to the bit, and nothing is solved twice.

use std::sync::Arc;

use super::replica::role_changed;
use super::{ENTRIES_PER_UPDATE_MAX, Factors, Worker, WorkerError, blocking};
use crate::dirty::Changes;
use crate::load::followed_rows;
use crate::model_update::ModelUpdate;
use crate::replication::ReplicaRole;
use crate::snapshot::Quality;
use recant_store::{Entry, LogPosition, failpoint};

impl Worker {
    /// Follows until the node leads.
    pub(super) async fn follow(&mut self) -> Result<(), WorkerError> {
        while let Some(replica) = &mut self.replica
            && replica.role() == ReplicaRole::Follower
        {
            // The users' factors in memory were solved for after a start: an image has those that everybody has.
            let live = if replica.is_in_step {
                (self.live.term, self.live.number)
            } else {
                (0, 0)
            };
            let next = replica.replication.next_update(live);
            let update = tokio::select! {
                update = next => update,
                () = role_changed(&mut self.replica) => continue,
                () = self.committer.stopped() => return Err(WorkerError::Stopped),
            };
            if self.fits(&update) && self.has_log(update.header.learnt).await? {
                self.take_update(update).await?;
            }
        }
        Ok(())
    }

    /// Whether an update leads from the live version to one that is not older.
    fn fits(&self, update: &ModelUpdate) -> bool {
        let live = (self.live.term, self.live.number);
        let is_in_step = self.replica.as_ref().is_some_and(|it| it.is_in_step);
        match update.previous {
            Some(previous) => is_in_step && previous == live && update.version() >= live,
            // After a start the factors in memory are of no version in particular.
            None => update.version() > live || !is_in_step,
        }
    }

    /// Waits until the node's own log has come so far; not when the node is to lead before.
    async fn has_log(&mut self, learnt: LogPosition) -> Result<bool, WorkerError> {
        let mut log = self.store.watch_log();
        tokio::select! {
            reached = log.wait_for(|newest| *newest >= learnt) => {
                reached.map_err(|_| WorkerError::Stopped)?;
                Ok(true)
            }
            () = role_changed(&mut self.replica) => Ok(false),
            () = self.committer.stopped() => Err(WorkerError::Stopped),
        }
    }

    /// Brings data and factors to what the update says, and makes it the live version.
    async fn take_update(&mut self, update: ModelUpdate) -> Result<(), WorkerError> {
        let learnt = update.header.learnt;
        let changes = self.apply_log_up_to(learnt).await?;
        let started = std::time::Instant::now();
        let is_confirmed = update.is_confirmed;
        let (header, is_image) = (update.header.clone(), update.is_image());
        let since = changes.clone();
        let taken = self.lend(move |trainer| trainer.take_update(&update, &since));
        let dirty = match taken.await? {
            Ok(dirty) => dirty,
            Err(error) => {
                tracing::error!(%error, "an update of the model cannot be taken");
                self.out_of_step();
                return Ok(());
            }
        };
        let mut batch = followed_rows(&self.trainer, &dirty, is_image);
        batch.put_model_header(&header);
        batch.trim_log(learnt);
        failpoint("publish_before_commit");
        let committing = self.committer.begin(batch);
        let quality = Quality {
            confirmed: is_confirmed,
            ..Quality::stored(&header)
        };
        let (publisher, version) = (Arc::clone(&self.publisher), header.version);
        let shown = quality.clone();
        let made = self.lend(move |trainer| {
            if is_image {
                return trainer.snapshot(version, shown);
            }
            let previous = publisher.current();
            trainer.snapshot_after(&previous, &dirty, version, shown)
        });
        let mut made = made.await??;
        made.term = header.term;
        self.committer.finish(committing).await?;
        failpoint("publish_after_commit");
        (self.live.number, self.live.term) = (header.version, header.term);
        (self.live.quality, self.live.certified) = (quality, header.certified);
        self.live.dirty = crate::dirty::DirtyRows::default();
        self.log.learnt = learnt;
        self.factors = if learnt < self.log.applied {
            Factors::Unknown
        } else {
            Factors::Followed
        };
        self.publisher.forget(&changes);
        self.show(made, started.elapsed());
        failpoint("publish_after_swap");
        self.trainer.users.recycle();
        self.trainer.items.recycle();
        if let Some(replica) = &mut self.replica {
            replica.is_in_step = true;
            let version = (self.live.term, self.live.number);
            replica.replication.live(version, false);
        }
        Ok(())
    }

    /// What is in memory is no leader's version any more.
    fn out_of_step(&mut self) {
        if let Some(replica) = &mut self.replica {
            replica.is_in_step = false;
        }
    }

    /// Applies the log up to exactly `learnt` to matrix and store; nothing of it where more is applied already.
    async fn apply_log_up_to(&mut self, learnt: LogPosition) -> Result<Changes, WorkerError> {
        let mut changes = Changes::default();
        while self.log.applied < learnt {
            let (entries, reached) = self.read_log_up_to(learnt).await?;
            let ids = entries.iter().filter_map(|(_, entry)| match entry {
                Entry::Erase(erasure) => Some(erasure.id),
                Entry::Add(_) => None,
            });
            let ids: Vec<_> = ids.collect();
            // Should the update not be taken, the data are ahead of the factors.
            self.out_of_step();
            let mut applied = self.apply(entries, reached).await?;
            let mut batch = std::mem::take(&mut applied.batch);
            batch.set_applied(reached);
            failpoint("erase_before_commit");
            self.committer.commit(batch).await?;
            failpoint("erase_after_commit");
            self.log.applied = reached;
            ids.into_iter().for_each(|id| self.backlog.erased(id));
            changes.merge(&applied.changes);
        }
        Ok(changes)
    }

    /// The next entries up to `learnt`, and how far they reach: entries of which nothing is left are not there.
    async fn read_log_up_to(
        &self,
        learnt: LogPosition,
    ) -> Result<(Vec<(LogPosition, Entry)>, LogPosition), WorkerError> {
        let (store, from) = (self.store.clone(), self.log.applied.next());
        let read = move || store.read_from(from, ENTRIES_PER_UPDATE_MAX);
        let mut entries = blocking(read).await??;
        let is_part = entries.len() == ENTRIES_PER_UPDATE_MAX;
        entries.retain(|(position, _)| *position <= learnt);
        let last = entries.last().map(|(position, _)| *position);
        Ok(match last {
            Some(last) if is_part => (entries, last),
            _ => (entries, learnt),
        })
    }
}
