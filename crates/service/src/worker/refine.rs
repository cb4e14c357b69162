//! Refinement: sweeps over all blocks until the certificate meets its target.

use std::time::Instant;

use tokio::sync::watch;

use super::transition::Transition;
use super::{Work, Worker, WorkerError};
use crate::learning::{self, PolishGoal, Polished};
use crate::snapshot::Quality;
use recant_store::crash_point::crash_point;
use recant_store::log::LogPosition;

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

    /// Makes the refined model the live one and certifies what waits for it.
    async fn certify(&mut self, polished: Polished) -> Result<(), WorkerError> {
        let Polished {
            changed,
            report,
            certificate,
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
        let records = std::mem::take(&mut self.uncertified);
        let certified = Transition::certified(records, version, &certificate);
        let mut batch = self.version_batch(version, self.log.learnt);
        certified.put(&mut batch);
        certified.sign(&mut self.signer, self.store.generation()?, &mut batch);
        crash_point("certify_before_commit");
        self.committer.commit(batch).await?;
        crash_point("certify_after_commit");
        self.live.number = version;
        let started = Instant::now();
        let made = self.make_snapshot(version).await?;
        self.swap(made, started.elapsed());
        self.work = Work::Wait;
        tracing::info!(version, sweeps = report.sweeps, %certificate, "refined");
        certified.announce(&self.backlog);
        Ok(())
    }
}
