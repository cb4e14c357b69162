//! The k best rows so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::topk::score::comparable;
use crate::topk::ties::Ties;

/// Keeps the k best of the rows it is offered, in any order: larger scores first, of equal ones
/// the row that ties say. A score that is not a number counts as the lowest, and both zeros as one.
#[derive(Debug, Clone)]
pub struct Best<'a> {
    k: usize,
    ties: Ties<'a>,
    heap: BinaryHeap<Candidate<'a>>,
}

impl<'a> Best<'a> {
    /// Room for the `k` best of at most `rows` rows.
    pub fn new(k: usize, rows: usize, ties: Ties<'a>) -> Self {
        Self {
            k,
            ties,
            heap: BinaryHeap::with_capacity(k.min(rows) + 1),
        }
    }

    /// What a row's score must reach to be looked at: the worst score held, once k rows are held.
    /// A row that only equals it may still come first by the ties.
    #[inline]
    pub fn threshold(&self) -> Option<f32> {
        if self.heap.len() < self.k {
            None
        } else {
            Some(self.heap.peek().map_or(f32::INFINITY, |worst| worst.score))
        }
    }

    /// Takes the row if it is among the k best of all offered so far. O(log k) if so, else O(1).
    #[inline]
    pub fn offer(&mut self, row: u32, score: f32) {
        let candidate = Candidate {
            score: comparable(score),
            row,
            ties: self.ties,
        };
        if self.heap.len() < self.k {
            self.heap.push(candidate);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// The rows with their scores, best first.
    pub fn into_sorted(self) -> Vec<(u32, f32)> {
        let sorted = self.heap.into_sorted_vec();
        sorted
            .into_iter()
            .map(|best| (best.row, best.score))
            .collect()
    }
}

/// A row among the best so far; the greatest is the one to give up first.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    score: f32,
    row: u32,
    ties: Ties<'a>,
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then_with(|| self.ties.order(self.row, other.row))
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate<'_> {}
