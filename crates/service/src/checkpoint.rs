//! Refinement of a consistent view of data and model, while the live ones go on.
//!
//! A refinement takes seconds, and a service in use is never quiet for so long. So it works on a
//! [`Checkpoint`], the state at one position ℓ of the log, which nothing that comes later reaches. What
//! comes out, a [`Refined`] model, is certified for the data at ℓ; [`Trainer::rebase`] then applies to
//! it what the log brought since, and makes it the live one.

use crate::dirty::{Changes, DirtyRows};
use crate::learner::Learner;
use crate::learning::{LocalUpdate, Refinement, RefinementGoal, refine, update_learner};
use crate::snapshot::VersionError;
use crate::snapshot::{Quality, Snapshot};
use crate::trainer::Trainer;
use recant_core::ShouldStop;
use recant_neural::optimise::Divergence;
use recant_store::LogPosition;

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
    pub(crate) refinement: Refinement,
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
        let mut refinement = refine(&mut self.trainer, goal, should_stop)?;
        let is_useful = refinement.changed || refinement.refusal.is_none();
        let snapshot = is_useful.then(|| self.trainer.snapshot(self.version, Quality::default()));
        let model = match snapshot {
            None => None,
            Some(Ok(snapshot)) => Some(RefinedModel {
                learner: self.trainer.learner,
                snapshot,
            }),
            Some(Err(error)) => {
                refinement = Refinement::failed(error.to_string());
                None
            }
        };
        Some(Refined {
            position: self.position,
            version: self.version,
            refinement,
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::learner::IalsLearner;
    use crate::learning::{holds, update};
    use recant_core::model::Factors;
    use recant_core::model::InteractionMatrix;
    use recant_core::model::{Entry, Ials};
    use recant_core::model::{RowSets, Side};

    use recant_types::{IalsHyperparameters, LightGcn, ModelSpecification};

    use crate::neural_learner::NeuralLearner;

    const USERS: u32 = 14;
    const ITEMS: u32 = 11;

    /// Rows that the tests erase: a user, an item, and a pair of two others.
    const USER: u32 = 3;
    const ITEM: u32 = 2;
    const PAIR: (u32, u32) = (6, 4);

    const GOAL: RefinementGoal = RefinementGoal {
        tolerance: 1e-7,
        target: 1e-5,
        rounds_max: 3,
    };

    const OPTIONS: LocalUpdate = LocalUpdate {
        budget: Duration::from_secs(60),
        tolerance: 1e-6,
        hold: false,
    };

    fn matrix() -> InteractionMatrix {
        let mut matrix = InteractionMatrix::new();
        matrix.grow(USERS as usize, ITEMS as usize);
        for (user, item) in (0..USERS).flat_map(|u| (0..ITEMS).map(move |i| (u, i))) {
            if (user * 7 + item * 5 + user * item) % 3 == 0 || (user, item) == PAIR {
                matrix.insert(user, Entry::wanted(item, 1.0 + (user % 3) as f32));
            }
        }
        matrix
    }

    fn trainer(dim: usize) -> Trainer {
        let hyper = IalsHyperparameters {
            dim,
            alpha0: 0.3,
            lambda: 0.05,
            nu: 1.0,
        };
        let matrix = matrix();
        let users = Factors::random(matrix.user_rows(), dim, 1, Side::Users);
        let items = Factors::random(matrix.item_rows(), dim, 1, Side::Items);
        let mut trainer = Trainer::empty(hyper, 1);
        let model = Ials::from_factors(hyper, users, items);
        trainer.learner = Learner::Ials(Box::new(IalsLearner::new(model, 1 << 24)));
        trainer.matrix = matrix;
        trainer
    }

    /// In one thread, so that the n-th question is always the same one.
    fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.expect("a pool").install(work)
    }

    /// A live trainer near its minimum.
    fn live(dim: usize) -> Trainer {
        let mut first = trainer(dim);
        let refined = Checkpoint::new(&mut first, LogPosition(1), 1).refine(&GOAL, &|| false);
        let model = refined.expect("nobody stops it").model.expect("a model");
        let since = Changes::default();
        first
            .rebase(model.learner, &since, OPTIONS)
            .expect("finite");
        first
    }

    /// Erases, adds for a newcomer in the erased user's row, and updates: as the worker would.
    fn meanwhile(trainer: &mut Trainer) -> Changes {
        let mut changes = Changes::default();
        for entry in trainer.matrix.remove_user(USER) {
            changes.touched.items(&[entry.index]);
        }
        for entry in trainer.matrix.remove_item(ITEM) {
            changes.touched.users(&[entry.index]);
            changes.lost.users(&[entry.index]);
        }
        trainer.matrix.remove(PAIR.0, PAIR.1);
        changes.touched.users(&[USER, PAIR.0]);
        changes.touched.items(&[ITEM, PAIR.1]);
        changes.lost.users(&[USER, PAIR.0]);
        changes.emptied.users(&[USER]);
        changes.emptied.items(&[ITEM]);
        let first = changes.touched.to_touched();
        update(trainer, &first, OPTIONS).expect("updated");
        assert_erased(trainer, USER);
        let newcomers = [(USER, 0), (USER, 5), (USERS, 1), (USERS, ITEMS)];
        for (user, item) in newcomers {
            trainer.matrix.insert(user, Entry::wanted(item, 1.0));
            changes.touched.users(&[user]);
            changes.touched.items(&[item]);
        }
        update(trainer, &changes.touched.to_touched(), OPTIONS).expect("updated");
        changes
    }

    /// Rows without interactions are zero, whoever they were.
    fn assert_erased(trainer: &Trainer, zero: u32) {
        let Learner::Ials(learner) = &trainer.learner else {
            panic!("implicit ALS");
        };
        let is_zero = |row: &[f64]| row.iter().all(|value| *value == 0.0);
        assert!(trainer.matrix.user(zero).is_empty());
        for row in 0..trainer.matrix.user_rows() {
            let empty = trainer.matrix.user(row as u32).is_empty();
            assert_eq!(is_zero(learner.model.users.row(row)), empty, "user {row}");
        }
        for row in 0..trainer.matrix.item_rows() {
            let empty = trainer.matrix.item(row as u32).is_empty();
            assert_eq!(is_zero(learner.model.items.row(row)), empty, "item {row}");
        }
    }

    fn model(learner: &Learner) -> &Ials {
        match learner {
            Learner::Ials(learner) => &learner.model,
            Learner::Neural(_) => panic!("implicit ALS"),
        }
    }

    /// Whatever moment of a refinement an erasure falls on: the refinement does not notice, and the
    /// rebase does not bring back what was erased.
    #[test]
    fn an_erasure_at_any_step_of_a_refinement_is_never_undone_by_the_rebase() {
        alone(|| {
            let disturbed = |at: usize| {
                let mut trainer = live(12);
                // Something to refine.
                trainer.matrix.insert(1, Entry::wanted(1, 5.0));
                trainer.matrix.remove(9, 0);
                let touched = RowSets {
                    users: vec![1, 9],
                    items: vec![0, 1],
                };
                update(&mut trainer, &touched, OPTIONS).expect("updated");
                let checkpoint = Checkpoint::new(&mut trainer, LogPosition(5), 2);
                let (trainer, asked) = (Mutex::new((trainer, None)), AtomicUsize::new(0));
                let refined = checkpoint.refine(&GOAL, &|| {
                    if asked.fetch_add(1, Ordering::Relaxed) == at {
                        let (trainer, since) = &mut *trainer.lock().expect("unpoisoned");
                        *since = Some(meanwhile(trainer));
                    }
                    false
                });
                let (trainer, since) = trainer.into_inner().expect("unpoisoned");
                let refined = refined.expect("nobody stops it");
                (trainer, since, refined, asked.into_inner())
            };
            let (_, none, alone, steps) = disturbed(usize::MAX);
            assert!(none.is_none() && steps > 200, "{steps}");
            assert!(alone.refinement.changed && alone.refinement.refusal.is_none());
            let undisturbed = alone.model.expect("a model");
            for at in (0..steps).step_by(steps / 60) {
                let (mut trainer, since, refined, _) = disturbed(at);
                let since = since.expect("it happened");
                let refined = refined.model.expect("a model");
                let (mine, theirs) = (model(&refined.learner), model(&undisturbed.learner));
                assert_eq!((&mine.users, &mine.items), (&theirs.users, &theirs.items));
                let moved = trainer
                    .rebase(refined.learner, &since, OPTIONS)
                    .expect("finite");
                assert_rebased(&mut trainer, &moved, &refined.snapshot);
            }
        });
    }

    /// What is erased is gone from the rebased model and from the version made of it, and the model is
    /// as near to its minimum as one local update leaves it that concerns half of all rows.
    fn assert_rebased(trainer: &mut Trainer, moved: &DirtyRows, refined: &Snapshot) {
        assert!(trainer.matrix.item(ITEM).is_empty());
        let rebased = model(&trainer.learner);
        assert!(rebased.items.row(ITEM as usize).iter().all(|v| *v == 0.0));
        let snapshot = trainer
            .snapshot_after(refined, moved, 9, Quality::default())
            .expect("finite");
        let served = snapshot.item_factors.row(ITEM);
        assert!(served.iter().all(|value| *value == 0.0));
        assert!(!snapshot.item_index.is_active(ITEM));
        for row in 0..trainer.matrix.user_rows() {
            let exact = model(&trainer.learner).users.row(row);
            let served = snapshot.user_factors.row(row as u32);
            assert!(exact.iter().zip(served).all(|(a, b)| *a as f32 == *b));
        }
        let before = model(&trainer.learner).measure(&trainer.matrix);
        let refinement = Checkpoint::new(trainer, LogPosition(9), 9).refine(&GOAL, &|| false);
        let least = refinement.and_then(|refined| refined.refinement.report);
        let least = least.expect("measured").objective;
        let excess = before.objective / least - 1.0;
        assert!((-1e-9..5e-2).contains(&excess), "{excess}");
    }

    /// The row of somebody who was erased goes to a newcomer: what it held must not matter.
    #[test]
    fn a_newcomer_in_a_row_that_was_given_back_starts_from_nothing() {
        let rebased = |before: f64| {
            let mut trainer = live(12);
            let checkpoint = Checkpoint::new(&mut trainer, LogPosition(5), 2);
            let since = meanwhile(&mut trainer);
            let refined = checkpoint.refine(&GOAL, &|| false).expect("not stopped");
            let mut learner = refined.model.expect("a model").learner;
            let model = learner.ials_mut().expect("implicit ALS");
            model.users.row_mut(USER as usize).fill(before);
            model.rebuild_gramians();
            let moved = trainer.rebase(learner, &since, OPTIONS);
            moved.expect("finite");
            trainer.learner.into_ials().expect("implicit ALS")
        };
        let (one, other) = (rebased(0.5), rebased(-3.0));
        assert!(
            one.users
                .row(USER as usize)
                .iter()
                .any(|value| *value != 0.0)
        );
        assert_eq!((&one.users, &one.items), (&other.users, &other.items));
    }

    #[test]
    fn without_changes_the_refined_model_itself_goes_on() {
        let mut trainer = trainer(12);
        let checkpoint = Checkpoint::new(&mut trainer, LogPosition(5), 2);
        let refined = checkpoint.refine(&GOAL, &|| false).expect("not stopped");
        assert!(holds(&refined.refinement.certificate.expect("certified")));
        let made = refined.model.expect("a model");
        let expected = model(&made.learner).clone();
        let moved = trainer.rebase(made.learner, &Changes::default(), OPTIONS);
        assert!(moved.expect("finite").is_empty());
        let live = model(&trainer.learner);
        assert_eq!(
            (&live.users, &live.items),
            (&expected.users, &expected.items)
        );
    }

    #[test]
    fn a_stopped_refinement_leaves_the_live_trainer_alone() {
        let mut trainer = trainer(6);
        let before = model(&trainer.learner).clone();
        for at in 0..40 {
            let asked = AtomicUsize::new(0);
            let checkpoint = Checkpoint::new(&mut trainer, LogPosition(5), 2);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) >= at;
            assert!(checkpoint.refine(&GOAL, &stop).is_none());
            let live = model(&trainer.learner);
            assert_eq!((&live.users, &live.items), (&before.users, &before.items));
        }
    }

    #[test]
    fn a_certificate_that_does_not_hold_is_refused_with_its_reason_and_the_better_factors_stay() {
        let mut trainer = trainer(2);
        let before = model(&trainer.learner).measure(&trainer.matrix).objective;
        let checkpoint = Checkpoint::new(&mut trainer, LogPosition(5), 2);
        let refined = checkpoint.refine(&GOAL, &|| false).expect("not stopped");
        let reason = refined.refinement.refusal.expect("two columns do not do");
        assert!(!reason.is_empty());
        assert!(!holds(&refined.refinement.certificate.expect("measured")));
        assert!(refined.refinement.changed);
        assert!(refined.refinement.report.expect("measured").objective < before);
    }

    #[test]
    fn a_neural_model_is_refined_beside_changes_too() {
        let specification = ModelSpecification::LightGcn(LightGcn {
            dim: 4,
            layers: 1,
            lambda: 1e-3,
        });
        let mut trainer = trainer(2);
        let everything = DirtyRows::everything(&trainer.matrix).to_touched();
        trainer.learner = NeuralLearner::new(specification, &trainer.matrix, 1).into();
        update(&mut trainer, &everything, OPTIONS).expect("learnt");
        let checkpoint = Checkpoint::new(&mut trainer, LogPosition(5), 2);
        let since = meanwhile_neural(&mut trainer);
        let refined = checkpoint.refine(&GOAL, &|| false).expect("not stopped");
        assert!(refined.refinement.refusal.is_none());
        let made = refined.model.expect("a model");
        assert_eq!(made.snapshot.histories.len(), USERS as usize);
        let moved = trainer.rebase(made.learner, &since, OPTIONS);
        moved.expect("finite");
        let learner = trainer.learner.neural().expect("neural");
        assert!(learner.parameters.user(USER).iter().all(|v| *v == 0.0));
        assert!(learner.parameters.item(ITEMS).iter().any(|v| *v != 0.0));
        assert!(!learner.has_unlearnt_rows());
    }

    fn meanwhile_neural(trainer: &mut Trainer) -> Changes {
        let mut changes = Changes::default();
        for entry in trainer.matrix.remove_user(USER) {
            changes.touched.items(&[entry.index]);
        }
        trainer.matrix.insert(USERS, Entry::wanted(ITEMS, 1.0));
        changes.touched.users(&[USER, USERS]);
        changes.touched.items(&[ITEMS]);
        changes.emptied.users(&[USER]);
        update(trainer, &changes.touched.to_touched(), OPTIONS).expect("updated");
        changes
    }
}
