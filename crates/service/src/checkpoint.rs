//! Refinement of a consistent view of data and model, while the live ones go on.
//!
//! A refinement takes seconds, and a service in use is never quiet for so long. So it works on a
//! [`Checkpoint`], the state at one position ℓ of the log, which nothing that comes later reaches. What
//! comes out, a [`Refined`] model, is certified for the data at ℓ; [`Trainer::rebase`] then applies to
//! it what the log brought since, and makes it the live one.

use crate::dirty::{Changes, DirtyRows};
use crate::learner::Learner;
use crate::learning::{LocalUpdate, Polished, RefinementGoal, polish, update_learner};
use crate::snapshot::{Quality, Snapshot};
use crate::trainer::Trainer;
use crate::versions::VersionError;
use recant_core::optim::als::ShouldStop;
use recant_neural::optimise::Divergence;
use recant_store::log::LogPosition;

/// Data and model as they were at one position of the log.
///
/// Until it is dropped it keeps in memory what is erased meanwhile; nothing of it reaches the disk or
/// a reader before it is rebased.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    position: LogPosition,
    version: u64,
    trainer: Trainer,
}

/// A refined checkpoint.
#[derive(Debug)]
pub(crate) struct Refined {
    /// The position of the log whose data it is of.
    pub(crate) position: LogPosition,
    /// The version that was live at that position.
    pub(crate) version: u64,
    /// What was measured and what may be claimed.
    pub(crate) polished: Polished,
    /// The model, where it is good for anything.
    pub(crate) model: Option<RefinedModel>,
}

/// The model of a refined checkpoint.
#[derive(Debug)]
pub(crate) struct RefinedModel {
    /// What the trainer goes on with.
    pub(crate) learner: Learner,
    /// What readers may see of it, with the data of the checkpoint; to be numbered.
    pub(crate) snapshot: Snapshot,
}

/// Why a refined model was not rebased. The live one is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RebaseError {
    /// The numbers must not be served.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The update of a neural model went wrong.
    #[error(transparent)]
    Divergence(#[from] Divergence),
}

impl Checkpoint {
    /// The state of `trainer`, which reflects the log up to `position` and is live as `version`.
    /// Cost: that of [`Trainer::fork`].
    pub(crate) fn new(trainer: &mut Trainer, position: LogPosition, version: u64) -> Self {
        Self {
            position,
            version,
            trainer: trainer.fork(),
        }
    }

    /// Refines to `goal`. `None` when `should_stop`, asked between blocks, turned true; it may wait
    /// before it answers. The result does not depend on the number of threads.
    pub(crate) fn refine(
        mut self,
        goal: &RefinementGoal,
        should_stop: ShouldStop<'_>,
    ) -> Option<Refined> {
        let mut polished = polish(&mut self.trainer, goal, should_stop)?;
        let is_useful = polished.changed || polished.refusal.is_none();
        let snapshot = is_useful.then(|| self.trainer.snapshot(self.version, Quality::default()));
        let model = match snapshot {
            None => None,
            Some(Ok(snapshot)) => Some(RefinedModel {
                learner: self.trainer.learner,
                snapshot,
            }),
            Some(Err(error)) => {
                polished = Polished::failed(error.to_string());
                None
            }
        };
        Some(Refined {
            position: self.position,
            version: self.version,
            polished,
            model,
        })
    }
}

impl Trainer {
    /// Goes on with a refined model, to which what happened `since` its checkpoint is applied: rows
    /// whose data changed are solved again, rows that lost everything are zero, new rows enter.
    /// Returns the rows that differ from the refined model; on an error nothing changed. Cost: a
    /// local update of the changed rows.
    pub(crate) fn rebase(
        &mut self,
        mut learner: Learner,
        since: &Changes,
        options: LocalUpdate,
    ) -> Result<DirtyRows, RebaseError> {
        let mut moved = DirtyRows::default();
        if !since.is_empty() {
            learner.disown(&since.emptied, &self.matrix);
            let touched = since.touched.to_touched();
            let report = update_learner(&mut learner, &self.matrix, self.seed, &touched, options)?;
            moved.users(report.changed_users.iter().chain(&touched.users));
            moved.items(report.changed_items.iter().chain(&touched.items));
        }
        learner.check_finite(&DirtyRows::everything(&self.matrix))?;
        self.learner = learner;
        Ok(moved)
    }
}
