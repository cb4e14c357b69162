//! Shards: sub-models on disjoint parts of the data, of which an erasure retrains only those that
//! saw what was erased.
//!
//! SISA (Bourtoule et al. 2021) applied to recommendation, the yardstick of RecEraser (Chen et al.
//! 2022): users are dealt to shards by a hash of their rows, so that everything of a person is in
//! one shard; each shard trains a model of its own on its users and all items. RecEraser's learnt
//! aggregation is left out: a user's scores are those of their shard's model, or with
//! [`Aggregation::Mean`] the item rows of all shards averaged.

use std::ops::ControlFlow;

use crate::forget::retrain::retrain_cold;
use crate::graph::Graph;
use crate::negatives::mix;
use crate::network::NeuralModel;
use crate::optimise::adamw::AdamWOptions;
use crate::optimise::divergence::Divergence;
use crate::parameters::Parameters;
use crate::scoring::Scorer;
use recant_core::model::{Entry, InteractionMatrix};

/// How the shards' models become one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregation {
    /// The model of the user's own shard.
    Own,
    /// The mean of the scores that every shard's model gives the user's row in it; a shard that
    /// never saw the user counts for nothing.
    Mean,
}

/// How pairs are dealt to shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dealing {
    /// By user.
    ByUser,
    /// Pair by pair, as SISA does with examples; every shard sees most users then.
    ByPair,
}

/// Shards and their models.
#[derive(Debug)]
pub struct Shards<'a> {
    model: &'a dyn NeuralModel,
    options: AdamWOptions,
    dealing: Dealing,
    seed: u64,
    graphs: Vec<Graph>,
    parameters: Vec<Parameters>,
}

impl<'a> Shards<'a> {
    /// Deals the pairs of `matrix` to `count` shards and trains each.
    pub fn train(
        model: &'a dyn NeuralModel,
        matrix: &InteractionMatrix,
        count: usize,
        dealing: Dealing,
        seed: u64,
        options: &AdamWOptions,
    ) -> Result<Self, Divergence> {
        let graphs = deal(matrix, count.max(1), dealing, seed);
        let parameters = graphs
            .iter()
            .map(|graph| train_one(model, graph, seed, options))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            model,
            options: *options,
            dealing,
            seed,
            graphs,
            parameters,
        })
    }

    /// Trains those shards anew whose data changed; returns how many. `matrix` has the same rows as
    /// before.
    pub fn forget(&mut self, matrix: &InteractionMatrix) -> Result<usize, Divergence> {
        let graphs = deal(matrix, self.graphs.len(), self.dealing, self.seed);
        let mut retrained = 0;
        for (shard, graph) in graphs.into_iter().enumerate() {
            if graph != self.graphs[shard] {
                self.parameters[shard] = train_one(self.model, &graph, self.seed, &self.options)?;
                self.graphs[shard] = graph;
                retrained += 1;
            }
        }
        Ok(retrained)
    }

    /// Scores of `users` for every row of items: users × items.
    pub fn catalogue(&self, users: &[u32], aggregation: Aggregation) -> Vec<f32> {
        let items = self.graphs[0].item_rows();
        let (mut sums, mut counts) = (vec![0.0; users.len() * items], vec![0u32; users.len()]);
        for (graph, parameters) in self.graphs.iter().zip(&self.parameters) {
            let scores = Scorer::new(self.model, graph, parameters).catalogue(users);
            let rows = sums.chunks_exact_mut(items).zip(scores.chunks_exact(items));
            for (at, (sum, scores)) in rows.enumerate() {
                let knows = graph.users.degree(users[at]) > 0;
                let is_first = counts[at] == 0;
                if knows && (is_first || aggregation == Aggregation::Mean) {
                    counts[at] += 1;
                    let values = sum.iter_mut().zip(scores);
                    values.for_each(|(sum, score)| *sum += score);
                }
            }
        }
        let rows = sums.chunks_exact_mut(items).zip(&counts);
        rows.for_each(|(row, count)| {
            let share = 1.0 / (*count).max(1) as f32;
            row.iter_mut().for_each(|value| *value *= share);
        });
        sums
    }
}

fn train_one(
    model: &dyn NeuralModel,
    graph: &Graph,
    seed: u64,
    options: &AdamWOptions,
) -> Result<Parameters, Divergence> {
    let unobserved = &mut |_: &_, _: &_| ControlFlow::Continue(());
    retrain_cold(model, graph, seed, options, unobserved)
}

/// The graph of each shard; all have the rows of `matrix`.
fn deal(matrix: &InteractionMatrix, count: usize, dealing: Dealing, seed: u64) -> Vec<Graph> {
    let shard_of = |user: u32, item: u32| {
        let key = match dealing {
            Dealing::ByUser => u64::from(user),
            Dealing::ByPair => u64::from(user) << 32 | u64::from(item),
        };
        (mix(seed, key) % count as u64) as usize
    };
    let graph = |shard: usize| {
        let users = 0..matrix.user_rows() as u32;
        let histories = users.map(|user| {
            let own = matrix.user(user).iter();
            let own = own.filter(|entry| shard_of(user, entry.index) == shard);
            own.copied().collect::<Vec<Entry>>()
        });
        let part = InteractionMatrix::from_histories(histories.collect(), matrix.item_rows());
        Graph::new(&part)
    };
    (0..count).map(graph).collect()
}
