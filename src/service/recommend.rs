//! Answers from one snapshot: recommendations, similar items, popularity.

use crate::ids::ItemId;
use crate::optim::fold_in::fold_in;
use crate::service::query::{
    RecommendQuery, Recommendations, ScoredItem, SimilarItems, Source, Subject,
};
use crate::service::snapshot::Snapshot;
use crate::topk::filter::Filter;
use crate::topk::scan;

impl Snapshot {
    /// Answers `query` exactly. Cost: items × d multiply-adds, and for a session history of length
    /// h one system of h·d² + d³/3 more.
    pub fn recommend(&self, query: &RecommendQuery) -> Recommendations {
        let (source, mut seen, factors) = self.resolve(&query.subject);
        if !query.exclude_seen {
            seen.clear();
        }
        seen.extend(query.exclude.iter().filter_map(|item| self.items.row(item)));
        seen.sort_unstable();
        seen.dedup();
        let best = match &factors {
            Some(factors) => {
                let filter = Filter {
                    excluded: &seen,
                    allowed: None,
                };
                self.item_index.top_k(factors, query.k, &filter)
            }
            None => self.most_popular(query.k, &seen),
        };
        Recommendations {
            model_version: self.version,
            source,
            items: self.name(best),
        }
    }

    /// Where the scores come from, the item rows already seen, and the user's factors.
    fn resolve(&self, subject: &Subject) -> (Source, Vec<u32>, Option<Vec<f32>>) {
        match subject {
            Subject::User(user) => match self.users.row(user) {
                Some(row) => {
                    let seen = self.history(row).iter().map(|entry| entry.index).collect();
                    (
                        Source::Model,
                        seen,
                        Some(self.user_factors.row(row).to_vec()),
                    )
                }
                None => (Source::Popular, Vec::new(), None),
            },
            Subject::History(items) => {
                let rows: Vec<u32> = self.known_rows(items);
                let learnt: Vec<(u32, f32)> = rows
                    .iter()
                    .filter(|row| self.item_count(**row) > 0)
                    .map(|r| (*r, 1.0))
                    .collect();
                if learnt.is_empty() {
                    return (Source::Popular, rows, None);
                }
                let factors = fold_in(
                    &self.hyperparameters,
                    &learnt,
                    &self.item_factors,
                    &self.item_gramian,
                    self.active_items,
                );
                (Source::FoldIn, rows, Some(factors))
            }
        }
    }

    fn known_rows(&self, items: &[ItemId]) -> Vec<u32> {
        let mut rows: Vec<u32> = items
            .iter()
            .filter_map(|item| self.items.row(item))
            .collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The items with the most interactions; ties in item order.
    fn most_popular(&self, k: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
        let left = self.popular.iter();
        let left = left.filter(|(row, _)| excluded.binary_search(row).is_err());
        left.take(k)
            .map(|(row, count)| (row, count as f32))
            .collect()
    }

    /// The items most similar to `item` by the cosine of their factors; `None` when it is unknown.
    pub fn similar(&self, item: &ItemId, k: usize) -> Option<SimilarItems> {
        let row = self.items.row(item)?;
        let eligible = |candidate| self.item_count(candidate) > 0;
        let best = scan::top_k_cosine(
            self.item_factors.row(row),
            &self.item_factors,
            k,
            &[row],
            eligible,
        );
        Some(SimilarItems {
            model_version: self.version,
            items: self.name(best),
        })
    }

    fn name(&self, best: Vec<(u32, f32)>) -> Vec<ScoredItem> {
        best.into_iter()
            .filter_map(|(row, score)| {
                let item = self.items.id(row)?.clone();
                Some(ScoredItem {
                    item,
                    score,
                    title: self.title(row),
                })
            })
            .collect()
    }
}
