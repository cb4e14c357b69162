//! Shards: exact forgetting of a model that is another one.

use faer::Mat;

use super::subject::{NeuralSubject, diverged};
use crate::experiment::recipe::DealingSpec;
use crate::experiment::unlearner::method::{Change, MethodError, Seeds, Unlearner};
use crate::experiment::watch::Watch;
use recant_core::model::InteractionMatrix;
use recant_eval::Scorer;
use recant_neural::forget::{Aggregation, Dealing, Shards};

/// A model in shards. Erasing makes it exactly the sharded model of what is left; how far that is
/// from a model that was not cut up is what comparisons show.
pub(super) struct ShardsUnlearner<'a> {
    shards: Shards<'a>,
    aggregation: Aggregation,
    users: usize,
    items: usize,
}

impl<'a> ShardsUnlearner<'a> {
    /// Trains all shards; not timed.
    pub(super) fn new(
        subject: &'a NeuralSubject,
        matrix: &InteractionMatrix,
        count: usize,
        dealing: DealingSpec,
        seeds: Seeds,
    ) -> Result<Self, MethodError> {
        let (dealing, aggregation) = match dealing {
            DealingSpec::ByUser => (Dealing::ByUser, Aggregation::Own),
            DealingSpec::ByPair => (Dealing::ByPair, Aggregation::Mean),
        };
        let model = subject.model();
        let options = subject.training.adamw(model, seeds.order);
        let shards = Shards::train(model, matrix, count, dealing, seeds.initial, &options);
        Ok(Self {
            shards: shards.map_err(diverged)?,
            aggregation,
            users: matrix.user_rows(),
            items: matrix.item_rows(),
        })
    }
}

impl Unlearner for ShardsUnlearner<'_> {
    fn erase(&mut self, change: &Change<'_>, watch: &mut Watch<'_>) -> Result<(), MethodError> {
        let forgotten = watch.time(|_| self.shards.forget(change.retained));
        forgotten.map_err(diverged)?;
        Ok(())
    }

    fn model(&self) -> &dyn Scorer {
        self
    }
}

impl Scorer for ShardsUnlearner<'_> {
    fn user_rows(&self) -> usize {
        self.users
    }

    fn item_rows(&self) -> usize {
        self.items
    }

    fn scores(&self, users: &[u32]) -> Mat<f64> {
        let scores = self.shards.catalogue(users, self.aggregation);
        Mat::from_fn(self.items, users.len(), |item, column| {
            f64::from(scores[column * self.items + item])
        })
    }
}
