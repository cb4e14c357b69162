//! The local update: log entries are applied, the blocks they touch solved again, the version
//! committed and swapped in.

use std::time::Instant;

use tracing::{Instrument, info_span};

use super::transition::Transition;
use super::{Factors, ToSettle, Worker, WorkerError, blocking};
use crate::dirty::DirtyRows;
use crate::learning;
use crate::metric_names as names;
use crate::resolve::Resolver;
use crate::trainer::Applied;
use recant_core::model::RowSets;
use recant_core::unlearn::UpdateReport;
use recant_store::StoreError;
use recant_store::WriteBatch;
use recant_store::failpoint;
use recant_store::{Entry, LogPosition};
use recant_types::{ErasureRecord, ErasureTarget, Event, TRACE_TARGET};

impl Worker {
    /// Applies the entries, updates the affected blocks, commits, swaps.
    pub(super) async fn update(
        &mut self,
        entries: Vec<(LogPosition, Entry)>,
    ) -> Result<(), WorkerError> {
        let span = tracing::info_span!(
            "update",
            entries = entries.len(),
            erasures = tracing::field::Empty,
            blocks = tracing::field::Empty,
            version = self.live.number + 1,
        );
        self.update_in_span(entries, &span)
            .instrument(span.clone())
            .await
    }

    async fn update_in_span(
        &mut self,
        entries: Vec<(LogPosition, Entry)>,
        span: &tracing::Span,
    ) -> Result<(), WorkerError> {
        let learnt = self.log.learnt;
        let reached = entries.last().map_or(learnt, |(position, _)| *position);
        let started = Instant::now();
        let mut records = std::mem::take(&mut self.untold);
        records.extend(self.erasure_records(&entries).await?);
        let ids = records.iter().map(|record| record.id);
        self.backlog.spans.link(span, ids);
        let erased = Transition::erased(records, self.live.number);
        span.record("erasures", erased.len());
        let mut applied = self.apply(entries, reached).await?;
        let batch = self.erased_batch(&mut applied, &erased, reached);
        let applied_at = started.elapsed();
        failpoint("erase_before_commit");
        let committing = self.committer.begin(batch);
        let solving = info_span!(target: TRACE_TARGET, "local_update");
        let report = self.update_factors(&applied.touched);
        let report = report.instrument(solving).await?;
        let solved_at = started.elapsed();
        span.record("blocks", report.blocks_solved);
        let finished = self.committer.finish(committing);
        let waiting = info_span!(target: TRACE_TARGET, "commit");
        finished.instrument(waiting).await?;
        tracing::debug!(?applied_at, ?solved_at, erased_at = ?started.elapsed(), "erased");
        failpoint("erase_after_commit");
        self.log.applied = reached.max(self.log.applied);
        if self.replica.is_some() {
            erased.left_this_store(&self.backlog);
        } else {
            erased.announce(&self.backlog);
        }
        let publishing = info_span!(target: TRACE_TARGET, "publish");
        let published = self.publish_update(erased, applied, &report, reached);
        published.instrument(publishing).await
    }

    /// The second half of an update: the changed rows become durable, then live.
    async fn publish_update(
        &mut self,
        erased: Transition,
        mut applied: Applied,
        report: &UpdateReport,
        reached: LogPosition,
    ) -> Result<(), WorkerError> {
        let dirty = &mut self.live.dirty;
        dirty.users(report.changed_users.iter().chain(&applied.touched.users));
        dirty.items(report.changed_items.iter().chain(&applied.touched.items));
        self.trainer.learner.check_finite(dirty)?;
        let version = self.live.number + 1;
        let forgotten = erased.forgotten(version);
        let mut batch = self.version_batch(version, reached);
        if self.replica.is_none() {
            forgotten.put(&mut batch);
        }
        let changed = self.replica.is_some().then(|| self.live.dirty.clone());
        batch.trim_log(reached);
        let started = Instant::now();
        failpoint("publish_before_commit");
        // Made while the disk works; nobody sees it before the rows are durable.
        let committing = self.committer.begin(batch);
        let made = self.make_snapshot(version).await?;
        let making = started.elapsed();
        self.committer.finish(committing).await?;
        failpoint("publish_after_commit");
        let committed_at = started.elapsed();
        (self.live.number, self.log.learnt) = (version, reached);
        let overdue = self.take_overdue(version);
        let is_erasure = forgotten.len() + overdue.len() > 0;
        self.uncertified.extend_from_slice(forgotten.records());
        self.uncertified.extend_from_slice(&overdue);
        self.publisher.forget(&applied.changes);
        self.swap(made, making, changed, is_erasure);
        failpoint("publish_after_swap");
        tracing::debug!(?committed_at, swapped_at = ?started.elapsed(), "swapped");
        if self.factors == Factors::Unknown {
            let everything = DirtyRows::everything(&self.trainer.matrix);
            applied.changes.touched.merge(&everything);
            self.factors = Factors::Followed;
        }
        self.refiner.changed(&applied.changes, is_erasure);
        self.trainer.users.recycle();
        self.trainer.items.recycle();
        if self.replica.is_none() {
            forgotten.announce(&self.backlog);
        } else if is_erasure {
            self.settle(ToSettle::Forgotten {
                number: version,
                learnt: reached,
                records: [overdue.as_slice(), forgotten.records()].concat(),
            });
        }
        metrics::histogram!(names::ERASURE_BLOCKS_UPDATED).record(report.blocks_solved as f64);
        Ok(())
    }

    async fn erasure_records(
        &self,
        entries: &[(LogPosition, Entry)],
    ) -> Result<Vec<ErasureRecord>, WorkerError> {
        let ids: Vec<_> = entries
            .iter()
            .filter_map(|(_, entry)| match entry {
                Entry::Erase(erasure) => Some(erasure.id),
                Entry::Add(_) => None,
            })
            .collect();
        let store = self.store.clone();
        let read = move || -> Result<Vec<_>, StoreError> {
            let records = ids.into_iter().map(|id| store.erasure(id));
            Ok(records
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        };
        Ok(blocking(read).await??)
    }

    /// Applies the entries that the store has not seen yet.
    pub(super) async fn apply(
        &mut self,
        entries: Vec<(LogPosition, Entry)>,
        reached: LogPosition,
    ) -> Result<Applied, WorkerError> {
        let already = self.log.applied;
        let fresh = entries.into_iter().filter(|(at, _)| *at > already);
        let (fresh, from_before) = self.to_events(fresh.collect());
        // Which blocks they touched is not known, when the run before ended between its two commits
        // or the entry names what had left the store before it was loaded: so every block is asked.
        if from_before || (already > self.log.learnt && already <= reached) {
            self.factors = Factors::Unknown;
        }
        let store = self.store.clone();
        Ok(self
            .lend(move |trainer| {
                let mut applied = trainer.apply(&store, fresh)?;
                if from_before {
                    trainer.release_empty_items(&mut applied);
                }
                Ok::<_, StoreError>(applied)
            })
            .await??)
    }

    /// The entries with ids in place of hashes, and whether some erasure was accepted before the
    /// trainer was loaded.
    fn to_events(&self, entries: Vec<(LogPosition, Entry)>) -> (Vec<Event>, bool) {
        let (mut events, mut from_before) = (Vec::with_capacity(entries.len()), false);
        let mut resolver = Resolver::new(&self.trainer, self.store.hasher());
        for (position, entry) in entries {
            let erasure = match entry {
                Entry::Add(interactions) => {
                    events.push(Event::Add(interactions));
                    continue;
                }
                Entry::Erase(erasure) => erasure,
            };
            from_before |= position <= self.log.loaded_at;
            // Before the trainer was loaded, what users and pairs were named had left the store.
            let to_do = if position <= self.log.loaded_at {
                erasure.named.items()
            } else {
                Some(erasure.named)
            };
            let target = match (self.backlog.target(erasure.id), to_do) {
                (Some(target), _) => target,
                (None, None) => ErasureTarget::Pairs(Vec::new()),
                (None, Some(named)) => resolver.target_after(&named, &events),
            };
            events.push(Event::Erase {
                id: erasure.id,
                accepted_at: erasure.accepted_at,
                target,
            });
        }
        (events, from_before)
    }

    fn erased_batch(
        &self,
        applied: &mut Applied,
        erased: &Transition,
        reached: LogPosition,
    ) -> WriteBatch {
        let mut batch = std::mem::take(&mut applied.batch);
        batch.set_applied(reached.max(self.log.applied));
        if self.replica.is_none() {
            erased.put(&mut batch);
        }
        batch
    }

    async fn update_factors(&mut self, touched: &RowSets) -> Result<UpdateReport, WorkerError> {
        let touched = if self.factors == Factors::Unknown {
            let matrix = &self.trainer.matrix;
            RowSets::all(matrix.user_rows(), matrix.item_rows())
        } else {
            touched.clone()
        };
        let options = self.local_update();
        Ok(self
            .lend(move |trainer| learning::update(trainer, &touched, options))
            .await??)
    }
}
