//! The trainer of a node that follows: rows come from the leader, and are learnt from once it leads itself.

use crate::dirty::{Changes, DirtyRows};
use crate::learner::{IalsLearner, Learner};
use crate::model_update::{ModelUpdate, ModelUpdateError};
use crate::trainer::Trainer;
use recant_core::model::{Gramian, Ials};
use recant_core::unlearn::Warm;
use recant_types::IalsHyperparameters;

impl Trainer {
    /// Takes the rows of an update for the ids that are here; those that are not were erased since, or are
    /// not applied yet, and come with the update that knows of them. `since` is what the log did to the data
    /// since the version before. Returns the rows that differ from that version. Refused is an update
    /// that does not fit together, and then nothing was changed.
    pub(crate) fn take_update(
        &mut self,
        update: &ModelUpdate,
        since: &Changes,
    ) -> Result<DirtyRows, ModelUpdateError> {
        let hyper = update.header.model.ials();
        let hyper = hyper.ok_or(ModelUpdateError::Damaged)?;
        let gramian = Gramian::from_columns(hyper.dim, &update.gramian);
        let gramian = gramian.ok_or(ModelUpdateError::Damaged)?;
        let rows = update.items.iter().map(|(_, row)| row);
        let mut rows = rows.chain(update.users.iter().map(|(_, row)| row));
        if rows.any(|row| row.len() != hyper.dim) {
            return Err(ModelUpdateError::Damaged);
        }
        let mut dirty = if update.is_image() {
            self.forget_factors(hyper);
            self.seed = update.header.seed;
            DirtyRows::everything(&self.matrix)
        } else {
            since.touched.clone()
        };
        let model = self.learner.ials_mut().ok_or(ModelUpdateError::Damaged)?;
        model.grow(&self.matrix);
        // What was learnt for them belongs to nobody any more.
        for row in since.emptied.user_rows() {
            model.users.row_mut(row as usize).fill(0.0);
        }
        for row in since.emptied.item_rows() {
            model.items.row_mut(row as usize).fill(0.0);
        }
        for (id, values) in &update.users {
            if let Some(row) = self.users.directory().row(id) {
                widen(values, model.users.row_mut(row as usize));
                dirty.users(&[row]);
            }
        }
        for (id, values) in &update.items {
            if let Some(row) = self.items.directory().row(id) {
                widen(values, model.items.row_mut(row as usize));
                dirty.items(&[row]);
            }
        }
        model.item_gramian = gramian;
        Ok(dirty)
    }

    fn forget_factors(&mut self, hyper: IalsHyperparameters) {
        let (users, items) = (self.matrix.user_rows(), self.matrix.item_rows());
        let model = Ials::zeros(hyper, users, items);
        self.learner = Learner::Ials(Box::new(IalsLearner::new(model, 0)));
    }

    /// Makes factors that came from elsewhere fit to learn from. Block factors may take `cache_bytes_max` bytes.
    /// Cost: both Gram matrices.
    pub(crate) fn begin_to_learn(&mut self, cache_bytes_max: usize) {
        if let Learner::Ials(learner) = &mut self.learner {
            learner.model.grow(&self.matrix);
            learner.model.rebuild_gramians();
            learner.warm = Warm::new(cache_bytes_max);
        }
    }

    /// Drops what only learning is quicker by: block factors and directions, which may be most of the memory.
    pub(crate) fn cease_to_learn(&mut self) {
        if let Learner::Ials(learner) = &mut self.learner {
            learner.warm = Warm::new(0);
        }
    }
}

fn widen(values: &[f32], row: &mut [f64]) {
    let values = values.iter().map(|value| f64::from(*value));
    row.iter_mut().zip(values).for_each(|(to, from)| *to = from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_core::model::{Entry, Side};
    use recant_core::never;
    use recant_core::optim::als::cache_factors;

    /// Whether the block factor of the only user is there.
    fn has_factor(trainer: &Trainer) -> bool {
        let Learner::Ials(learner) = &trainer.learner else {
            unreachable!("it is made of implicit ALS")
        };
        let entries = trainer.matrix.user(0).len();
        let cache = &learner.warm.cache;
        cache.factor(Side::Users, 0, entries).is_some()
    }

    fn learn(trainer: &mut Trainer) {
        let Learner::Ials(learner) = &mut trainer.learner else {
            unreachable!("it is made of implicit ALS")
        };
        cache_factors(
            &learner.model,
            &trainer.matrix,
            &mut learner.warm.cache,
            &never,
        );
    }

    #[test]
    fn block_factors_are_kept_while_a_node_leads_and_no_longer() {
        let mut trainer = Trainer::empty(IalsHyperparameters::default(), 1);
        trainer.matrix.insert(0, Entry::wanted(0, 1.0));
        trainer.begin_to_learn(1 << 20);
        learn(&mut trainer);
        assert!(has_factor(&trainer));
        trainer.cease_to_learn();
        assert!(!has_factor(&trainer));
        learn(&mut trainer);
        assert!(!has_factor(&trainer), "there is no room for any");
        trainer.begin_to_learn(1 << 20);
        learn(&mut trainer);
        assert!(has_factor(&trainer));
    }
}
