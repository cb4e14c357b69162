//! A neural model as readers see it: what is needed to score items and to fold in a history.

use recant_core::topk::{Best, Filter, PagedRows, Ties};
use recant_neural::{BATCH_PAIRS, Batch, Source, fold_in, model_of, score_rows};
use recant_types::ModelSpecification;

/// The user of the negatives of a history that belongs to nobody.
const NOBODY: u32 = u32::MAX;

/// The part of a neural model that every version holds besides its rows.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its kind and hyper-parameters.
    pub specification: ModelSpecification,
    /// Its layers.
    pub shared: Vec<f32>,
    /// Seed of the negatives.
    pub seed: u64,
}

impl Network {
    /// Whether the best items are found by an index of inner products.
    pub fn is_inner_product(&self) -> bool {
        model_of(&self.specification).is_inner_product()
    }

    /// The scores of `user` for every row of `items`, in batches.
    pub fn scores(&self, user: &[f32], items: &PagedRows) -> Vec<f32> {
        let mut scores = vec![0.0; items.rows()];
        let (mut batch, mut block) = (Batch::default(), Vec::new());
        let (mut first, mut held) = (0, 0);
        let mut flush = |block: &mut Vec<f32>, first: usize, held: usize| {
            let into = &mut scores[first..first + held];
            let model = model_of(&self.specification);
            score_rows(model, &self.shared, user, block, &mut batch, into);
            block.clear();
        };
        for (row, page) in items.pages() {
            if held >= BATCH_PAIRS {
                flush(&mut block, first, held);
                (first, held) = (row as usize, 0);
            }
            block.extend_from_slice(page);
            held += page.len() / items.dim();
        }
        if held > 0 {
            flush(&mut block, first, held);
        }
        scores
    }

    /// The k best of the rows that are active and that `filter` admits, exactly: every item is
    /// scored.
    pub fn top_k(
        &self,
        user: &[f32],
        items: &PagedRows,
        k: usize,
        filter: &Filter<'_>,
        is_active: impl Fn(u32) -> bool,
        ties: Ties<'_>,
    ) -> Vec<(u32, f32)> {
        let scores = self.scores(user, items);
        let mut best = Best::new(k, scores.len(), ties);
        for (row, score) in (0..).zip(scores) {
            if is_active(row) && filter.admits(row) {
                best.offer(row, score);
            }
        }
        best.into_sorted()
    }

    /// The row of a history of `items`, sorted, that belongs to nobody. Negatives are drawn as in
    /// training.
    pub fn fold_in(
        &self,
        items: &[u32],
        rows: &PagedRows,
        is_active: impl Fn(u32) -> bool,
    ) -> Vec<f32> {
        let model = model_of(&self.specification);
        let mut groups = Vec::with_capacity(items.len() * (model.negatives() + 1));
        for item in items {
            let source = Source::new(self.seed, 0, NOBODY, *item);
            groups.push(*item);
            let draws = 0..model.negatives() as u64;
            groups.extend(draws.map(|draw| {
                let is_free = |row| is_active(row) && items.binary_search(&row).is_err();
                let drawn = source.negative_among(rows.rows(), draw, is_free);
                drawn.unwrap_or(*item)
            }));
        }
        fold_in(model, &self.shared, |row| rows.row(row), &groups)
    }
}
