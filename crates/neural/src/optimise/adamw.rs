//! AdamW on mini-batches, with fresh negatives in every epoch.
//!
//! Loshchilov & Hutter, "Decoupled weight decay regularization" (ICLR 2019), on the penalised loss
//! of each batch. For a model that does not propagate only the rows that a batch names are moved,
//! moments and all (as "sparse Adam" does elsewhere); the others would be moved by old moments only.

use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::examples::{Sampling, groups_of};
use crate::graph::Graph;
use crate::loss;
use crate::negatives::Source;
use crate::network::{BATCH_PAIRS, Batch, NeuralModel};
use crate::objective::scatter;
use crate::optimise::divergence::Divergence;
use crate::parameters::{Block, Parameters};

/// Settings of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// Passes over the data.
    pub epochs: usize,
    /// Examples in a batch.
    pub batch: usize,
    /// Step size.
    pub learning_rate: f32,
    /// Decay of the mean of gradients.
    pub beta1: f32,
    /// Decay of the mean of their squares.
    pub beta2: f32,
    /// Keeps the division finite.
    pub epsilon: f32,
    /// Decoupled weight decay; the penalty of the objective is there besides.
    pub weight_decay: f32,
    /// Seed of order and negatives.
    pub seed: u64,
    /// Number of the first epoch; its order and negatives depend on it.
    pub first_epoch: u64,
    /// The epoch whose negatives every epoch meets; without it, each has negatives of its own. With
    /// it, AdamW minimises the objective of that epoch's fixed examples.
    pub negatives_of: Option<u64>,
}

impl AdamWOptions {
    /// What suits a model: small batches where a step costs its examples only, large ones where it
    /// costs two propagations.
    pub fn for_model(model: &dyn NeuralModel) -> Self {
        let (batch, learning_rate) = if model.is_propagated() {
            (16_384, 5e-3)
        } else {
            (1_024, 1e-3)
        };
        Self {
            epochs: 20,
            batch,
            learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            seed: 1,
            first_epoch: 1,
            negatives_of: None,
        }
    }
}

/// How an epoch went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochReport {
    /// Epochs done.
    pub epoch: usize,
    /// Mean loss of an example while the epoch ran, without penalty.
    pub loss: f64,
}

/// Moments and the gradient of one batch.
struct State<'a> {
    model: &'a dyn NeuralModel,
    graph: &'a Graph,
    options: &'a AdamWOptions,
    gradient: Parameters,
    mean: Vec<f32>,
    square: Vec<f32>,
    step: i32,
}

/// Runs AdamW from `at` on. After every epoch `observe` is told how it went and where it led; it may
/// end the training. The result is a function of data, options and start: neither order nor
/// negatives of one pair depend on another pair.
pub fn adamw(
    model: &dyn NeuralModel,
    graph: &Graph,
    at: &mut Parameters,
    options: &AdamWOptions,
    observe: &mut dyn FnMut(&EpochReport, &Parameters) -> ControlFlow<()>,
) -> Result<(), Divergence> {
    let sampling = Sampling {
        seed: options.seed,
        negatives: model.negatives(),
    };
    let mut state = State {
        model,
        graph,
        options,
        gradient: Parameters::zeros(*at.layout()),
        mean: vec![0.0; at.values().len()],
        square: vec![0.0; at.values().len()],
        step: 0,
    };
    for done in 0..options.epochs {
        let epoch = options.first_epoch + done as u64;
        let negatives_of = options.negatives_of.unwrap_or(epoch);
        let (groups, order) = epoch_order(graph, sampling, epoch, negatives_of);
        let stride = sampling.negatives + 1;
        let mut loss = 0.0;
        for batch in order.chunks((options.batch / stride).max(1)) {
            let (mut owners, mut items) = (Vec::new(), Vec::new());
            for (_, user, place) in batch {
                let start = *place as usize * stride;
                items.extend_from_slice(&groups[*user as usize][start..start + stride]);
                owners.resize(items.len(), *user);
            }
            loss += state.descend(at, &owners, &items, stride);
        }
        let report = EpochReport {
            epoch: done + 1,
            loss: loss / (order.len() * stride).max(1) as f64,
        };
        if !report.loss.is_finite() || !at.is_finite() {
            return Err(Divergence::NotFinite {
                optimiser: "AdamW",
                what: "the loss",
            });
        }
        if observe(&report, at).is_break() {
            break;
        }
    }
    Ok(())
}

/// The groups of every user in an epoch, and the order in which it takes them: each by a rank of its
/// own, user and place.
type EpochOrder = (Vec<Vec<u32>>, Vec<(u64, u32, u32)>);

fn epoch_order(graph: &Graph, sampling: Sampling, epoch: u64, negatives_of: u64) -> EpochOrder {
    let users = 0..graph.user_rows() as u32;
    let groups = users
        .clone()
        .into_par_iter()
        .map(|user| groups_of(graph, sampling, negatives_of, user))
        .collect();
    let mut order: Vec<(u64, u32, u32)> = users
        .flat_map(|user| {
            let items = graph.users.neighbours(user).iter().enumerate();
            items.map(move |(place, item)| {
                let source = Source::new(sampling.seed, epoch, user, *item);
                (source.rank(), user, place as u32)
            })
        })
        .collect();
    order.par_sort_unstable();
    (groups, order)
}

/// What one task computed of a batch.
struct Piece {
    loss: f64,
    users: Vec<f32>,
    items: Vec<f32>,
    shared: Vec<f32>,
}

impl State<'_> {
    /// One step for a batch of groups; returns their loss.
    fn descend(
        &mut self,
        at: &mut Parameters,
        owners: &[u32],
        items: &[u32],
        stride: usize,
    ) -> f64 {
        let loss = self.accumulate(at, owners, items, stride);
        let scale = 1.0 / items.len() as f32;
        self.step += 1;
        if self.model.is_propagated() {
            self.model.propagate(self.graph, &mut self.gradient);
            self.add_penalties(at, owners, items);
            self.move_all(at, scale);
            self.gradient.values_mut().fill(0.0);
        } else {
            self.add_penalties(at, owners, items);
            self.move_named(at, owners, items, scale);
        }
        loss
    }

    /// Adds the gradient of the batch's loss by propagated rows, in pieces of fixed size.
    fn accumulate(&mut self, at: &Parameters, owners: &[u32], items: &[u32], stride: usize) -> f64 {
        let mut rows = std::borrow::Cow::Borrowed(at);
        if self.model.is_propagated() {
            self.model.propagate(self.graph, rows.to_mut());
        }
        let length = (BATCH_PAIRS / stride).max(1) * stride;
        let pieces: Vec<Piece> = owners
            .par_chunks(length)
            .zip(items.par_chunks(length))
            .map(|(owners, items)| piece(self.model, &rows, owners, items, stride))
            .collect();
        let layout = *at.layout();
        let (by_user, by_item, by_shared) = self.gradient.parts_mut();
        let chunks = owners.chunks(length).zip(items.chunks(length));
        for (piece, (owners, items)) in pieces.iter().zip(chunks) {
            let row = |row: &u32| *row as usize;
            scatter(
                by_user,
                layout.user_width,
                owners.iter().map(row),
                &piece.users,
            );
            scatter(
                by_item,
                layout.item_width,
                items.iter().map(row),
                &piece.items,
            );
            let sums = by_shared.iter_mut().zip(&piece.shared);
            sums.for_each(|(sum, value)| *sum += value);
        }
        pieces.iter().map(|piece| piece.loss).sum()
    }

    /// The penalty of each example of the batch.
    fn add_penalties(&mut self, at: &Parameters, owners: &[u32], items: &[u32]) {
        let lambda = self.model.lambda();
        let add = |sums: &mut [f32], weight: f32, values: &[f32]| {
            let pairs = sums.iter_mut().zip(values);
            pairs.for_each(|(sum, value)| *sum += weight * value);
        };
        for (user, item) in owners.iter().zip(items) {
            add(self.gradient.user_mut(*user), lambda, at.user(*user));
            add(self.gradient.item_mut(*item), lambda, at.item(*item));
        }
        let weight = lambda * items.len() as f32;
        add(self.gradient.block_mut(Block::Shared), weight, at.shared());
    }

    fn move_all(&mut self, at: &mut Parameters, scale: f32) {
        const CHUNK: usize = 1 << 14;
        let rule = Rule::new(self.options, self.step, scale);
        let moments = self.mean.par_chunks_mut(CHUNK);
        let moments = moments.zip(self.square.par_chunks_mut(CHUNK));
        let gradient = self.gradient.values().par_chunks(CHUNK);
        let values = at.values_mut().par_chunks_mut(CHUNK);
        values
            .zip(gradient)
            .zip(moments)
            .for_each(|((values, gradient), (mean, square))| {
                rule.apply(values, gradient, mean, square);
            });
    }

    /// Moves the rows that the batch names and the layers, and clears their gradients.
    fn move_named(&mut self, at: &mut Parameters, owners: &[u32], items: &[u32], scale: f32) {
        let layout = *at.layout();
        let rule = Rule::new(self.options, self.step, scale);
        let users = distinct(owners)
            .into_iter()
            .map(|row| layout.user(row as usize));
        let items = distinct(items)
            .into_iter()
            .map(|row| layout.item(row as usize));
        let shared = std::iter::once(layout.range(Block::Shared));
        for range in users.chain(items).chain(shared) {
            let gradient = &mut self.gradient.values_mut()[range.clone()];
            rule.apply(
                &mut at.values_mut()[range.clone()],
                gradient,
                &mut self.mean[range.clone()],
                &mut self.square[range],
            );
            gradient.fill(0.0);
        }
    }
}

fn distinct(rows: &[u32]) -> Vec<u32> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows.dedup();
    rows
}

fn piece(
    model: &dyn NeuralModel,
    rows: &Parameters,
    owners: &[u32],
    items: &[u32],
    stride: usize,
) -> Piece {
    let mut batch = Batch::default();
    let mut shared = vec![0.0; rows.layout().shared];
    batch.gather(rows, owners.iter().copied().zip(items.iter().copied()));
    model.forward(rows.shared(), &mut batch);
    let loss = model.loss();
    let groups = items.chunks_exact(stride);
    let scored = batch.scores.chunks_exact(stride);
    let coefficients = batch.coefficients.chunks_exact_mut(stride);
    let losses = groups
        .zip(scored)
        .zip(coefficients)
        .map(|((group, scores), into)| loss::gradient(loss, group, scores, into));
    let loss = losses.sum();
    model.backward(rows.shared(), &mut batch, Some(&mut shared));
    Piece {
        loss,
        users: batch.user_gradients,
        items: batch.item_gradients,
        shared,
    }
}

/// The step of one parameter (algorithm 2 of the paper).
#[derive(Clone, Copy)]
struct Rule {
    options: AdamWOptions,
    /// What gradients are multiplied by.
    scale: f32,
    mean_correction: f32,
    square_correction: f32,
}

impl Rule {
    fn new(options: &AdamWOptions, step: i32, scale: f32) -> Self {
        Self {
            options: *options,
            scale,
            mean_correction: 1.0 / (1.0 - options.beta1.powi(step)),
            square_correction: 1.0 / (1.0 - options.beta2.powi(step)),
        }
    }

    fn apply(&self, values: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let AdamWOptions {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            ..
        } = self.options;
        let moments = mean.iter_mut().zip(square);
        for ((value, gradient), (mean, square)) in values.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * self.scale;
            *mean = beta1 * *mean + (1.0 - beta1) * gradient;
            *square = beta2 * *square + (1.0 - beta2) * gradient * gradient;
            let root = (*square * self.square_correction).sqrt() + epsilon;
            let direction = *mean * self.mean_correction / root + weight_decay * *value;
            *value -= learning_rate * direction;
        }
    }
}
