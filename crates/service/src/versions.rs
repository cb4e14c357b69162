//! Making the next version out of the trainer: what changed is copied, the rest is shared.

use crate::catalogue::Catalogue;
use crate::dirty::DirtyRows;
use crate::learner::Learner;
use crate::neural_learner::NeuralLearner;
use crate::snapshot::{Quality, Snapshot, VersionError};
use crate::trainer::Trainer;
use recant_core::model::Factors;
use recant_core::topk::{ItemIndex, PagedRows};

impl Trainer {
    /// The whole state as a snapshot. Cost: every row once, and the index of the items.
    pub fn snapshot(&self, version: u64, quality: Quality) -> Result<Snapshot, VersionError> {
        let model = match &self.learner {
            Learner::Ials(learner) => &learner.model,
            Learner::Neural(learner) => {
                let made = self.neural_snapshot(learner, version, quality)?;
                return Ok(made.undescribed());
            }
        };
        let dim = model.hyper.dim;
        let factors = |factors: &Factors, whose: &'static str| {
            let rows = PagedRows::from_rows(factors.rows(), dim, |row, into| {
                into.copy_from_slice(&narrow(factors.row(row)));
            });
            let finite = rows.is_finite();
            finite.then_some(rows).ok_or(VersionError::NotFinite(whose))
        };
        let user_factors = factors(&model.users, "a user")?;
        let item_factors = factors(&model.items, "an item")?;
        let item_index = ItemIndex::new(item_factors, |row| self.is_active(row));
        Ok(self
            .assemble(user_factors, item_index, version, quality)
            .undescribed())
    }

    /// The state as a snapshot that shares with `previous` every page without a dirty row.
    /// Cost: the pages of the dirty rows, whatever the number of users and items.
    pub fn snapshot_after(
        &self,
        previous: &Snapshot,
        dirty: &DirtyRows,
        version: u64,
        quality: Quality,
    ) -> Result<Snapshot, VersionError> {
        self.learner.check_finite(dirty)?;
        let (mut user_factors, mut item_factors) =
            (previous.user_factors.clone(), previous.item_factors.clone());
        user_factors.grow(self.matrix.user_rows());
        item_factors.grow(self.matrix.item_rows());
        match &self.learner {
            // A row's neighbours may be anywhere: all of them changed a little.
            Learner::Neural(learner) if learner.model().is_propagated() => {
                let made = self.neural_snapshot(learner, version, quality)?;
                return Ok(made.described_after(previous, dirty));
            }
            Learner::Neural(learner) => {
                let at = &learner.parameters;
                let users = dirty.user_rows();
                users.for_each(|row| user_factors.set_row(row, at.user(row)));
                let items = dirty.item_rows();
                items.for_each(|row| item_factors.set_row(row, at.item(row)));
            }
            Learner::Ials(learner) => {
                let (users, items) = (&learner.model.users, &learner.model.items);
                for row in dirty.user_rows() {
                    user_factors.set_row(row, &narrow(users.row(row as usize)));
                }
                for row in dirty.item_rows() {
                    item_factors.set_row(row, &narrow(items.row(row as usize)));
                }
            }
        }
        let changed: Vec<(u32, bool)> = dirty
            .item_rows()
            .map(|row| (row, self.is_indexed(row)))
            .collect();
        let item_index = previous.item_index.updated(item_factors, &changed);
        let made = self.assemble(user_factors, item_index, version, quality);
        Ok(made.described_after(previous, dirty))
    }

    /// Whether the item has an interaction, and may be recommended.
    fn is_active(&self, row: u32) -> bool {
        (row as usize) < self.matrix.item_rows() && !self.matrix.item(row).is_empty()
    }

    /// Whether the item is found by the index of inner products.
    fn is_indexed(&self, row: u32) -> bool {
        let indexes = |learner: &NeuralLearner| learner.model().is_inner_product();
        self.is_active(row) && self.learner.neural().is_none_or(indexes)
    }

    fn neural_snapshot(
        &self,
        learner: &NeuralLearner,
        version: u64,
        quality: Quality,
    ) -> Result<Snapshot, VersionError> {
        let served = learner.served();
        let (rows, layout) = (served.rows(), *served.rows().layout());
        if !rows.is_finite() {
            return Err(VersionError::NotFinite("the network"));
        }
        let users = PagedRows::from_rows(layout.users, layout.user_width, |row, into| {
            into.copy_from_slice(rows.user(row as u32));
        });
        let items = PagedRows::from_rows(layout.items, layout.item_width, |row, into| {
            into.copy_from_slice(rows.item(row as u32));
        });
        let index = ItemIndex::new(items, |row| self.is_indexed(row));
        Ok(self.assemble(users, index, version, quality))
    }

    fn assemble(
        &self,
        user_factors: PagedRows,
        item_index: ItemIndex,
        version: u64,
        quality: Quality,
    ) -> Snapshot {
        Snapshot {
            version,
            term: 0,
            seed: self.seed,
            users: self.users.directory().clone(),
            items: self.items.directory().clone(),
            catalogue: Catalogue::default(),
            content: None,
            user_factors,
            item_factors: item_index.rows().clone(),
            item_index,
            model: self.learner.served(),
            histories: self.matrix.histories(),
            unseen: self.unseen.clone(),
            item_counts: self.item_counts.clone(),
            popular: self.popular.clone(),
            hours: self.activity.items().clone(),
            active_users: self.matrix.active_users(),
            active_items: self.matrix.active_items(),
            interactions: self.matrix.interactions(),
            quality,
        }
    }
}

impl Snapshot {
    /// With the items that people interacted with, of which nothing is said.
    fn undescribed(mut self) -> Self {
        self.place_items(0..self.items.capacity() as u32);
        self
    }

    /// With what the version before says about items, of which the `dirty` ones may be at other
    /// rows.
    fn described_after(mut self, previous: &Self, dirty: &DirtyRows) -> Self {
        self.catalogue = previous.catalogue.clone();
        self.place_items(dirty.item_rows());
        self
    }
}

fn narrow(row: &[f64]) -> Vec<f32> {
    row.iter().map(|value| *value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Progress, Publisher};
    use recant_core::model::{Entry, Ials};
    use recant_types::IalsHyperparameters;

    fn trainer() -> Trainer {
        let mut trainer = Trainer::empty(IalsHyperparameters::default(), 1);
        trainer.matrix.insert(0, Entry::wanted(0, 1.0));
        let mut model = Ials::zeros(IalsHyperparameters::default(), 0, 0);
        model.grow(&trainer.matrix);
        trainer.learner = model.into();
        trainer
    }

    fn set(trainer: &mut Trainer, value: f64) {
        let model = trainer.learner.ials_mut().expect("implicit ALS");
        model.items.row_mut(0)[3] = value;
    }

    #[test]
    fn factors_that_are_no_numbers_are_refused_and_the_live_version_stays() {
        let mut trainer = trainer();
        let first = trainer.snapshot(1, Quality::default()).expect("finite");
        let publisher = Publisher::new(first, Progress::default());
        let mut dirty = DirtyRows::default();
        dirty.items(&[0]);
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            set(&mut trainer, bad);
            let previous = publisher.current();
            let refused = publisher.publish(Progress::default(), || {
                trainer.snapshot_after(&previous, &dirty, 2, Quality::default())
            });
            assert_eq!(refused, Err(VersionError::NotFinite("an item")));
            assert_eq!(publisher.current().version, 1);
            assert!(trainer.snapshot(2, Quality::default()).is_err());
        }
        set(&mut trainer, 0.5);
        let previous = publisher.current();
        let published = publisher.publish(Progress::default(), || {
            trainer.snapshot_after(&previous, &dirty, 2, Quality::default())
        });
        assert_eq!(published, Ok(()));
        assert_eq!(publisher.current().item_factors.row(0)[3], 0.5);
    }
}
