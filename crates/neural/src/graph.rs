//! The retained interactions as a graph between users and items, in compressed sparse rows.

use std::ops::Range;

use recant_core::model::{Entry, InteractionMatrix, RowSets};

/// One orientation: the neighbours of each row, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjacency {
    starts: Vec<usize>,
    neighbours: Vec<u32>,
}

impl Adjacency {
    /// The entries of `lists` that are wanted, or those that are not.
    fn from_lists<'a>(lists: impl Iterator<Item = &'a [Entry]>, are_wanted: bool) -> Self {
        let (mut starts, mut neighbours) = (vec![0], Vec::new());
        for list in lists {
            let of_kind = list.iter().filter(|entry| entry.is_wanted() == are_wanted);
            neighbours.extend(of_kind.map(|entry| entry.index));
            starts.push(neighbours.len());
        }
        Self { starts, neighbours }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The neighbours of `row`, ascending; none for a row that does not exist.
    pub fn neighbours(&self, row: u32) -> &[u32] {
        let row = row as usize;
        match (self.starts.get(row), self.starts.get(row + 1)) {
            (Some(start), Some(end)) => &self.neighbours[*start..*end],
            _ => &[],
        }
    }

    /// Number of neighbours of `row`.
    pub fn degree(&self, row: u32) -> usize {
        self.neighbours(row).len()
    }
}

/// Who wanted what, without weights, from either side, and what is known to be unwanted. 4 bytes a pair
/// in each orientation.
///
/// Made from the interactions whenever they changed: O(pairs), some ten milliseconds a million.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Items of each user.
    pub users: Adjacency,
    /// Users of each item.
    pub items: Adjacency,
    /// Items that each user does not want: no edges, but negatives that need not be drawn.
    pub unwanted: Adjacency,
    /// Users who do not want each item.
    pub unwanted_by: Adjacency,
}

impl Graph {
    /// The graph of everything in `matrix`.
    pub fn new(matrix: &InteractionMatrix) -> Self {
        let users = 0..matrix.user_rows() as u32;
        let items = 0..matrix.item_rows() as u32;
        Self {
            users: Adjacency::from_lists(users.clone().map(|row| matrix.user(row)), true),
            items: Adjacency::from_lists(items.clone().map(|row| matrix.item(row)), true),
            unwanted: Adjacency::from_lists(users.map(|row| matrix.user(row)), false),
            unwanted_by: Adjacency::from_lists(items.map(|row| matrix.item(row)), false),
        }
    }

    /// Number of pairs of something wanted.
    pub fn pairs(&self) -> usize {
        self.users.neighbours.len()
    }

    /// Whether user and item are connected. O(log degree).
    pub fn contains(&self, user: u32, item: u32) -> bool {
        self.users.neighbours(user).binary_search(&item).is_ok()
    }

    /// Whether somebody has said something about an item.
    pub fn is_in_use(&self, item: u32) -> bool {
        self.items.degree(item) > 0 || self.unwanted_by.degree(item) > 0
    }

    /// Whether `item` is known to be unwanted by `user`. O(log degree).
    pub fn is_unwanted(&self, user: u32, item: u32) -> bool {
        self.unwanted.neighbours(user).binary_search(&item).is_ok()
    }

    /// Rows of items.
    pub fn item_rows(&self) -> usize {
        self.items.rows()
    }

    /// Rows of users.
    pub fn user_rows(&self) -> usize {
        self.users.rows()
    }

    /// Every row.
    pub fn all_rows(&self) -> RowSets {
        RowSets::all(self.user_rows(), self.item_rows())
    }

    /// `rows` and the neighbours of each, sorted, each once.
    pub fn with_neighbours(&self, rows: &RowSets) -> RowSets {
        let mut wider = rows.clone();
        for user in &rows.users {
            wider.items.extend_from_slice(self.users.neighbours(*user));
        }
        for item in &rows.items {
            wider.users.extend_from_slice(self.items.neighbours(*item));
        }
        wider.sort_and_dedup();
        wider
    }
}

/// Cuts `0..weights.len()` into at most `parts` contiguous ranges of about the same total weight.
/// Depends on the weights alone, so that sums over parts are the same on any number of threads.
pub(crate) fn partition(
    weights: impl ExactSizeIterator<Item = usize>,
    parts: usize,
) -> Vec<Range<usize>> {
    let rows = weights.len();
    let weights: Vec<usize> = weights.collect();
    let share = weights.iter().sum::<usize>().div_ceil(parts.max(1)).max(1);
    let (mut ranges, mut start, mut weighed) = (Vec::with_capacity(parts), 0, 0);
    for (row, weight) in weights.iter().enumerate() {
        weighed += weight;
        if weighed >= share && ranges.len() + 1 < parts {
            ranges.push(start..row + 1);
            (start, weighed) = (row + 1, 0);
        }
    }
    if start < rows {
        ranges.push(start..rows);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_cover_every_row_once_and_in_order(
            weights in prop::collection::vec(0usize..9, 0..40),
            parts in 1usize..9,
        ) {
            let ranges = partition(weights.iter().copied(), parts);
            prop_assert!(ranges.len() <= parts);
            let rows: Vec<usize> = ranges.into_iter().flatten().collect();
            prop_assert_eq!(rows, (0..weights.len()).collect::<Vec<_>>());
        }
    }
}
