//! Scores of one user or many for every item.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::graph::Graph;
use crate::network::{BATCH_PAIRS, Batch, NeuralModel};
use crate::parameters::{Block, Parameters};

/// Users whose inner products with all items are one product of matrices.
const USERS_PER_TASK: usize = 32;

/// A model ready to score: its rows propagated once.
#[derive(Debug)]
pub struct Scorer<'a> {
    model: &'a dyn NeuralModel,
    rows: Cow<'a, Parameters>,
}

impl<'a> Scorer<'a> {
    /// Costs one propagation along `graph`, for models that propagate.
    pub fn new(model: &'a dyn NeuralModel, graph: &Graph, at: &'a Parameters) -> Self {
        let mut rows = Cow::Borrowed(at);
        if model.is_propagated() {
            model.propagate(graph, rows.to_mut());
        }
        Self { model, rows }
    }

    /// The same for rows that are propagated already.
    pub fn from_propagated(model: &'a dyn NeuralModel, rows: &'a Parameters) -> Self {
        let rows = Cow::Borrowed(rows);
        Self { model, rows }
    }

    /// The propagated rows, and the shared layers.
    pub fn rows(&self) -> &Parameters {
        &self.rows
    }

    /// Scores of `users` for every row of items: users × items, one user after another. On the
    /// threads of rayon.
    pub fn catalogue(&self, users: &[u32]) -> Vec<f32> {
        let layout = *self.rows.layout();
        let mut scores = vec![0.0; users.len() * layout.items];
        if scores.is_empty() {
            return scores;
        }
        let tasks = scores
            .par_chunks_mut(USERS_PER_TASK * layout.items)
            .zip(users.par_chunks(USERS_PER_TASK));
        tasks.for_each(|(scores, users)| {
            if self.model.is_inner_product() {
                self.inner_products(users, scores);
            } else {
                let mut batch = Batch::default();
                let items = self.rows.block(Block::Items);
                for (user, scores) in users.iter().zip(scores.chunks_exact_mut(layout.items)) {
                    let user = self.rows.user(*user);
                    let shared = self.rows.shared();
                    score_rows(self.model, shared, user, items, &mut batch, scores);
                }
            }
        });
        scores
    }

    /// Scores of single pairs.
    pub fn pairs(&self, pairs: &[(u32, u32)]) -> Vec<f32> {
        let batches = pairs.par_chunks(BATCH_PAIRS).map(|pairs| {
            let mut batch = Batch::default();
            batch.gather(&self.rows, pairs.iter().copied());
            self.model.forward(self.rows.shared(), &mut batch);
            batch.scores
        });
        batches.collect::<Vec<_>>().concat()
    }

    fn inner_products(&self, users: &[u32], into: &mut [f32]) {
        let layout = self.rows.layout();
        let rows: Vec<f32> = users
            .iter()
            .flat_map(|user| self.rows.user(*user))
            .copied()
            .collect();
        let items = self.rows.block(Block::Items);
        matmul(
            MatMut::from_column_major_slice_mut(into, layout.items, users.len()),
            Accum::Replace,
            MatRef::from_row_major_slice(items, layout.items, layout.item_width),
            MatRef::from_column_major_slice(&rows, layout.user_width, users.len()),
            1.0,
            Par::Seq,
        );
    }
}

/// Scores of one user's propagated row with rows of items that lie one after another, in batches.
pub fn score_rows(
    model: &dyn NeuralModel,
    shared: &[f32],
    user: &[f32],
    items: &[f32],
    batch: &mut Batch,
    into: &mut [f32],
) {
    let width = items.len() / into.len().max(1);
    let batches = items.chunks(BATCH_PAIRS * width.max(1));
    for (items, into) in batches.zip(into.chunks_mut(BATCH_PAIRS)) {
        batch.pairs = into.len();
        batch.items.clear();
        batch.items.extend_from_slice(items);
        batch.users.clear();
        for _ in 0..batch.pairs {
            batch.users.extend_from_slice(user);
        }
        batch.fit();
        model.forward(shared, batch);
        into.copy_from_slice(&batch.scores);
    }
}
