//! Rows for described items that nobody interacted with, as readers see them.
//!
//! They lie beside the rows of the model and share its inner product with a person's factors. In lists
//! they have numbers of their own, behind every row of the model.

use std::sync::Arc;
use std::time::Duration;

use crate::catalogue::{Catalogue, Edit};
use crate::patience::Patience;
use crate::selection::Selected;
use recant_core::content::ContentModel;
use recant_core::topk::{Bitmap, PagedRows, Ties, scan};
use recant_types::ItemId;

/// The number in lists of the first content row: no model has so many rows.
const FIRST: u32 = 1 << 31;

/// Whether a row of a list is a content row.
pub(crate) fn is_content(row: u32) -> bool {
    row >= FIRST
}

/// Rows for items that nobody interacted with, and the map that made them. A change costs what it
/// changes; versions share the rest.
#[derive(Debug, Clone)]
pub struct ContentRows {
    model: Arc<ContentModel>,
    factors: PagedRows,
    /// By row; none where the item is gone.
    ids: imbl::Vector<Option<ItemId>>,
    rows: imbl::HashMap<ItemId, u32>,
}

impl ContentRows {
    /// The rows that `model` gives untouched items of `catalogue`, d values each, in the order of their ids. Cost:
    /// a look at each description, and d multiply-adds for each feature of those.
    pub(crate) fn of(model: ContentModel, catalogue: &Catalogue, dim: usize) -> Self {
        let untouched = catalogue.said().filter(|(_, row)| row.is_none());
        let made: Vec<(ItemId, Vec<f32>)> = untouched
            .filter_map(|(said, _)| Some((said.id.clone(), model.predict(said)?)))
            .collect();
        let factors = PagedRows::from_rows(made.len(), dim, |row, into| {
            into.copy_from_slice(&made[row].1);
        });
        let ids = made.into_iter().map(|(id, _)| id);
        let numbered: Vec<(ItemId, u32)> = ids.zip(0..).collect();
        Self {
            model: Arc::new(model),
            factors,
            ids: numbered.iter().map(|(id, _)| Some(id.clone())).collect(),
            rows: numbered.into_iter().collect(),
        }
    }

    /// How many rows there are, among them those of items that are gone since they were made.
    pub fn len(&self) -> usize {
        self.factors.rows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Latent dimensions.
    pub(crate) fn dim(&self) -> usize {
        self.factors.dim()
    }

    /// Gives the items of `edits` the rows that follow from what is said now.
    pub(crate) fn edit(&mut self, edits: &[Edit]) {
        for edit in edits {
            match edit {
                Edit::Describe(said) => match self.model.predict(said) {
                    Some(factors) => self.set(&said.id, &factors),
                    None => self.remove(&said.id),
                },
                Edit::Remove(id) => self.remove(id),
            }
        }
    }

    fn set(&mut self, id: &ItemId, factors: &[f32]) {
        let row = self.rows.get(id).copied().unwrap_or_else(|| {
            let row = self.factors.rows() as u32;
            self.factors.grow(row as usize + 1);
            self.ids.push_back(Some(id.clone()));
            self.rows.insert(id.clone(), row);
            row
        });
        self.factors.set_row(row, factors);
    }

    fn remove(&mut self, id: &ItemId) {
        if let Some(row) = self.rows.remove(id) {
            self.ids.set(row as usize, None);
            self.factors.set_row(row, &vec![0.0; self.dim()]);
        }
    }

    /// The item at a row of a list.
    pub(crate) fn id(&self, row: u32) -> Option<&ItemId> {
        self.ids.get((row - FIRST) as usize)?.as_ref()
    }

    /// The factors at a row of a list.
    pub(crate) fn factors(&self, row: u32) -> &[f32] {
        self.factors.row(row - FIRST)
    }

    /// The rows that `selected` leaves, filter and all, one bit each; `None` when that takes longer than
    /// `patience`.
    pub(crate) fn matching(
        &self,
        selected: &Selected<'_>,
        catalogue: &Catalogue,
        patience: Duration,
    ) -> Option<Bitmap> {
        let patience = Patience::new(patience);
        let mut rows = Bitmap::default();
        for (row, id) in (0..).zip(&self.ids) {
            if patience.is_over(row as usize) {
                return None;
            }
            let said = id.as_ref().and_then(|id| catalogue.untouched(id));
            if said.is_some_and(|said| selected.admits(said)) {
                rows.set(row, true);
            }
        }
        Some(rows)
    }
}

/// What the filter of a question leaves, found before it is answered.
#[derive(Debug, Clone)]
pub struct Matching {
    /// Rows of the model.
    pub rows: Bitmap,
    /// Content rows, counted from 0.
    pub content: Option<Bitmap>,
}

/// Content rows that may be in the answer to one question.
pub(crate) struct ContentCandidates<'a> {
    pub(crate) rows: &'a ContentRows,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) selected: Selected<'a>,
    /// Those of which the filter is true, when that is known already.
    pub(crate) matching: Option<&'a Bitmap>,
}

impl ContentCandidates<'_> {
    /// The row in lists of an item that has a content row, and that nobody interacted with.
    pub(crate) fn row(&self, id: &ItemId) -> Option<u32> {
        self.catalogue.untouched(id)?;
        Some(FIRST + self.rows.rows.get(id)?)
    }

    /// Whether the item at a content row, counted from 0, may be in the list.
    fn admits(&self, row: u32) -> bool {
        let id = self.rows.ids.get(row as usize).and_then(Option::as_ref);
        let said = id.and_then(|id| self.catalogue.untouched(id));
        said.is_some_and(|said| match self.matching {
            Some(matching) => matching.contains(row) && self.selected.admits_unfiltered(said),
            None => self.selected.admits(said),
        })
    }

    /// The `k` best of the rows that may be in the list and are not `besides`, which is sorted. Exact. Cost: d
    /// multiply-adds a content row, and a look at what is said of those that are among the best so far.
    pub(crate) fn best(&self, factors: &[f32], k: usize, besides: &[u32]) -> Vec<(u32, f32)> {
        let besides: Vec<u32> = besides.iter().map(|row| row - FIRST).collect();
        let admits = |place| self.admits(place);
        let id = |place: u32| self.rows.ids.get(place as usize).and_then(Option::as_ref);
        let by_item = |a, b| id(a).cmp(&id(b));
        let ties = Ties::by(&by_item);
        let best = scan::top_k_tied(factors, &self.rows.factors, k, &besides, admits, ties);
        let in_lists = |(place, score)| (FIRST + place, score);
        best.into_iter().map(in_lists).collect()
    }

    /// The scores of those of `rows` that may be in the list.
    pub(crate) fn scores(&self, factors: &[f32], rows: &[u32]) -> Vec<(u32, f32)> {
        let admitted = rows.iter().filter(|row| self.admits(**row - FIRST));
        let scored = admitted.map(|row| (*row, scan::score(factors, self.rows.factors(*row))));
        scored.collect()
    }
}
