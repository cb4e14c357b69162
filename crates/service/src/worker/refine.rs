//! Refinement: sweeps over all blocks until the certificate meets its target.

use std::time::Instant;

use tokio::sync::watch;

use super::transition::Transition;
use super::{Work, Worker, WorkerError};
use crate::learning::{self, PolishGoal, Polished};
use crate::metric_names as names;
use crate::snapshot::Quality;
use recant_store::crash_point::crash_point;
use recant_store::log::LogPosition;
use recant_types::Certificate;

/// Refinements in a row whose certificate does not hold until the erasures that wait for it are said
/// to have failed: one more may do where sweeps were too few, and none where a column is.
const REFUSALS_MAX: usize = 3;

impl Worker {
    /// Sweeps until the residual is at training level, or until the log grows.
    pub(super) async fn refine(
        &mut self,
        log: &watch::Receiver<LogPosition>,
    ) -> Result<(), WorkerError> {
        let (mut log, stop) = (log.clone(), self.committer.stop());
        let taken = self.log.learnt;
        log.mark_unchanged();
        let goal = PolishGoal {
            tolerance: self
                .trainer
                .polish_tolerance(self.options.tolerance, &self.live.quality),
            target: self.options.certificate_target,
        };
        let rounds_max = self.options.polish_rounds;
        let polished = self
            .lend(move |trainer| {
                let should_stop = || *log.borrow() > taken || *stop.borrow();
                learning::polish(trainer, goal, rounds_max, &should_stop)
            })
            .await?;
        match polished {
            Some(polished) => self.certify(polished).await,
            None => Ok(()),
        }
    }

    /// Makes the refined model the live one, and certifies what waits for it if its certificate holds.
    async fn certify(&mut self, polished: Polished) -> Result<(), WorkerError> {
        let Polished {
            changed,
            report,
            certificate,
            refusal,
        } = polished;
        self.live.dirty.merge(&changed);
        self.trainer.learner.check_finite(&self.live.dirty)?;
        let changed = !self.live.dirty.is_empty();
        let version = self.live.number + u64::from(changed);
        self.live.quality = Quality {
            objective: Some(report.objective),
            residual: Some(report.residual),
            measured_version: Some(version),
            certificate: Some(certificate.clone()),
            confirmed: true,
        };
        let reached = self.reached(version, &certificate, refusal.as_deref());
        let mut batch = self.version_batch(version, self.log.learnt);
        reached.put(&mut batch);
        if refusal.is_none() {
            reached.sign(&mut self.signer, self.store.generation()?, &mut batch);
        }
        crash_point("certify_before_commit");
        self.committer.commit(batch).await?;
        crash_point("certify_after_commit");
        self.live.number = version;
        let started = Instant::now();
        let made = self.make_snapshot(version).await?;
        self.swap(made, started.elapsed());
        tracing::info!(version, sweeps = report.sweeps, %certificate, "refined");
        reached.announce(&self.backlog);
        Ok(())
    }

    /// What becomes of the erasures that wait for a certificate, and of the work. One that does not
    /// hold certifies nothing: they stay forgotten, with the reason, while it is tried again, and are
    /// then said to have failed; the next certificate that holds is theirs all the same.
    fn reached(
        &mut self,
        version: u64,
        certificate: &Certificate,
        refusal: Option<&str>,
    ) -> Transition {
        let waiting = &mut self.uncertified;
        let Some(reason) = refusal else {
            (self.work, self.refusals) = (Work::Wait, 0);
            return Transition::certified(std::mem::take(waiting), version, certificate);
        };
        metrics::counter!(names::CERTIFICATES_REFUSED_TOTAL).increment(1);
        tracing::warn!(version, reason, "nothing is certified");
        self.refusals += 1;
        let last = self.refusals >= REFUSALS_MAX;
        if last {
            (self.work, self.refusals) = (Work::Wait, 0);
        }
        let refused = Transition::refused(waiting.clone(), version, reason, last);
        for record in refused.records() {
            if let Some(known) = waiting.iter_mut().find(|known| known.id == record.id) {
                known.clone_from(record);
            }
        }
        refused
    }
}
