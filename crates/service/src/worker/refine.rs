//! Refinement: a checkpoint is refined in the background, rebased on what came since, published; what
//! waited for a certificate has it then.

use std::time::{Duration, Instant};

use tracing::{Instrument, Span, info_span};

use super::refiner::Finished;
use super::transition::Transition;
use super::{ToSettle, Worker, WorkerError};
use crate::checkpoint::{Checkpoint, RebaseError, Refined, RefinedModel};
use crate::dirty::{Changes, DirtyRows};
use crate::learning::{Refinement, RefinementGoal};
use crate::metric_names as names;
use crate::snapshot::{Quality, Snapshot};
use recant_store::LastCertificate;
use recant_store::LogPosition;
use recant_store::failpoint;
use recant_types::{Certificate, ErasureId, ErasureRecord, TRACE_TARGET, UnixMillis};

/// The versions that come of a refinement.
struct Made {
    /// The model as it was certified, with the data of its checkpoint.
    certified: Option<Snapshot>,
    /// The next live one.
    live: Snapshot,
    /// How long they took to make.
    making: Duration,
}

impl Worker {
    /// Takes a checkpoint of the live version and begins to refine it.
    pub(super) async fn refine(&mut self) -> Result<(), WorkerError> {
        let level = self.live.quality.residual;
        // Without a proof to aim for, a neural model is brought back to what it was.
        let level = level.filter(|_| self.trainer.learner.neural().is_some());
        let goal = RefinementGoal {
            tolerance: self.options.tolerance.max(level.unwrap_or(0.0)),
            target: self.options.certificate_target,
            rounds_max: self.options.refinement_rounds,
        };
        let (position, version) = (self.log.learnt, self.live.number);
        let fork = move |trainer: &mut _| Checkpoint::new(trainer, position, version);
        let checkpoint = self.lend(fork).await?;
        let span = info_span!("refine");
        let covered = self.uncertified.iter().map(|record| record.id);
        self.backlog.spans.link(&span, covered);
        self.refiner.start(checkpoint, goal, span);
        failpoint("refine_begun");
        Ok(())
    }

    /// Makes what a refinement brought the live model, and certifies what waited for it.
    pub(super) async fn adopt(&mut self, finished: Finished) -> Result<(), WorkerError> {
        let Finished {
            refined,
            since,
            took,
        } = finished;
        metrics::histogram!(names::REFINEMENT_SECONDS).record(took.as_secs_f64());
        let Some(refined) = refined else {
            return self.refuse(None, "the refinement panicked").await;
        };
        let Refined {
            position,
            version,
            refinement,
            model,
        } = refined;
        let Some(model) = model else {
            let reason = refinement.refusal.unwrap_or_default();
            return self.refuse(Some(position), &reason).await;
        };
        failpoint("refine_ended");
        // Entries that changed nothing are covered too: the data are those of the checkpoint still.
        let (position, version) = if since.is_empty() {
            (self.log.learnt, self.live.number)
        } else {
            (position, version)
        };
        let of_version = if refinement.changed {
            self.live.number + 1
        } else {
            version
        };
        let previous = std::mem::replace(&mut self.live.quality, measured(&refinement, of_version));
        let made = match self.make(model, of_version, &refinement, &since).await? {
            Ok(made) => made,
            Err(error) => {
                self.live.quality = previous;
                return self.refuse(Some(position), &error.to_string()).await;
            }
        };
        match (refinement.certificate, refinement.refusal) {
            (Some(certificate), None) => {
                let last = LastCertificate {
                    version: of_version,
                    position,
                    at: UnixMillis::now(),
                };
                let span = info_span!(target: TRACE_TARGET, "certify");
                let certified = self.certify(made, last, &certificate);
                certified.instrument(span).await?;
                let is_waited_for = !self.uncertified.is_empty();
                self.refiner
                    .certified(!since.is_empty(), is_waited_for, took);
            }
            (_, refusal) => {
                self.publish_refined(made).await?;
                self.refuse(Some(position), &refusal.unwrap_or_default())
                    .await?;
            }
        }
        Ok(())
    }

    /// Rebases the refined model where it changed, and makes the versions that come of it.
    async fn make(
        &mut self,
        model: RefinedModel,
        of_version: u64,
        refinement: &Refinement,
        since: &Changes,
    ) -> Result<Result<Made, RebaseError>, WorkerError> {
        let RefinedModel {
            learner,
            mut snapshot,
        } = model;
        let quality = self.live.quality.clone();
        let (live, options) = (self.publisher.current(), self.local_update());
        let since = since.clone();
        let changed = refinement.changed;
        let holds = refinement.refusal.is_none();
        let number = if changed {
            of_version + u64::from(!since.is_empty())
        } else {
            self.live.number
        };
        self.lend(move |trainer| {
            let started = Instant::now();
            (snapshot.version, snapshot.quality) = (of_version, quality.clone());
            let next = if changed {
                let moved = trainer.rebase(learner, &since, options)?;
                trainer.snapshot_after(&snapshot, &moved, number, quality)?
            } else {
                trainer.learner.reclaim(learner);
                trainer.snapshot_after(&live, &DirtyRows::default(), number, quality)?
            };
            let certified = holds.then(|| {
                snapshot.forget(&since);
                snapshot
            });
            Ok(Made {
                certified,
                live: next,
                making: started.elapsed(),
            })
        })
        .await
    }

    /// Commits the made versions with their certificate, publishes them, and tells who waited.
    async fn certify(
        &mut self,
        made: Made,
        last: LastCertificate,
        certificate: &Certificate,
    ) -> Result<(), WorkerError> {
        self.live.certified = Some(last);
        let all = std::mem::take(&mut self.uncertified);
        let (covered, later): (Vec<ErasureRecord>, Vec<_>) = all
            .into_iter()
            .partition(|record| record.position <= last.position.0);
        self.uncertified = later;
        let ids = covered.iter().map(|record| record.id);
        self.backlog.spans.link(&Span::current(), ids);
        if self.replica.is_some() {
            let ids = covered.iter().map(|record| record.id).collect();
            return self.certify_everywhere(made, last, certificate, ids).await;
        }
        let certified = Transition::certified(covered, last, certificate);
        let mut batch = self.refined_batch(&made);
        certified.put(&mut batch);
        certified.sign(&mut self.signer, self.store.generation()?, &mut batch);
        failpoint("certify_before_commit");
        self.committer.commit(batch).await?;
        failpoint("certify_after_commit");
        self.swap_refined(made);
        tracing::info!(version = last.version, position = last.position.0, %certificate, "certified");
        certified.announce(&self.backlog);
        Ok(())
    }

    /// Commits the made versions and publishes them; what they cover has its certificate once every node has
    /// come up to them.
    async fn certify_everywhere(
        &mut self,
        made: Made,
        last: LastCertificate,
        certificate: &Certificate,
        ids: Vec<ErasureId>,
    ) -> Result<(), WorkerError> {
        self.publish_refined(made).await?;
        tracing::info!(version = last.version, position = last.position.0, %certificate, "certified");
        if !ids.is_empty() {
            self.settle(ToSettle::Certified {
                number: self.live.number,
                last,
                certificate: certificate.clone(),
                ids,
            });
        }
        Ok(())
    }

    /// Commits and publishes made versions without a certificate that holds.
    async fn publish_refined(&mut self, made: Made) -> Result<(), WorkerError> {
        let batch = self.refined_batch(&made);
        self.committer.commit(batch).await?;
        self.swap_refined(made);
        Ok(())
    }

    fn refined_batch(&mut self, made: &Made) -> recant_store::WriteBatch {
        if made.live.version != self.live.number {
            // The rows may have turned: all of them are others.
            self.live.dirty = DirtyRows::everything(&self.trainer.matrix);
        }
        self.version_batch(made.live.version, self.log.learnt)
    }

    fn swap_refined(&mut self, made: Made) {
        let Made {
            certified,
            mut live,
            making,
        } = made;
        live.term = self.live.term;
        let changed = (live.version == self.live.number).then(DirtyRows::default);
        self.live.dirty = DirtyRows::default();
        self.live.number = live.version;
        if let Some(certified) = certified {
            self.publisher.set_certified(Some(certified));
        }
        self.swap(live, making, changed, false);
    }

    /// Notes why erasures up to `position`, or all, have no certificate, and tries again later.
    async fn refuse(
        &mut self,
        position: Option<LogPosition>,
        reason: &str,
    ) -> Result<(), WorkerError> {
        tracing::warn!(reason, "no certificate is claimed");
        metrics::counter!(names::CERTIFICATES_REFUSED_TOTAL).increment(1);
        let covers = |at: u64| position.is_none_or(|position| at <= position.0);
        let mut batch = recant_store::WriteBatch::default();
        let mut ids = Vec::new();
        for record in &mut self.uncertified {
            if covers(record.position) {
                self.backlog.refused(record.id);
            }
            if covers(record.position) && record.failure.as_deref() != Some(reason) {
                record.failure = Some(reason.to_owned());
                batch.put_erasure(record);
                ids.push(record.id);
            }
        }
        if self.replica.is_none() {
            self.committer.commit(batch).await?;
        } else if !ids.is_empty() {
            let reason = reason.to_owned();
            self.settle(ToSettle::Refused { ids, reason });
        }
        self.refiner.refused();
        Ok(())
    }
}

/// What is known of the model once it was measured as `version`.
fn measured(refinement: &Refinement, version: u64) -> Quality {
    Quality {
        objective: refinement.report.map(|report| report.objective),
        residual: refinement.report.map(|report| report.residual),
        measured_version: Some(version),
        certificate: refinement.certificate.clone(),
        confirmed: true,
    }
}
